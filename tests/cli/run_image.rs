//! `run --image` and `create --image`: what the container is like. Images are made of busybox-static, by hand.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use crate::support::runtime::Invocation;
use crate::support::{Container, ImageMaker, Sandbox, Value, cases, json, runtime};

cases![
    runs_the_images_command,
    asks_where_registries_conf_says,
    runs_from_the_store_without_the_source,
    shows_the_layers_as_one_tree,
    writes_to_a_copy_of_its_own,
    gives_the_environment,
    overrides_entrypoint_and_command,
    becomes_the_user_of_the_image,
    never_follows_the_images_passwd_out,
    makes_the_working_directory,
    limits_capabilities_and_resources,
    names_the_host,
    shares_the_hosts_network_when_told,
    reads_nothing_unless_interactive,
    filters_system_calls,
    puts_an_init_in_front,
    more_layers_than_fit_into_a_page,
    refuses_what_makes_no_sense,
    runs_a_directory_under_a_copy,
    runs_the_hosts_root_under_a_copy,
];

/// `run`, with the sandbox's own store and no word about progress.
pub fn run(t: &Sandbox, arguments: &[&str]) -> Invocation {
    command(t, &[&["run", "-q"], arguments].concat())
}

/// Any command, with the sandbox's own store.
pub fn command(t: &Sandbox, arguments: &[&str]) -> Invocation {
    t.runtime(arguments)
        .env("CRUN_LITE_STORE", t.path.join("store"))
}

/// The directory of a container's changes: docs/images.md.
pub fn upper_of(container: &Container) -> PathBuf {
    let state = container.state();
    let bundle = Path::new(state["bundle"].as_str().expect("a path"));
    let overlay = bundle.ancestors().nth(2).expect("the store");
    overlay
        .join("uppers")
        .join(bundle.file_name().expect("a name"))
}

/// What a shell in a container of the image prints.
#[track_caller]
pub fn sh(t: &Sandbox, image: &str, options: &[&str], script: &str) -> String {
    let id = t.new_id();
    let head = ["--image", image, "--name", &id];
    let tail = ["--", "sh", "-c", script];
    run(t, &[&head, options, &tail].concat()).output().text()
}

fn runs_the_images_command(t: &Sandbox) {
    let image = ImageMaker::busybox(t)
        .set("Cmd", json!(["echo", "from the image"]))
        .write();
    let output = run(t, &["--image", &image, "--name", &t.new_id()]).output();
    assert_eq!(
        (output.stdout.as_str(), output.stderr.as_str()),
        ("from the image\n", "")
    );
    let code = run(
        t,
        &[
            "--image",
            &image,
            "--name",
            &t.new_id(),
            "sh",
            "-c",
            "exit 7",
        ],
    )
    .output();
    assert_eq!(code.code(), 7);
}

fn asks_where_registries_conf_says(t: &Sandbox) {
    let image = ImageMaker::busybox(t).write();
    command(t, &["image", "import", &image, "quay.io/me/box:1", "-q"])
        .output()
        .ok();
    let conf = t.path.join("registries.conf");
    let with = |text: &str, name: &str| {
        fs::write(&conf, text).expect("write");
        let id = t.new_id();
        run(t, &["--image", name, "--name", &id, "--", "true"])
            .env("CONTAINERS_REGISTRIES_CONF", &conf)
            .output()
    };
    let blocked = "[[registry]]\nprefix = \"quay.io\"\nblocked = true\n";
    with(blocked, "quay.io/me/other:1").refused_with(&["blocks quay.io"]);
    with("[[registry]]\nlocation = nonsense\n", "quay.io/me/other:1")
        .refused_with(&["registries.conf", "line 2"]);
    let mirror = "[[registry]]\nlocation = \"quay.io\"\n[[registry.mirror]]\nlocation = \"127.0.0.1:1/copy\"\n";
    let output = with(mirror, "quay.io/me/other:1").fails();
    assert!(output.stderr.contains("quay.io"), "{output}");
    // What is in the store needs no registry.
    with(blocked, "quay.io/me/box:1").ok();
}

