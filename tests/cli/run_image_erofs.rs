//! `--snapshotter erofs`: layers as EROFS images. What a container sees is what it sees of directories.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::run_image::{command, run, sh};
use crate::support::runtime::{self, Invocation};
use crate::support::{ImageMaker, Sandbox, cases, json};

cases![
    shows_the_same_tree,
    runs_through_loop_devices_that_go_away,
    twenty_share_a_loop_device,
    killed_at_any_moment_leaves_nothing,
    maps_ids,
    unpacks_mounts_and_commits,
    refuses_who_is_not_root,
    refuses_bombs_by_flags,
    limits_what_is_pulled,
];

/// An image with what one layer says of another.
fn image(t: &Sandbox) -> String {
    ImageMaker::busybox(t)
        .layer(|dir| {
            fs::create_dir_all(dir.join("srv/opaque/below")).expect("mkdir");
            fs::write(dir.join("srv/gone"), "1").expect("write");
            fs::write(dir.join("srv/kept"), "kept").expect("write");
            fs::hard_link(dir.join("srv/kept"), dir.join("srv/kept-again")).expect("link");
            fs::set_permissions(dir.join("srv"), fs::Permissions::from_mode(0o1775))
                .expect("chmod");
        })
        .layer(|dir| {
            fs::create_dir_all(dir.join("srv/opaque")).expect("mkdir");
            fs::write(dir.join("srv/.wh.gone"), "").expect("write");
            fs::write(dir.join("srv/opaque/.wh..wh..opq"), "").expect("write");
            fs::write(dir.join("srv/opaque/above"), "x".repeat(10_000)).expect("write");
        })
        .set("Cmd", json!(["true"]))
        .write()
}

const TREE: &str =
    "for name in $(find /srv /bin/busybox /bin/sh | sort); do stat -c '%n %a %u:%g %Y %F' $name
    test -d $name || stat -c '%s %h' $name; done; md5sum $(find /srv -type f | sort)";

fn with(t: &Sandbox, snapshotter: &str, image: &str, script: &str) -> Invocation {
    let store = t.path.join(format!("store-{snapshotter}"));
    let id = t.new_id();
    let head = [
        "--snapshotter",
        snapshotter,
        "--image",
        image,
        "--name",
        &id,
    ];
    run(t, &[&head[..], &["--", "sh", "-c", script]].concat()).env("CRUN_LITE_STORE", store)
}

fn shows_the_same_tree(t: &Sandbox) {
    let image = image(t);
    let overlay = with(t, "overlay", &image, TREE).output().text();
    assert_eq!(with(t, "erofs", &image, TREE).output().text(), overlay);
    let changed = "echo 2 > /srv/kept; rm /srv/opaque/above; mkdir /srv/new; ls /srv /srv/opaque; cat /srv/kept";
    let overlay = with(t, "overlay", &image, changed).output().text();
    assert_eq!(with(t, "erofs", &image, changed).output().text(), overlay);
    let devices = with(
        t,
        "erofs",
        &image,
        "cat /sys/block/loop*/loop/backing_file; true",
    );
    let devices = devices.env("CRUN_LITE_EROFS", "loop").output().text();
    let store = t.path.join("store-erofs").display().to_string();
    assert_eq!(devices.matches(&store).count(), 3, "{devices}");
    // Nothing of it was written through.
    assert_eq!(
        with(t, "erofs", &image, "cat /srv/kept").output().text(),
        "kept"
    );
    let mounts = fs::read_to_string("/proc/self/mounts").expect("mounts");
    assert!(
        !mounts.contains(t.path.to_str().expect("UTF-8")),
        "{mounts}"
    );
    let listed = command(t, &["image", "ls"])
        .env("CRUN_LITE_STORE", t.path.join("store-erofs"))
        .output()
        .text();
    assert!(listed.contains(" erofs "), "{listed}");
}

