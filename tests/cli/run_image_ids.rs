//! Containers of images whose ids are not the host's: in a user namespace, and of a caller without privileges.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use crate::run_image::{command, run, upper_of};
use crate::support::runtime::Invocation;
use crate::support::sandbox::wait_for;
use crate::support::{Container, ImageMaker, Sandbox, cases, runtime};

cases![
    layers_are_mapped_and_not_copied,
    a_mapped_containers_changes_are_committed_unmapped,
    a_mapped_container_lives_and_dies_like_others,
    refuses_maps_that_make_no_sense,
    runs_without_privileges,
    erofs_is_for_the_machines_root,
    removes_what_only_root_could_write,
    the_demo_runs_without_privileges,
    layers_keep_their_owners_for_whoever_has_ranges,
    a_detached_container_of_many_ids_is_left_by_others,
    what_many_ids_left_half_made_is_swept,
    what_many_ids_wrote_is_committed_and_removed,
    ids_that_can_not_be_used_are_told_of,
];

const OUTSIDE: u32 = 100_000;

fn users_image(t: &Sandbox) -> String {
    ImageMaker::busybox(t)
        .layer(|dir| {
            fs::create_dir(dir.join("srv")).expect("mkdir");
            fs::write(dir.join("srv/web"), "1").expect("write");
            chown(dir.join("srv/web"), Some(1000), Some(1000)).expect("chown");
        })
        .write()
}

fn layers_are_mapped_and_not_copied(t: &Sandbox) {
    let image = users_image(t);
    let c = Container::named(t, &t.bundle(), t.new_id());
    let map = format!("0:{OUTSIDE}:65536");
    let script = "cd /srv; stat -c '%u %n' /bin web /etc/hosts; echo 2 > web; touch mine theirs; chown 7:8 theirs; \
        mkdir -p /a/b; stat -c '%u:%g' mine theirs web; cat /proc/self/uid_map | tr -s ' '; sleep 100";
    run(
        t,
        &[
            "--image",
            &image,
            "--name",
            &c.id,
            "-d",
            "--uidmap",
            &map,
            "--",
            "sh",
            "-c",
            &format!("({script}) > /said 2>&1"),
        ],
    )
    .output()
    .ok();
    let upper = upper_of(&c);
    crate::support::sandbox::wait_for("its words", || {
        fs::read_to_string(upper.join("said")).is_ok_and(|said| said.contains("65536"))
    });
    let said = fs::read_to_string(upper.join("said")).expect("read");
    assert_eq!(
        said,
        format!("0 /bin\n1000 web\n0 /etc/hosts\n0:0\n7:8\n1000:1000\n 0 {OUTSIDE} 65536\n")
    );
    // The process is somebody else on the host; its files are not.
    let process = fs::metadata(format!("/proc/{}", c.pid())).expect("stat");
    assert_eq!(process.uid(), OUTSIDE);
    for (file, uid, gid) in [("mine", 0, 0), ("theirs", 7, 8), ("web", 1000, 1000)] {
        let metadata = fs::metadata(upper.join("srv").join(file)).expect("stat");
        assert_eq!((metadata.uid(), metadata.gid()), (uid, gid), "{file}");
    }
    assert!(
        !upper.join("bin").exists(),
        "nothing was copied to change its owner"
    );
    c.delete(&["--force"]).ok();
}

fn a_mapped_containers_changes_are_committed_unmapped(t: &Sandbox) {
    let image = users_image(t);
    let id = t.new_id();
    let map = format!("0:{OUTSIDE}:65536");
    run(
        t,
        &[
            "--image",
            &image,
            "--name",
            &id,
            "--keep",
            "--uidmap",
            &map,
            "--",
            "sh",
            "-c",
            "rm /srv/web; touch /file; chown 5:6 /file",
        ],
    )
    .output()
    .ok();
    command(t, &["image", "commit", &id, "mapped:1"])
        .output()
        .ok();
    t.runtime(&["delete", &id]).output().ok();
    let seen = run(
        t,
        &[
            "--image",
            "mapped:1",
            "--name",
            &t.new_id(),
            "--",
            "sh",
            "-c",
            "stat -c %u:%g /file; ls /srv | wc -l",
        ],
    )
    .output()
    .text();
    assert_eq!(seen, "5:6\n0");
}

