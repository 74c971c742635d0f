//! A Debian made by mmdebstrap as a container: its shell, its package manager, and every command of a lifecycle.

use crate::support::listeners::{Console, FdListener};
use crate::support::{Bundle, Container, Sandbox, Value, cases, debian, json, sandbox};

cases![
    runs_its_programs,
    goes_through_every_command,
    mounts_come_and_go,
    runs_detached_and_is_killed,
    runs_what_spec_writes,
    installs_a_package,
    has_a_terminal,
    lives_in_a_user_namespace,
    drops_to_a_user,
    is_planned
];

/// Debian's root, shared and read-only, with memory where programs write.
fn debian(t: &Sandbox) -> Bundle {
    let memory = ["nosuid", "nodev", "mode=1777"];
    let root = debian::root();
    t.bundle()
        .set("/root/path", json!(root.to_string_lossy()))
        .mount("/tmp", "tmpfs", "tmpfs", &memory)
        .mount("/run", "tmpfs", "tmpfs", &["nosuid", "nodev", "mode=755"])
}

/// A shell that ends with 7 when it is asked to.
const SERVICE: &str = "trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.05; done";

fn bash(bundle: Bundle, script: &str) -> Bundle {
    bundle.args(&["/bin/bash", "-c", script])
}

fn runs_its_programs(t: &Sandbox) {
    let script = "set -e; . /etc/os-release; echo $ID $VERSION_CODENAME; id -un; hostname
        dpkg-query -W -f '${Status}\\n' coreutils; perl -e 'print 6 * 7, \"\\n\"'
        printf 'b\\na\\n' | sort | head -1; ls /proc/self/fd | wc -l; touch /root/x 2>&1 | grep -o 'Read-only.*'";
    let text = t.run(&bash(debian(t), script)).silent().text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines,
        [
            "debian bookworm",
            "root",
            "box",
            "install ok installed",
            "42",
            "a",
            "4",
            "Read-only file system"
        ]
    );
    assert_eq!(t.run(&bash(debian(t), "exit 42")).code(), 42);
}

fn goes_through_every_command(t: &Sandbox) {
    let container = t.create(&bash(debian(t), SERVICE));
    assert_eq!(container.status(), "created");
    container.start().ok();
    container.wait_running();
    listed_with_processes(&container, t);
    let inside = container.exec_with(&[], &["/bin/bash", "-c", "echo $BASH_VERSION; exit 9"]);
    assert_eq!(inside.code(), 9);
    assert!(inside.stdout.starts_with("5."), "{inside}");
    let process = json!({"args": ["/usr/bin/perl", "-e", "print \"$< $ENV{A}\""], "cwd": "/usr",
        "env": ["A=b"], "user": {"uid": 1, "gid": 1}});
    assert_eq!(container.exec_process(&process, &[]).text(), "1 b");
    container.update(&["--pids-limit", "77"]).silent();
    assert_eq!(container.cgroup_value("pids", "pids.max"), "77");
    let stats = container.invoke(&["events", "--stats"]).output().text();
    let stats: Value = serde_json::from_str(&stats).expect("an event is JSON");
    assert_eq!(stats["data"]["pids"]["limit"], json!(77));
    container.pause().silent();
    assert_eq!(container.status(), "paused");
    container.resume().silent();
    assert_eq!(container.status(), "running");
    container.delete(&[]).fails_with(&["running"]);
    container.kill("TERM").silent();
    container.wait_stopped();
    container.delete(&[]).silent();
    assert_eq!(t.state_entries(), Vec::<String>::new());
}

fn listed_with_processes(container: &Container<'_>, t: &Sandbox) {
    let list = t.runtime(&["list", "--quiet"]).output().text();
    assert_eq!(list, container.id);
    let table = container.invoke(&["ps"]).output().silent().text();
    assert!(table.contains("/bin/bash -c trap"), "{table}");
    let pids = container
        .invoke(&["ps", "--format", "json"])
        .output()
        .text();
    let pids: Vec<i32> = serde_json::from_str(&pids).expect("pids are JSON");
    assert!(pids.contains(&container.pid()), "{pids:?}");
}

fn mounts_come_and_go(t: &Sandbox) {
    let container = t.start(&bash(debian(t), SERVICE));
    container.wait_running();
    let source = t.new_path("data");
    std::fs::create_dir(&source).expect("create a directory to mount");
    std::fs::write(source.join("file"), "new").expect("write a file");
    let mount = json!([{"destination": "/mnt", "source": source.to_string_lossy(), "type": "bind",
        "options": ["bind", "ro"]}]);
    let file = t.new_path("mounts.json");
    std::fs::write(&file, mount.to_string()).expect("write the mounts");
    let path = file.to_string_lossy();
    let change = |verb| {
        let words = ["mounts", verb, &container.id, &path];
        t.runtime(&words).output()
    };
    change("add").ok();
    assert_eq!(container.sh("cat /mnt/file"), "new");
    change("remove").ok();
    assert_eq!(container.sh("ls /mnt"), "");
}