/// A store that EROFS can't be mounted from without one: on a tmpfs.
fn in_memory(t: &Sandbox, script: &str) -> String {
    let store = t.path.join("memory");
    fs::create_dir_all(&store).expect("mkdir");
    let prologue = format!(
        "mount -t tmpfs -o size=64m none {store} || exit 99
        export CRUN_LITE_STORE={store} CRUN_LITE_SNAPSHOTTER=erofs; L='{runtime} --root {root}'
        ours() {{ cat /sys/block/loop*/loop/backing_file 2>/dev/null | grep -c {store}; }}
        none() {{ for i in $(seq 100); do test $(ours) = 0 && return; sleep 0.1; done; echo left: $(ours); }}\n",
        store = store.display(),
        runtime = runtime::path().display(),
        root = t.root().display(),
    );
    let output = t
        .program(&["unshare", "-m", "sh", "-c", &(prologue + script)])
        .output()
        .ok();
    output.stdout.trim().to_owned()
}

fn runs_through_loop_devices_that_go_away(t: &Sandbox) {
    let image = image(t);
    let script = format!(
        "$L run -q --image {image} -- sh -c 'cat /srv/kept; test ! -e /srv/gone' || exit 1
        none
        $L run -q --image {image} --name killed -- sleep 100 & sleep 1; kill -9 $!; wait $!
        $L kill killed KILL; $L run -q --image {image} -- true; none
        echo done"
    );
    let text = in_memory(t, &script);
    assert!(text.starts_with("kept") && text.ends_with("done"), "{text}");
    assert!(!text.contains("left"), "{text}");
}

fn twenty_share_a_loop_device(t: &Sandbox) {
    let image = image(t);
    let script = format!(
        "$L image unpack -q {image} > /dev/null || exit 1
        for i in $(seq 20); do $L run -d -q --rm --image {image} --name share$i -- sleep 1000 & done; wait
        echo loops $(ours)
        for i in $(seq 20); do $L kill share$i KILL; done
        none; echo done"
    );
    let text = in_memory(t, &script);
    assert_eq!(text, "loops 3\ndone");
}