fn runs_from_the_store_without_the_source(t: &Sandbox) {
    let image = ImageMaker::busybox(t).write();
    command(t, &["image", "import", &image, "quay.io/me/box:1", "-q"])
        .output()
        .ok();
    let source = image.trim_start_matches("oci:");
    fs::remove_dir_all(source).expect("remove the source");
    for name in ["quay.io/me/box:1", "docker://quay.io/me/box:1"] {
        assert_eq!(sh(t, name, &[], "echo here"), "here");
    }
    run(
        t,
        &[
            "--image",
            "quay.io/me/none:1",
            "--pull",
            "never",
            "--name",
            &t.new_id(),
        ],
    )
    .output()
    .refused_with(&["quay.io/me/none:1"]);
}

fn shows_the_layers_as_one_tree(t: &Sandbox) {
    let image = ImageMaker::busybox(t)
        .layer(|dir| {
            fs::create_dir_all(dir.join("srv/opaque")).expect("mkdir");
            fs::write(dir.join("srv/gone"), "1").expect("write");
            fs::write(dir.join("srv/changed"), "old").expect("write");
            fs::write(dir.join("srv/opaque/below"), "1").expect("write");
        })
        .layer(|dir| {
            fs::create_dir_all(dir.join("srv/opaque")).expect("mkdir");
            fs::write(dir.join("srv/.wh.gone"), "").expect("write");
            fs::write(dir.join("srv/changed"), "new").expect("write");
            fs::write(dir.join("srv/opaque/.wh..wh..opq"), "").expect("write");
            fs::write(dir.join("srv/opaque/above"), "1").expect("write");
            fs::set_permissions(dir, fs::Permissions::from_mode(0o751)).expect("chmod");
        })
        .write();
    let seen = sh(
        t,
        &image,
        &[],
        "ls /srv /srv/opaque; cat /srv/changed; stat -c ' %a' /",
    );
    assert_eq!(
        seen,
        "/srv:\nchanged\nopaque\n\n/srv/opaque:\nabove\nnew 751"
    );
}

fn writes_to_a_copy_of_its_own(t: &Sandbox) {
    let image = ImageMaker::busybox(t).write();
    sh(t, &image, &[], "echo mine > /etc/group; rm /etc/passwd");
    assert_eq!(
        sh(t, &image, &[], "head -n1 /etc/group; wc -l < /etc/passwd"),
        "root:x:0:\n2"
    );
}

fn gives_the_environment(t: &Sandbox) {
    let image = ImageMaker::busybox(t)
        .set("Env", json!(["PATH=/bin", "A=image", "B=image"]))
        .write();
    fs::write(t.path.join("variables"), "# note\n\nC=file\nB=file\n").expect("write");
    let file = t.path.join("variables");
    let id = t.new_id();
    let seen = run(
        t,
        &[
            "--image",
            &image,
            "--name",
            &id,
            "--env-file",
            &file.to_string_lossy(),
            "-e",
            "B=mine",
            "-e",
            "FROM_CALLER",
            "-e",
            "NOT_SET_THERE",
            "--",
            "env",
        ],
    )
    .env("FROM_CALLER", "yes")
    .output()
    .text();
    let lines: Vec<&str> = seen.lines().collect();
    for line in [
        "PATH=/bin",
        "A=image",
        "B=mine",
        "C=file",
        "FROM_CALLER=yes",
        "HOME=/root",
    ] {
        assert!(lines.contains(&line), "{line} in {seen}");
    }
    assert!(!seen.contains("NOT_SET_THERE"), "{seen}");
}