fn a_mapped_container_lives_and_dies_like_others(t: &Sandbox) {
    let image = users_image(t);
    let c = Container::named(t, &t.bundle(), t.new_id());
    let map = format!("0:{OUTSIDE}:65536");
    command(
        t,
        &[
            "create", "--image", &image, "--name", &c.id, "--uidmap", &map, "--", "sleep", "100",
        ],
    )
    .output()
    .ok();
    c.start().ok();
    assert_eq!(c.sh("touch /x && id -u"), "0");
    c.delete(&["--force"]).ok();
    assert_eq!(t.state_entries(), Vec::<String>::new());
    let left = fs::read_dir(t.path.join("store/overlay/snapshots")).expect("read");
    assert_eq!(left.count(), 0);
}

fn refuses_maps_that_make_no_sense(t: &Sandbox) {
    let image = ImageMaker::busybox(t).write();
    for (options, text) in [
        (&["--uidmap", "0:1"][..], "INSIDE:OUTSIDE:SIZE"),
        (&["--gidmap", "0:1:2"], "--uidmap"),
        (&["--uidmap", "1:100000:1", "-u", "1:1"], "maps no root"),
    ] {
        let all = [
            &["--image", image.as_str(), "--name", "x"],
            options,
            &["true"],
        ]
        .concat();
        run(t, &all).output().fails_with(&[text]);
    }
    assert_eq!(t.state_entries(), Vec::<String>::new());
}

/// A caller without privileges, with a directory of its own.
struct Stranger<'t> {
    sandbox: &'t Sandbox,
    home: PathBuf,
    /// Files that it sees in place of the host's, with its name and its ranges of subordinate ids.
    etc: Option<PathBuf>,
    /// How a shell that has made the files visible goes on.
    goes_on: &'static str,
}

impl<'t> Stranger<'t> {
    const ID: u32 = 1000;
    /// The first of its subordinate ids, which is 1 in its containers.
    const FIRST: u32 = 700_000;

    fn new(sandbox: &'t Sandbox) -> Self {
        let home = sandbox.new_path("home");
        fs::DirBuilder::new()
            .mode(0o755)
            .create(&home)
            .expect("mkdir");
        runtime::copy_program(runtime::path(), &home.join("crun-lite"));
        for directory in ["", "run", "tmp", "data"] {
            let path = home.join(directory);
            fs::create_dir_all(&path).expect("mkdir");
            chown(&path, Some(Self::ID), Some(Self::ID)).expect("chown");
        }
        Stranger {
            sandbox,
            home,
            etc: None,
            goes_on: "exec \"$@\"",
        }
    }

    fn with_ranges(sandbox: &'t Sandbox) -> Self {
        let etc = sandbox.new_path("etc");
        fs::create_dir(&etc).expect("mkdir");
        let ranges = format!("sailor:{}:65536\n", Self::FIRST);
        let id = Self::ID;
        for (file, text) in [
            (
                "passwd",
                format!("root:x:0:0::/:/bin/sh\nsailor:x:{id}:{id}::/:/bin/sh\n"),
            ),
            ("group", format!("root:x:0:\nsailor:x:{id}:\n")),
            ("subuid", ranges.clone()),
            ("subgid", ranges),
        ] {
            fs::write(etc.join(file), text).expect("write");
        }
        Stranger {
            etc: Some(etc),
            ..Stranger::new(sandbox)
        }
    }

    fn runs(&self, arguments: &[&str]) -> Invocation {
        let program = self.home.join("crun-lite");
        let program = program.to_string_lossy();
        let id = Self::ID.to_string();
        let etc = self.etc.as_ref().map(|etc| etc.to_string_lossy());
        let bind = format!(
            "for file in passwd group subuid subgid; do mount --bind \"$0/$file\" /etc/$file || exit; done; {}",
            self.goes_on
        );
        let own_etc: &[&str] = match &etc {
            Some(etc) => &["unshare", "--mount", "sh", "-c", &bind, etc],
            None => &[],
        };
        let head = [
            "setpriv",
            "--reuid",
            &id,
            "--regid",
            &id,
            "--clear-groups",
            &program,
        ];
        self.sandbox
            .program(&[own_etc, &head, arguments].concat())
            .env("HOME", &self.home)
            .env("USER", "stranger")
            .env("XDG_RUNTIME_DIR", self.home.join("run"))
            .env("XDG_DATA_HOME", self.home.join("data"))
            .env("TMPDIR", self.home.join("tmp"))
            // Nobody but the machine's root mounts EROFS, whatever the other cases are run with.
            .env("CRUN_LITE_SNAPSHOTTER", "overlay")
    }

    /// The next commands remove what a killed one left; what it started may take a moment to end.
    #[track_caller]
    fn is_swept(&self, words: &[&str]) {
        let places = ["snapshots", "uppers", "tended", "work"]
            .map(|name| format!("data/crun-lite/overlay/{name}"));
        wait_for("the killed one to be swept", || {
            self.runs(words).output().ok();
            let store: usize = places.iter().map(|place| self.left(place)).sum();
            store + self.left("run/crun-lite") == 0
        });
    }

