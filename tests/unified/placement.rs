//! Where a container's processes are: born in their cgroup, owned by the container's root, never among others.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::directory;
use crate::support::{Sandbox, cases, host, json, sandbox};

cases![
    init_is_born_in_its_cgroup,
    the_mapped_root_owns_it,
    a_cgroup_namespace_shows_the_container_only,
    without_a_namespace_the_tree_is_read_only,
    a_threaded_cgroup_is_refused,
    a_parent_with_processes_is_named,
    a_cgroup_with_processes_is_refused,
    a_frozen_cgroup_is_refused,
    an_empty_cgroup_is_taken_and_kept,
];

/// KERNEL(5.7): moving a process takes a lock of the whole system; a process that is born there doesn't.
fn init_is_born_in_its_cgroup(t: &Sandbox) {
    let bundle = t.bundle().args(&["/bin/true"]);
    bundle.write();
    let (trace, root) = (t.new_path("trace"), t.root());
    let runtime = crate::support::runtime::path();
    t.program(&[
        "strace",
        "-f",
        "-e",
        "trace=clone3,clone,openat,openat2,open,write",
        "-o",
        &trace.to_string_lossy(),
        &runtime.to_string_lossy(),
        "--root",
        &root.to_string_lossy(),
        "run",
        "--bundle",
        &bundle.path.to_string_lossy(),
        &t.new_id(),
    ])
    .output()
    .ok();
    let text = sandbox::read(&trace);
    assert!(
        text.lines()
            .any(|line| line.contains("clone3(") && line.contains("CLONE_INTO_CGROUP")),
        "{text}"
    );
    let writes = |line: &&str| {
        line.contains("cgroup.procs") && (line.contains("O_WRONLY") || line.contains("O_RDWR"))
    };
    assert_eq!(
        text.lines().filter(writes).collect::<Vec<_>>(),
        Vec::<&str>::new()
    );
}

fn the_mapped_root_owns_it(t: &Sandbox) {
    let bundle = t
        .bundle()
        .user_namespace(100_000, 65_536)
        .namespace("cgroup")
        .without_mount("/sys/fs/cgroup")
        .mount(
            "/sys/fs/cgroup",
            "cgroup",
            "cgroup",
            &["nosuid", "noexec", "nodev", "rw"],
        );
    let container = t.running(bundle);
    for file in [
        ".",
        "cgroup.procs",
        "cgroup.subtree_control",
        "cgroup.threads",
    ] {
        let owner = fs::metadata(directory(&container).join(file))
            .expect("stat")
            .uid();
        assert_eq!(owner, 100_000, "{file}");
    }
    for file in ["memory.max", "pids.max", "cgroup.freeze"] {
        let owner = fs::metadata(directory(&container).join(file))
            .expect("stat")
            .uid();
        assert_eq!(owner, 0, "{file}: limits stay the host's");
    }
    let script = "mkdir /sys/fs/cgroup/sub && echo 0 >/sys/fs/cgroup/sub/cgroup.procs && cat /proc/self/cgroup";
    assert_eq!(container.sh(script), "0::/sub");
    container.exec("echo 5 >/sys/fs/cgroup/pids.max").fails();
}

fn a_cgroup_namespace_shows_the_container_only(t: &Sandbox) {
    let bundle = t.bundle().namespace("cgroup");
    let seen = t.sh(
        bundle,
        "cat /proc/self/cgroup; cat /sys/fs/cgroup/cgroup.procs | head -1",
    );
    assert_eq!(seen, "0::/\n1");
}

/// COMPAT(runc, crun): the whole tree, which nobody in the container may change.
fn without_a_namespace_the_tree_is_read_only(t: &Sandbox) {
    let bundle = t.bundle();
    let path = bundle.cgroups_path().to_owned();
    let script = format!(
        "cat /proc/self/cgroup; test -d /sys/fs/cgroup{path} && mkdir /sys/fs/cgroup/x 2>&1 | grep -o Read-only"
    );
    assert_eq!(t.sh(bundle, &script), format!("0::{path}\nRead-only"));
}

/// A cgroup made by hand, for a container to be put into or below.
fn prepare(t: &Sandbox) -> (String, std::path::PathBuf) {
    let path = format!("/{}", t.new_id());
    let directory = Path::new("/sys/fs/cgroup").join(&path[1..]);
    fs::create_dir_all(&directory).expect("make a cgroup");
    (path, directory)
}

fn a_threaded_cgroup_is_refused(t: &Sandbox) {
    let (path, directory) = prepare(t);
    let below = directory.join("threaded");
    fs::create_dir(&below).expect("make a cgroup");
    fs::write(below.join("cgroup.type"), "threaded").expect("make it threaded");
    let bundle = t
        .bundle()
        .idle()
        .set("/linux/cgroupsPath", json!(format!("{path}/threaded")));
    t.try_create(&bundle, &[]).refused_with(&["threaded"]);
    let bundle = t
        .bundle()
        .idle()
        .set("/linux/cgroupsPath", json!(format!("{path}/threaded/new")));
    t.try_create(&bundle, &[]).refused_with(&["threaded"]);
    let below = t
        .bundle()
        .idle()
        .set("/linux/cgroupsPath", json!(format!("{path}/beside")));
    t.try_create(&below, &[]).refused_with(&["threaded"]);
    host::remove_traces_of(&t.tag);
}

fn a_parent_with_processes_is_named(t: &Sandbox) {
    let (path, directory) = prepare(t);
    let squatter = t.program(&["sleep", "100000"]).spawn();
    fs::write(directory.join("cgroup.procs"), squatter.pid().to_string()).expect("fill it");
    let bundle = t
        .bundle()
        .idle()
        .set("/linux/cgroupsPath", json!(format!("{path}/new")));
    t.try_create(
        &bundle.set("/linux/resources/pids", json!({"limit": 9})),
        &[],
    )
    .refused_with(&["pids controller", "holds processes", &path]);
    assert!(host::is_alive(squatter.pid()));
    drop(squatter);
    host::remove_traces_of(&t.tag);
}

fn a_cgroup_with_processes_is_refused(t: &Sandbox) {
    let (path, directory) = prepare(t);
    let squatter = t.program(&["sleep", "100000"]).spawn();
    fs::write(directory.join("cgroup.procs"), squatter.pid().to_string()).expect("fill it");
    let bundle = t.bundle().idle().set("/linux/cgroupsPath", json!(path));
    t.try_create(&bundle, &[])
        .refused_with(&["not empty", &path]);
    assert!(host::is_alive(squatter.pid()));
    drop(squatter);
    host::remove_traces_of(&t.tag);
}

fn a_frozen_cgroup_is_refused(t: &Sandbox) {
    let (path, directory) = prepare(t);
    fs::write(directory.join("cgroup.freeze"), "1").expect("freeze it");
    let bundle = t.bundle().idle().set("/linux/cgroupsPath", json!(path));
    t.try_create(&bundle, &[]).refused_with(&["frozen"]);
    host::remove_traces_of(&t.tag);
}

fn an_empty_cgroup_is_taken_and_kept(t: &Sandbox) {
    let (path, directory) = prepare(t);
    t.run(
        &t.bundle()
            .args(&["/bin/true"])
            .set("/linux/cgroupsPath", json!(path)),
    )
    .ok();
    assert!(directory.exists(), "what was there before stays");
    host::remove_traces_of(&t.tag);
}
