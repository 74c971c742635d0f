//! `image unpack`, `image mount` and `image umount`: an image as a tree, without a container.

use std::fs;
use std::path::Path;

use crate::run_image::command;
use crate::support::{ImageMaker, Sandbox, Value, cases, host, json};

cases![
    unpacks_a_bundle_that_runs,
    unpacks_an_image_without_a_command,
    writes_the_command_that_was_given,
    unpacks_the_tree_that_umoci_unpacks,
    unpacks_layers_only,
    refuses_a_directory_that_is_full,
    mounts_and_unmounts,
    layers_stay_while_an_image_is_mounted,
];

fn image(t: &Sandbox) -> String {
    ImageMaker::busybox(t)
        .layer(|dir| {
            fs::create_dir_all(dir.join("srv/old")).expect("mkdir");
            fs::write(dir.join("srv/gone"), "").expect("write");
            fs::write(dir.join("srv/old/below"), "").expect("write");
            fs::write(dir.join("srv/one"), "same").expect("write");
            fs::hard_link(dir.join("srv/one"), dir.join("srv/two")).expect("link");
            std::os::unix::fs::chown(dir.join("srv/one"), Some(12), Some(34)).expect("chown");
        })
        .layer(|dir| {
            fs::create_dir_all(dir.join("srv/old")).expect("mkdir");
            fs::write(dir.join("srv/.wh.gone"), "").expect("write");
            fs::write(dir.join("srv/old/.wh..wh..opq"), "").expect("write");
            fs::write(dir.join("srv/old/above"), "").expect("write");
        })
        .set("Cmd", json!(["echo", "from the bundle"]))
        .set("User", json!("web"))
        .write()
}

fn unpacks_a_bundle_that_runs(t: &Sandbox) {
    let bundle = t.new_path("bundle");
    let bundle = bundle.to_string_lossy();
    command(t, &["image", "unpack", "-q", &image(t), &bundle])
        .output()
        .silent();
    let said = t
        .runtime(&["run", "-b", &bundle, &t.new_id()])
        .output()
        .text();
    assert_eq!(said, "from the bundle");
    let left = fs::read_dir(t.path.join("store/overlay/snapshots")).expect("read");
    assert_eq!(left.count(), 0);
}

fn unpacks_an_image_without_a_command(t: &Sandbox) {
    for (name, value) in [("null", json!(null)), ("empty", json!([]))] {
        let image = ImageMaker::busybox(t).set("Cmd", value).write();
        let bundle = t.new_path(name);
        let bundle = bundle.to_string_lossy();
        command(t, &["image", "unpack", "-q", &image, &bundle])
            .output()
            .silent();
        assert_eq!(args(&bundle), json!(["sh"]));
        let ran = t.runtime(&["run", "-b", &bundle, &t.new_id()]);
        ran.output().silent();
    }
}

fn writes_the_command_that_was_given(t: &Sandbox) {
    let (image, bundle) = (image(t), t.new_path("bundle"));
    let bundle = bundle.to_string_lossy();
    let words = ["--", "ls", "-d", "/srv"];
    let unpack = ["image", "unpack", "-q", &image, &bundle];
    command(t, &[&unpack[..], &words].concat())
        .output()
        .silent();
    assert_eq!(args(&bundle), json!(["ls", "-d", "/srv"]));
    command(t, &[&unpack[..4], &words].concat())
        .output()
        .refused_with(&["IMAGE DIRECTORY -- COMMAND"]);
}

/// The command of a bundle.
fn args(bundle: &str) -> Value {
    let text = fs::read(Path::new(bundle).join("config.json")).expect("read config.json");
    let config: Value = serde_json::from_slice(&text).expect("is JSON");
    config["process"]["args"].clone()
}