fn runs_detached_and_is_killed(t: &Sandbox) {
    let bundle = bash(debian(t), SERVICE);
    let container = Container::named(t, &bundle, t.new_id());
    bundle.write();
    let (path, pid_file) = (bundle.path.to_string_lossy(), t.new_path("pid"));
    let pid_path = pid_file.to_string_lossy();
    let words = [
        "run",
        "-d",
        "--pid-file",
        &pid_path,
        "-b",
        &path,
        &container.id,
    ];
    t.runtime(&words).output().ok();
    assert_eq!(sandbox::read(&pid_file), container.pid().to_string());
    container.stop();
    container.delete(&[]).silent();
}

fn runs_what_spec_writes(t: &Sandbox) {
    let mut bundle = debian(t);
    let path = bundle.path.to_string_lossy().into_owned();
    t.runtime(&["spec", "--bundle", &path]).output().silent();
    let written = sandbox::read(bundle.path.join("config.json"));
    let cgroups_path = bundle.cgroups_path().to_owned();
    bundle.config = serde_json::from_str(&written).expect("spec writes JSON");
    let bundle = bundle
        .set("/process/terminal", json!(false))
        .set("/root/path", json!(debian::root().to_string_lossy()))
        .set("/linux/cgroupsPath", json!(cgroups_path));
    let text = t
        .run(&bash(
            bundle,
            "cat /etc/debian_version; grep -c . /proc/self/mountinfo",
        ))
        .text();
    assert!(text.starts_with("12."), "{text}");
}

fn installs_a_package(t: &Sandbox) {
    let script = "set -e; mkdir -p /tmp/hello/DEBIAN /tmp/hello/etc; cd /tmp/hello; echo hi >etc/hello
        printf 'Package: hello-box\\nVersion: 1\\nArchitecture: all\\nMaintainer: me\\nDescription: a test\\n' >DEBIAN/control
        printf '#!/bin/sh\\necho configured >/etc/hello.done\\n' >DEBIAN/postinst; chmod 755 DEBIAN/postinst
        dpkg-deb --build /tmp/hello /tmp/hello.deb >/dev/null; dpkg -i /tmp/hello.deb >/dev/null
        cat /etc/hello /etc/hello.done; dpkg-query -W -f '${Status}\\n' hello-box; dpkg --audit";
    let copied = ["tmpcopyup", "nodev"];
    let bundle = debian(t)
        .mount("/etc", "tmpfs", "tmpfs", &copied)
        .mount("/var", "tmpfs", "tmpfs", &copied)
        .capabilities(&["CAP_CHOWN", "CAP_FOWNER", "CAP_DAC_OVERRIDE", "CAP_FSETID"]);
    let text = t.run(&bash(bundle, script)).text();
    assert_eq!(text, "hi\nconfigured\ninstall ok installed");
    assert!(
        !debian::root().join("etc/hello").exists(),
        "the cached root stays as it was"
    );
}

fn has_a_terminal(t: &Sandbox) {
    let bundle = debian(t)
        .set("/process/terminal", json!(true))
        .set("/process/consoleSize", json!({"width": 97, "height": 31}));
    let listener = FdListener::at(&t.new_path("tty"));
    let bundle = bash(bundle, "tty; stty size; read line; echo got $line");
    let flags = ["--console-socket", &listener.path.to_string_lossy()];
    let container = t.create_with(&bundle, &flags);
    let mut console = Console::new(listener.take_fd());
    container.start().ok();
    console.read_until("31 97");
    console.write("words\n");
    console.read_until("got words");
    container.wait_stopped();
}

fn lives_in_a_user_namespace(t: &Sandbox) {
    // Its files belong to the host's root, so that one is mapped.
    let mapping = json!([{"containerID": 0, "hostID": 0, "size": 65536}]);
    let bundle = debian(t)
        .namespace("user")
        .set("/linux/uidMappings", mapping.clone())
        .set("/linux/gidMappings", mapping);
    let script = "id -u; awk '{print $3}' /proc/self/uid_map; stat -c %U /etc/passwd; dpkg-query -W -f '${Status}\\n' dpkg";
    assert_eq!(
        t.run(&bash(bundle, script)).text(),
        "0\n65536\nroot\ninstall ok installed"
    );
}

fn drops_to_a_user(t: &Sandbox) {
    let user = json!({"uid": 33, "gid": 33, "additionalGids": [4, 24], "umask": 0o077});
    let bundle = debian(t).set("/process/user", user);
    let script = "id -un; id -Gn; echo $HOME; touch /tmp/f; stat -c %a:%U /tmp/f";
    assert_eq!(
        t.run(&bash(bundle, script)).text(),
        "www-data\nwww-data adm cdrom\n/var/www\n600:www-data"
    );
}

fn is_planned(t: &Sandbox) {
    let bundle = bash(debian(t), "true");
    bundle.write();
    let text = t
        .runtime(&["plan", &bundle.path.to_string_lossy()])
        .output()
        .silent()
        .text();
    assert!(text.contains("/bin/bash"), "{text}");
}