/// From the first byte of the image to the end of the container.
fn killed_at_any_moment_leaves_nothing(t: &Sandbox) {
    let image = image(t);
    let script = format!(
        "mounts=$(cat /proc/self/mountinfo)
        for ms in 005 010 015 020 030 040 050 060 080 100 120 150 200 300 400; do
          $L run -q --image {image} -- true & sleep 0.$ms; kill -9 $! 2>/dev/null; wait $!
          test $((${{ms#0}} % 3)) = 0 && $L image prune -a > /dev/null
        done
        $L run -q --image {image} -- true || exit 1
        for i in $(seq 50); do test -z \"$(ls $CRUN_LITE_STORE/overlay/snapshots)\" && break
          sleep 0.1; $L run -q --image {image} -- true; done
        none; ls $CRUN_LITE_STORE/overlay/snapshots $CRUN_LITE_STORE/overlay/work | grep -v :
        test \"$mounts\" = \"$(cat /proc/self/mountinfo)\" || echo mounted
        echo done"
    );
    assert_eq!(in_memory(t, &script), "done");
}

fn maps_ids(t: &Sandbox) {
    let image = image(t);
    let id = t.new_id();
    let script = "stat -c '%u:%g %n' /srv /srv/kept; touch /srv/x; stat -c %u /srv/x";
    let arguments = [
        "--snapshotter",
        "erofs",
        "--uidmap",
        "0:100000:65536",
        "--image",
        &image,
        "--name",
        &id,
    ];
    let output = run(t, &[&arguments[..], &["--", "sh", "-c", script]].concat()).output();
    if output.stderr.contains("6.15") {
        return eprintln!("skipped: {}", output.stderr);
    }
    assert_eq!(output.text(), "0:0 /srv\n0:0 /srv/kept\n0");
}

fn unpacks_mounts_and_commits(t: &Sandbox) {
    let image = image(t);
    let erofs = |words: &[&str]| {
        command(t, words)
            .env("CRUN_LITE_SNAPSHOTTER", "erofs")
            .output()
    };
    erofs(&["image", "import", &image, "box:1", "-q"]).ok();
    erofs(&["image", "unpack", "box:1"]).ok();
    let bundle = t.path.join("bundle");
    erofs(&["image", "unpack", "box:1", bundle.to_str().expect("UTF-8")]).ok();
    assert_eq!(
        fs::read_to_string(bundle.join("rootfs/srv/kept")).expect("read"),
        "kept"
    );
    assert!(!bundle.join("rootfs/srv/gone").exists());
    let place = t.path.join("mnt");
    fs::create_dir(&place).expect("mkdir");
    let place = place.to_str().expect("UTF-8");
    erofs(&["image", "mount", "box:1", place]).ok();
    assert_eq!(
        fs::read_to_string(format!("{place}/srv/kept")).expect("read"),
        "kept"
    );
    assert!(fs::write(format!("{place}/srv/kept"), "x").is_err());
    erofs(&["image", "umount", place]).ok();
    let id = t.new_id();
    erofs(&[
        "run",
        "-q",
        "--keep",
        "--image",
        "box:1",
        "--name",
        &id,
        "--",
        "sh",
        "-c",
        "echo 2 > /srv/kept; rm -r /srv/opaque",
    ])
    .ok();
    erofs(&["image", "commit", &id, "box:2"]).ok();
    erofs(&["delete", &id]).ok();
    assert_eq!(
        sh(
            t,
            "box:2",
            &["--snapshotter", "erofs"],
            "cat /srv/kept; ls /srv"
        ),
        "2\nkept\nkept-again"
    );
    erofs(&["image", "rm", "box:1", "box:2"]).ok();
    let left = fs::read_dir(t.path.join("store/overlay/layers/sha256")).expect("read");
    assert_eq!(left.count(), 0);
}

fn refuses_who_is_not_root(t: &Sandbox) {
    let image = image(t);
    run(t, &["--snapshotter", "tar", "--image", &image])
        .output()
        .refused_with(&["--snapshotter", "want overlay or erofs"]);
    run(t, &["--image", &image, "--name", &t.new_id(), "true"])
        .env("CRUN_LITE_SNAPSHOTTER", "x")
        .output()
        .refused_with(&["CRUN_LITE_SNAPSHOTTER", "want overlay or erofs"]);
}

fn refuses_bombs_by_flags(t: &Sandbox) {
    let deep = "d/".repeat(30);
    let image = ImageMaker::busybox(t)
        .layer(|dir| {
            fs::write(dir.join("zeros"), vec![0; 30 << 20]).expect("write");
            fs::create_dir_all(dir.join(&deep)).expect("mkdir");
        })
        .write();
    for snapshotter in ["overlay", "erofs"] {
        for (flag, value, said) in [
            ("--max-layer-size", "20m", "above the limit of 20971520"),
            ("--max-ratio", "50", "compression ratio"),
            ("--max-files", "10", "number of entries"),
            ("--max-depth", "20", "name depth"),
        ] {
            let store = t.path.join(format!("store-{snapshotter}"));
            let refused = command(
                t,
                &[
                    "image",
                    "unpack",
                    "-q",
                    "--snapshotter",
                    snapshotter,
                    flag,
                    value,
                    &image,
                ],
            );
            refused
                .env("CRUN_LITE_STORE", &store)
                .output()
                .refused_with(&[said, flag]);
            let work = fs::read_dir(store.join("overlay/work")).expect("read");
            assert_eq!(work.count(), 0);
        }
        with(t, snapshotter, &image, "true").output().ok();
    }
    run(t, &["--max-files", "none", "--image", &image])
        .output()
        .refused_with(&["--max-files", "want a number"]);
}

/// What is only stored is measured as it is stored.
fn limits_what_is_pulled(t: &Sandbox) {
    let image = image(t);
    let refused = command(
        t,
        &[
            "image",
            "import",
            &image,
            "box:1",
            "--max-layer-size",
            "1000",
        ],
    );
    refused.output().refused_with(&["--max-layer-size", "1000"]);
    let blobs = fs::read_dir(t.path.join("store/blobs/sha256")).map_or(0, Iterator::count);
    assert_eq!(blobs, 0);
    command(
        t,
        &[
            "image",
            "import",
            &image,
            "box:1",
            "--max-layer-size",
            "1g",
            "-q",
        ],
    )
    .output()
    .ok();
}