fn overrides_entrypoint_and_command(t: &Sandbox) {
    let image = ImageMaker::busybox(t)
        .set("Entrypoint", json!(["echo", "entry"]))
        .set("Cmd", json!(["command"]))
        .write();
    let said = |options: &[&str]| {
        let id = t.new_id();
        run(t, &[&["--image", &image, "--name", &id], options].concat())
            .output()
            .text()
    };
    assert_eq!(said(&[]), "entry command");
    assert_eq!(said(&["--", "mine"]), "entry mine");
    assert_eq!(said(&["--entrypoint", "echo"]), "");
    assert_eq!(
        said(&["--entrypoint", "", "--", "echo", "-n", "bare"]),
        "bare"
    );
}

fn becomes_the_user_of_the_image(t: &Sandbox) {
    let image = ImageMaker::busybox(t).set("User", json!("web")).write();
    let who = |options: &[&str]| sh(t, &image, options, "echo $(id -u) $(id -g) $(id -G) $HOME");
    assert_eq!(who(&[]), "1000 1000 1000 2000 /home/web");
    assert_eq!(who(&["-u", "0"]), "0 0 0 /root");
    assert_eq!(
        who(&["-u", "42:web", "--group-add", "7"]),
        "42 1000 1000 7 /"
    );
    run(
        t,
        &[
            "--image",
            &image,
            "-u",
            "nobody-there",
            "--name",
            &t.new_id(),
        ],
    )
    .output()
    .refused_with(&["nobody-there", "/etc/passwd"]);
}

/// CVE-2024-9676 and relatives: an image's user files lead to the host's, to a FIFO, to no end.
fn never_follows_the_images_passwd_out(t: &Sandbox) {
    let outside = t.path.join("secret");
    fs::write(&outside, "spy:x:77:77::/:/bin/sh\n").expect("write");
    let with_passwd = |make: &dyn Fn(&std::path::Path)| {
        ImageMaker::busybox(t)
            .layer(|dir| {
                fs::create_dir_all(dir.join("etc")).expect("mkdir");
                make(&dir.join("etc/passwd"));
            })
            .write()
    };
    let linked = with_passwd(&|path| symlink(&outside, path).expect("link"));
    let fifo = with_passwd(&|path| {
        nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).expect("mkfifo");
    });
    for image in [linked, fifo] {
        run(t, &["--image", &image, "-u", "spy", "--name", &t.new_id()])
            .output()
            .refused_with(&["spy"]);
        assert_eq!(sh(t, &image, &["-u", "5"], "id -u"), "5");
    }
    let inside = ImageMaker::busybox(t)
        .layer(|dir| {
            fs::create_dir_all(dir.join("etc")).expect("mkdir");
            fs::create_dir_all(dir.join("usr/lib")).expect("mkdir");
            symlink("../usr/lib/passwd", dir.join("etc/passwd")).expect("link");
            fs::write(dir.join("usr/lib/passwd"), "own:x:88:88::/own:/bin/sh\n").expect("write");
        })
        .write();
    assert_eq!(
        sh(t, &inside, &["-u", "own"], "id -u; echo $HOME"),
        "88\n/own"
    );
    let huge = with_passwd(&|path| {
        fs::File::create(path)
            .and_then(|file| file.set_len(2 << 20))
            .expect("write");
    });
    run(t, &["--image", &huge, "--name", &t.new_id()])
        .output()
        .refused_with(&["/etc/passwd", "1048576"]);
}

fn makes_the_working_directory(t: &Sandbox) {
    let image = ImageMaker::busybox(t)
        .set("WorkingDir", json!("/made/here"))
        .write();
    assert_eq!(sh(t, &image, &[], "pwd"), "/made/here");
    assert_eq!(sh(t, &image, &["-w", "/other"], "pwd"), "/other");
}