/// Type, mode, owner, size, times, link target, number of names, attributes and content of all there is.
fn listing(t: &Sandbox, root: &Path) -> String {
    let script = "cd \"$0\" && find . -printf '%p %y %m %U:%G %T@ %l %n\\n' | sort && \
        find . -type f -print0 | sort -z | xargs -0 sha256sum && getfattr -R -d -m - . 2>/dev/null";
    let listed = t
        .program(&["sh", "-c", script, &root.to_string_lossy()])
        .output();
    // getfattr may be missing, and then nobody has attributes to show.
    listed.stdout
}

fn unpacks_the_tree_that_umoci_unpacks(t: &Sandbox) {
    let image = image(t);
    let (ours, theirs) = (t.new_path("ours"), t.new_path("theirs"));
    command(
        t,
        &["image", "unpack", "-q", &image, &ours.to_string_lossy()],
    )
    .output()
    .ok();
    let source = format!("{}:latest", image.trim_start_matches("oci:"));
    let umoci = [
        "umoci",
        "unpack",
        "--image",
        &source,
        &theirs.to_string_lossy(),
    ];
    t.program(&umoci).output().ok();
    let (ours, theirs) = (
        listing(t, &ours.join("rootfs")),
        listing(t, &theirs.join("rootfs")),
    );
    let differences: Vec<&str> = ours
        .lines()
        .filter(|line| !theirs.contains(line))
        .chain(theirs.lines().filter(|line| !ours.contains(line)))
        .collect();
    assert_eq!(differences, Vec::<&str>::new());
}

fn unpacks_layers_only(t: &Sandbox) {
    let image = image(t);
    let said = command(t, &["image", "unpack", "-q", &image])
        .output()
        .text();
    assert!(said.ends_with("3 layers unpacked"), "{said}");
    let layers = fs::read_dir(t.path.join("store/overlay/layers/sha256")).expect("read");
    assert_eq!(layers.count(), 3);
}

fn refuses_a_directory_that_is_full(t: &Sandbox) {
    let directory = t.new_path("full");
    fs::create_dir(&directory).expect("mkdir");
    fs::write(directory.join("file"), "").expect("write");
    command(
        t,
        &[
            "image",
            "unpack",
            "-q",
            &image(t),
            &directory.to_string_lossy(),
        ],
    )
    .output()
    .refused_with(&["not empty"]);
}

fn mounts_and_unmounts(t: &Sandbox) {
    let image = image(t);
    let place = command(t, &["image", "mount", "-q", &image])
        .output()
        .text();
    let root = Path::new(&place);
    assert!(root.join("srv/old/above").exists() && !root.join("srv/gone").exists());
    assert!(fs::write(root.join("x"), "").is_err(), "it is read-only");
    command(t, &["image", "mount", "-q", &image])
        .output()
        .refused_with(&["already"]);
    command(t, &["image", "umount", &place]).output().silent();
    let own = t.new_path("own");
    fs::create_dir(&own).expect("mkdir");
    let own_text = own.to_string_lossy();
    assert_eq!(
        command(t, &["image", "mount", "-q", &image, &own_text])
            .output()
            .text(),
        own_text
    );
    assert!(own.join("srv/one").exists());
    command(t, &["image", "umount", &own_text])
        .output()
        .silent();
    command(t, &["image", "umount", &own_text])
        .output()
        .refused_with(&["no image is mounted"]);
    assert!(!host::mount_lines().iter().any(|line| line.contains(&t.tag)));
}

fn layers_stay_while_an_image_is_mounted(t: &Sandbox) {
    let image = image(t);
    let place = command(t, &["image", "mount", "-q", &image])
        .output()
        .text();
    command(t, &["image", "prune", "--all"]).output().ok();
    assert!(Path::new(&place).join("srv/one").exists());
    command(t, &["image", "umount", &place]).output().ok();
    command(t, &["image", "prune", "--all"]).output().ok();
    let layers = fs::read_dir(t.path.join("store/overlay/layers/sha256")).expect("read");
    assert_eq!(layers.count(), 0);
}