    fn left(&self, directory: &str) -> usize {
        let path: &Path = &self.home.join(directory);
        fs::read_dir(path).expect("read").count()
    }
}

fn runs_without_privileges(t: &Sandbox) {
    let stranger = Stranger::new(t);
    let image = users_image(t);
    let script = "id -u; touch /x; echo 2 > /srv/web; rm /bin/ls; stat -c %u /srv/web; test -e /bin/ls || echo gone; grep -c userxattr /proc/mounts";
    let seen = stranger
        .runs(&["run", "-q", "--image", &image, "--", "sh", "-c", script])
        .output()
        .text();
    assert_eq!(seen, "0\n0\ngone\n1");
    assert_eq!(stranger.left("data/crun-lite/overlay/snapshots"), 0);
    assert_eq!(stranger.left("run/crun-lite"), 0);
    let who = |user: &str| {
        let words = [
            "run",
            "-q",
            "--image",
            &image,
            "-u",
            user,
            "--",
            "sh",
            "-c",
            "id -u; id -g; touch /tmp/x",
        ];
        stranger.runs(&words).output().text()
    };
    assert_eq!(who("web"), "1000\n1000");
    assert_eq!(who("77:88"), "77\n88");
}

fn erofs_is_for_the_machines_root(t: &Sandbox) {
    let stranger = Stranger::new(t);
    let image = users_image(t);
    stranger
        .runs(&["run", "-q", "--snapshotter", "erofs", "--image", &image])
        .output()
        .refused_with(&["the machine's root", "overlay"]);
}

fn removes_what_only_root_could_write(t: &Sandbox) {
    let stranger = Stranger::new(t);
    let image = users_image(t);
    let script = "mkdir -p /a/b; touch /a/b/c; chmod 0 /a/b; chmod 555 /a; mkdir -m 0 /z";
    stranger
        .runs(&["run", "-q", "--image", &image, "--", "sh", "-c", script])
        .output()
        .ok();
    assert_eq!(stranger.left("data/crun-lite/overlay/snapshots"), 0);
    assert_eq!(stranger.left("data/crun-lite/overlay/work"), 0);
}

fn the_demo_runs_without_privileges(t: &Sandbox) {
    let stranger = Stranger::new(t);
    let demo = stranger.runs(&["demo"]);
    let said = demo.time_limit(runtime::DEMO_TIME_LIMIT).output().text();
    for text in [
        "uid         1000 (which is user 1000 outside)",
        "overlay of 3 layers",
        "secret is gone",
    ] {
        assert!(said.contains(text), "{text} in {said}");
    }
    assert_eq!(stranger.left("tmp"), 0);
}

fn layers_keep_their_owners_for_whoever_has_ranges(t: &Sandbox) {
    let stranger = Stranger::with_ranges(t);
    let image = users_image(t);
    let script = "id -u; stat -c %u:%g /bin/sh /srv/web; touch /x; chown 33:34 /x; stat -c %u:%g /x; mkdir /d; chown 7 /d; \
        tr -s ' ' </proc/self/uid_map";
    let seen = stranger
        .runs(&["run", "-q", "--image", &image, "--", "sh", "-c", script])
        .output()
        .text();
    let maps = " 0 0 1\n 1 1 65536";
    assert_eq!(seen, format!("0\n0:0\n1000:1000\n33:34\n{maps}"));
    assert_eq!(stranger.left("data/crun-lite/overlay/snapshots"), 0);
    assert_eq!(stranger.left("run/crun-lite"), 0);
    // Another user of the image is another on the host, and has its groups.
    let words = [
        "run",
        "-q",
        "--image",
        &image,
        "-u",
        "web",
        "--group-add",
        "12",
        "--",
        "sh",
        "-c",
    ];
    let seen = stranger
        .runs(&[&words[..], &["id -u; id -G; touch /srv/web && echo mine; touch /x 2>/dev/null || echo not mine"]].concat())
        .output()
        .text();
    assert_eq!(seen, "1000\n1000 12 2000\nmine\nnot mine");
    let layers = stranger.home.join("data/crun-lite/overlay/layers/sha256");
    let web = fs::read_dir(layers)
        .expect("read")
        .flatten()
        .find_map(|layer| fs::metadata(layer.path().join("fs/srv/web")).ok())
        .expect("a layer has it");
    assert_eq!(web.uid(), Stranger::FIRST + 999);
}