fn limits_capabilities_and_resources(t: &Sandbox) {
    let image = ImageMaker::busybox(t).write();
    let bounding = |options: &[&str]| {
        sh(
            t,
            &image,
            options,
            "grep CapBnd /proc/self/status | cut -f2",
        )
    };
    assert_eq!(bounding(&[]), "00000000a80425fb");
    assert_eq!(
        bounding(&["--cap-drop", "ALL", "--cap-add", "chown"]),
        "0000000000000001"
    );
    let id = t.new_id();
    run(
        t,
        &[
            "--image",
            &image,
            "--name",
            &id,
            "-d",
            "--memory",
            "64m",
            "--cpus",
            "0.5",
            "--pids-limit",
            "20",
            "sleep",
            "100",
        ],
    )
    .output()
    .ok();
    let c = Container::named(t, &t.bundle(), id);
    let events = c.invoke(&["events", "--stats"]).output().text();
    let stats: Value = serde_json::from_str(&events).expect("is JSON");
    let data = &stats["data"];
    assert_eq!(data["memory"]["usage"]["limit"], 64 << 20, "{stats}");
    assert_eq!(data["pids"]["limit"], 20, "{stats}");
    c.delete(&["--force"]).ok();
}

fn names_the_host(t: &Sandbox) {
    let image = ImageMaker::busybox(t).write();
    let seen = sh(
        t,
        &image,
        &["--hostname", "db1"],
        "hostname; cat /etc/hostname; grep -c db1 /etc/hosts",
    );
    assert_eq!(seen, "db1\ndb1\n1");
}

fn shares_the_hosts_network_when_told(t: &Sandbox) {
    let image = ImageMaker::busybox(t).write();
    let network = |options: &[&str]| sh(t, &image, options, "readlink /proc/self/ns/net");
    let host = crate::support::host::namespace("self", "net");
    assert_ne!(network(&[]), host);
    assert_eq!(network(&["--network", "host"]), host);
    assert_eq!(network(&["--network", "/proc/self/ns/net"]), host);
}

fn reads_nothing_unless_interactive(t: &Sandbox) {
    let image = ImageMaker::busybox(t).write();
    let read = |options: &[&str]| {
        let id = t.new_id();
        let all = [&["--image", &image, "--name", &id], options, &["--", "cat"]].concat();
        run(t, &all).stdin("words").output().text()
    };
    assert_eq!(read(&[]), "");
    assert_eq!(read(&["-i"]), "words");
}

fn filters_system_calls(t: &Sandbox) {
    let image = ImageMaker::busybox(t).write();
    let mode = |options: &[&str]| {
        sh(
            t,
            &image,
            options,
            "grep -w Seccomp /proc/self/status | cut -f2",
        )
    };
    assert_eq!(mode(&[]), "2");
    // A runtime that is denied calls has a filter already.
    let before = if runtime::denier().is_empty() {
        "0"
    } else {
        "2"
    };
    assert_eq!(mode(&["--security-opt", "seccomp=unconfined"]), before);
    // It takes no privilege, so only the filter forbids it: in the container's process and in another one.
    let unshare = "unshare -U true 2>&1 || true";
    let refused = |output: &str| assert!(output.contains("not permitted"), "{output}");
    refused(&sh(t, &image, &[], unshare));
    refused(&sh(t, &image, &["--cap-drop", "SYS_CHROOT"], unshare));
    let c = Container::named(t, &t.bundle(), t.new_id());
    let words = [
        "--image", &image, "--name", &c.id, "-d", "--", "sleep", "100",
    ];
    run(t, &words).output().ok();
    refused(&c.sh(unshare));
    c.delete(&["--force"]).ok();
    let privileges = sh(
        t,
        &image,
        &["--security-opt", "no-new-privileges"],
        "grep NoNewPrivs /proc/self/status | cut -f2",
    );
    assert_eq!(privileges, "1");
}