fn a_detached_container_of_many_ids_is_left_by_others(t: &Sandbox) {
    let stranger = Stranger::with_ranges(t);
    let image = users_image(t);
    let id = t.new_id();
    let script = "mkdir -m 700 /tmp/mine; touch /tmp/mine/x; exec sleep 100";
    let words = [
        "run", "-q", "-d", "--image", &image, "--name", &id, "-u", "web", "--", "sh", "-c", script,
    ];
    stranger.runs(&words).output().ok();
    let seen = stranger.runs(&["exec", &id, "id", "-u"]).output().text();
    assert_eq!(seen, "1000");
    stranger.runs(&["delete", "--force", &id]).output().silent();
    assert_eq!(stranger.left("data/crun-lite/overlay/snapshots"), 0);
    assert_eq!(stranger.left("run/crun-lite"), 0);
}

/// A half-made container whose directory belongs to a subordinate id, and one whose program gave files to others.
fn what_many_ids_left_half_made_is_swept(t: &Sandbox) {
    runtime::needs_injected_faults();
    let stranger = Stranger::with_ranges(t);
    let image = ImageMaker::busybox(t)
        .layer(|dir| {
            fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).expect("chmod");
            chown(dir, Some(12), Some(34)).expect("chown");
        })
        .write();
    let words = ["run", "-q", "--image", &image, "--", "true"];
    stranger.runs(&words).output().ok();
    let uppers = stranger.home.join("data/crun-lite/overlay/uppers");
    let owners = || -> Vec<u32> {
        let uppers = fs::read_dir(&uppers).expect("read").flatten();
        let uppers = uppers.map(|entry| entry.metadata().expect("stat"));
        uppers.map(|upper| upper.uid()).collect()
    };
    for point in ["snapshot", "created"] {
        let killed = stranger
            .runs(&words)
            .env("CRUN_LITE_FAULT", format!("parent:{point}:die"))
            .output();
        assert!(!killed.status.success(), "{point}: {killed}");
        assert_eq!(owners(), [Stranger::FIRST + 11], "{point}");
        stranger.is_swept(&words);
    }
    let id = t.new_id();
    let script =
        "mkdir -m 700 /mine; touch /mine/x; chown -R 56:78 /mine; touch /ready; exec sleep 100";
    let running = stranger
        .runs(&[
            "run", "-q", "--image", &image, "--name", &id, "--", "sh", "-c", script,
        ])
        .spawn();
    wait_for("the program to have written", || {
        let mut uppers = fs::read_dir(&uppers).expect("read").flatten();
        uppers.any(|upper| upper.path().join("ready").exists())
    });
    running.signal(nix::sys::signal::Signal::SIGKILL);
    drop(running.wait());
    stranger.runs(&["kill", &id, "KILL"]).output().ok();
    stranger.is_swept(&words);
}

fn what_many_ids_wrote_is_committed_and_removed(t: &Sandbox) {
    let stranger = Stranger::with_ranges(t);
    let image = users_image(t);
    let id = t.new_id();
    let script = "mkdir -m 700 /mine; echo text >/mine/x; chmod 600 /mine/x; chown -R 12:34 /mine";
    let words = [
        "run", "-q", "--keep", "--image", &image, "--name", &id, "--", "sh", "-c", script,
    ];
    stranger.runs(&words).output().ok();
    stranger
        .runs(&["image", "commit", &id, "mine:1"])
        .output()
        .ok();
    stranger.runs(&["delete", &id]).output().silent();
    let look = "stat -c %u:%g:%a /mine /mine/x; cat /mine/x";
    let seen = stranger
        .runs(&["run", "-q", "--image", "mine:1", "--", "sh", "-c", look])
        .output()
        .text();
    assert_eq!(seen, "12:34:700\n12:34:600\ntext");
    stranger.runs(&["image", "prune", "--all"]).output().ok();
    for directory in ["layers/sha256", "snapshots", "uppers", "work"] {
        let path = format!("data/crun-lite/overlay/{directory}");
        assert_eq!(stranger.left(&path), 0, "{directory}");
    }
}

fn ids_that_can_not_be_used_are_told_of(t: &Sandbox) {
    // A changed root forbids user namespaces: user_namespaces(7).
    let stranger = Stranger {
        goes_on: "mkdir \"$0/root\" && mount --rbind / \"$0/root\" && exec chroot \"$0/root\" \"$@\"",
        ..Stranger::with_ranges(t)
    };
    stranger
        .runs(&["run", "-q", "--rootfs", "/:O", "true"])
        .time_limit(runtime::patience(20))
        .output()
        .fails_with(&["unshare a user namespace for the subordinate ids"]);
}