fn puts_an_init_in_front(t: &Sandbox) {
    let image = ImageMaker::busybox(t).write();
    let seen = sh(
        t,
        &image,
        &["--init"],
        "cat /proc/1/cmdline | tr '\\0' ' '; echo $$",
    );
    assert!(
        seen.starts_with("/dev/init -- sh -c") && seen.ends_with('2'),
        "{seen}"
    );
    // An orphan is reaped: only init, the shell and ps itself are left.
    let orphans = "(sleep 0.01 &); sleep 0.3; ps -o stat | grep -c Z";
    assert_eq!(
        sh(t, &image, &["--init"], &format!("{orphans} || true")),
        "0"
    );
    let code = |words: &[&str]| {
        let id = t.new_id();
        let all = [
            &["--image", image.as_str(), "--name", &id, "--init", "--"],
            words,
        ]
        .concat();
        run(t, &all).output().code()
    };
    assert_eq!(code(&["sh", "-c", "exit 9"]), 9);
    assert_eq!(code(&["sh", "-c", "kill -TERM $$"]), 143);
    assert_eq!(code(&["no-such-program"]), 127);
    let id = t.new_id();
    let running = run(
        t,
        &[
            "--image", &image, "--name", &id, "--init", "--", "sleep", "100",
        ],
    )
    .spawn();
    let c = Container::named(t, &t.bundle(), id);
    crate::support::sandbox::wait_for("two processes", || {
        let listed = c.invoke(&["ps", "--format", "json"]).output();
        listed.stdout.matches(',').count() == 1
    });
    running.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(running.wait().code(), 143, "the signal went to the program");
}

fn more_layers_than_fit_into_a_page(t: &Sandbox) {
    let mut image = ImageMaker::busybox(t);
    for number in 0..120 {
        image =
            image.layer(|dir| fs::write(dir.join(format!("layer{number}")), "").expect("write"));
    }
    let image = image.write();
    assert_eq!(sh(t, &image, &[], "ls / | grep -c layer"), "120");
}

fn refuses_what_makes_no_sense(t: &Sandbox) {
    let image = ImageMaker::busybox(t).write();
    let refused = |options: &[&str], texts: &[&str]| {
        let all = [&["--image", image.as_str(), "--name", "x"], options].concat();
        run(t, &all).output().refused_with(texts);
    };
    refused(&["--rm", "--keep"], &["--keep and --rm"]);
    refused(&["--rootfs", "/:O"], &["--image and --rootfs"]);
    refused(&["--network", "bridge"], &["--network", "bridge"]);
    refused(&["--memory", "lots"], &["--memory", "lots"]);
    refused(&["-v", "relative:/x"], &["relative"]);
    refused(&["--device", "/etc/passwd"], &["/etc/passwd is no device"]);
    refused(&["--pull", "sometimes"], &["--pull", "sometimes"]);
    run(t, &["--rootfs", "/tmp"])
        .output()
        .refused_with(&["DIR:O"]);
    run(t, &["--image", "oci:/nowhere/at/all"])
        .output()
        .refused_with(&["/nowhere/at/all"]);
    assert_eq!(t.state_entries(), Vec::<String>::new());
}

fn runs_a_directory_under_a_copy(t: &Sandbox) {
    let directory = t.new_path("directory");
    crate::support::rootfs::make(&directory);
    let lower = format!("{}:O", directory.display());
    let seen = run(
        t,
        &[
            "--rootfs",
            &lower,
            "--name",
            &t.new_id(),
            "-u",
            "web",
            "--",
            "sh",
            "-c",
            "id -u; touch /tmp/x && echo written",
        ],
    )
    .output()
    .text();
    assert_eq!(seen, "1000\nwritten");
    assert!(
        !directory.join("tmp/x").exists(),
        "the directory is only read"
    );
}

fn runs_the_hosts_root_under_a_copy(t: &Sandbox) {
    let mark = format!("/{}", t.tag);
    let script = format!("touch {mark} && test -e {mark} && echo written");
    let seen = run(
        t,
        &[
            "--rootfs",
            "/:O",
            "--name",
            &t.new_id(),
            "--",
            "/bin/sh",
            "-c",
            &script,
        ],
    )
    .output()
    .text();
    assert_eq!(seen, "written");
    assert!(
        !std::path::Path::new(&mark).exists(),
        "the host's root is only read"
    );
}
