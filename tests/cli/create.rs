//! `create`: everything but the user's program is done, and a refusal leaves nothing behind.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::support::{Container, Sandbox, cases, host, json, sandbox};

cases![
    leaves_init_waiting,
    refuses_an_id_that_exists,
    takes_the_bundle_from_the_current_directory,
    takes_options_after_the_id,
    takes_every_spelling_of_an_option,
    takes_a_single_dash_before_long_options,
    writes_the_pid_file,
    writes_the_pid_file_relative_to_the_caller,
    takes_another_config_file,
    accepts_a_config_without_process,
    ignores_changes_to_the_config_afterwards,
    keeps_its_state_private,
    refuses_a_cgroup_with_processes,
    refuses_a_frozen_cgroup,
    leaves_nothing_when_a_mount_fails,
    takes_no_pivot_and_no_new_keyring,
    no_pivot_hides_the_hosts_kernel_file_systems,
    no_pivot_keeps_a_shared_root_to_itself,
    names_its_bundle_as_it_was_given,
    is_silent,
    sends_a_pidfd,
    runs_nothing_of_the_container_before_start,
];

fn leaves_init_waiting(t: &Sandbox) {
    let container = t.create(&t.bundle().idle());
    assert_eq!(container.status(), "created");
    let pid = container.pid();
    assert!(host::is_alive(pid), "init should wait");
    assert_ne!(host::namespace(pid, "mnt"), host::namespace("self", "mnt"));
    assert_ne!(host::namespace(pid, "pid"), host::namespace("self", "pid"));
}

fn runs_nothing_of_the_container_before_start(t: &Sandbox) {
    let bundle = t.bundle().writable().shell("touch /started; sleep 1000");
    let container = t.create(&bundle);
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert!(!bundle.rootfs().join("started").exists());
    container.start().ok();
    sandbox::wait_for("the program to start", || {
        bundle.rootfs().join("started").exists()
    });
}

fn refuses_an_id_that_exists(t: &Sandbox) {
    let first = t.running(t.bundle());
    Container::named(t, &t.bundle().idle(), first.id.clone())
        .create(&[])
        .fails_with(&["exist"]);
    assert_eq!(
        first.status(),
        "running",
        "the first container is untouched"
    );
    first.exec("true").ok();
}

fn takes_the_bundle_from_the_current_directory(t: &Sandbox) {
    let bundle = t.bundle().idle();
    bundle.write();
    let id = t.new_id();
    t.runtime(&["create", &id]).cwd(&bundle.path).output().ok();
    let container = Container::named(t, &bundle, id);
    assert_eq!(
        container.state()["bundle"],
        json!(bundle.path.to_string_lossy())
    );
}

fn takes_options_after_the_id(t: &Sandbox) {
    let bundle = t.bundle().idle();
    bundle.write();
    t.runtime(&[
        "create",
        &t.new_id(),
        "--bundle",
        &bundle.path.to_string_lossy(),
    ])
    .output()
    .ok();
}

fn takes_every_spelling_of_an_option(t: &Sandbox) {
    let bundle = t.bundle().idle();
    bundle.write();
    let path = bundle.path.to_string_lossy();
    for option in [vec!["-b", &path], vec![&format!("--bundle={path}")]] {
        let id = t.new_id();
        let arguments: Vec<&str> = ["create"]
            .into_iter()
            .chain(option.iter().map(AsRef::as_ref))
            .chain([id.as_str()])
            .collect();
        t.runtime(&arguments).output().ok();
        t.runtime(&["delete", "--force", &id]).output().ok();
    }
}

fn takes_a_single_dash_before_long_options(t: &Sandbox) {
    let bundle = t.bundle().idle();
    bundle.write();
    t.runtime(&[
        "create",
        "-bundle",
        &bundle.path.to_string_lossy(),
        "-no-new-keyring",
        &t.new_id(),
    ])
    .output()
    .ok();
}

fn writes_the_pid_file(t: &Sandbox) {
    let file = t.new_path("pid");
    let container = t.create_with(&t.bundle().idle(), &["--pid-file", &file.to_string_lossy()]);
    assert_eq!(sandbox::read(&file).trim_end(), container.pid().to_string());
}

fn writes_the_pid_file_relative_to_the_caller(t: &Sandbox) {
    let bundle = t.bundle().idle();
    bundle.write();
    let directory = t.new_path("elsewhere");
    fs::create_dir(&directory).expect("create a directory");
    let id = t.new_id();
    t.runtime(&[
        "create",
        "--bundle",
        &bundle.path.to_string_lossy(),
        "--pid-file",
        "pid",
        &id,
    ])
    .cwd(&directory)
    .output()
    .ok();
    let pid = Container::named(t, &bundle, id).pid();
    assert_eq!(
        sandbox::read(directory.join("pid")).trim_end(),
        pid.to_string()
    );
}

fn takes_another_config_file(t: &Sandbox) {
    let bundle = t.bundle().idle();
    let file = t.new_path("other.json");
    fs::write(&file, bundle.config.to_string()).expect("write another configuration");
    let (path, file) = (bundle.path.to_string_lossy(), file.to_string_lossy());
    t.runtime(&["create", "--bundle", &path, "--config", &file, &t.new_id()])
        .output()
        .ok();
}

fn accepts_a_config_without_process(t: &Sandbox) {
    let container = t.create(&t.bundle().without("/process"));
    assert_eq!(container.status(), "created");
    container.start().fails_with(&["process"]);
}

fn ignores_changes_to_the_config_afterwards(t: &Sandbox) {
    let bundle = t.bundle().writable().shell("echo first > /ran");
    let container = t.create(&bundle);
    bundle
        .clone()
        .shell("echo second > /ran")
        .set("/hostname", json!("changed"))
        .write();
    container.start().ok();
    container.wait_stopped();
    assert_eq!(sandbox::read(bundle.rootfs().join("ran")), "first\n");
}

fn keeps_its_state_private(t: &Sandbox) {
    let container = t.create(&t.bundle().idle());
    let mode = |path: &std::path::Path| {
        fs::metadata(path)
            .expect("stat a state directory")
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(mode(&t.root()), 0o700, "the mode of --root");
    let own = t.root().join(&container.id);
    assert_eq!(
        mode(&own) & 0o077,
        0,
        "the mode of the container's state directory is {:o}",
        mode(&own)
    );
}

/// Makes a cgroup with this process in it in every v1 hierarchy of the sandbox's bundle.
fn fill_cgroup(cgroups_path: &str, pid: i32) {
    for hierarchy in host::cgroup_hierarchies() {
        let directory = hierarchy.join(cgroups_path.trim_start_matches('/'));
        fs::create_dir_all(&directory).expect("create a cgroup");
        let inherit = |file: &str| {
            let above = directory
                .parent()
                .map(|parent| sandbox::read(parent.join(file)))
                .unwrap_or_default();
            fs::write(directory.join(file), above).ok();
        };
        // On v1 only: v2's are empty for "as above", and the root has none.
        if hierarchy.join("cpuset.cpus").exists() {
            let top = hierarchy.join("cpuset.cpus");
            for file in ["cpuset.cpus", "cpuset.mems"] {
                let parent = directory
                    .parent()
                    .expect("a cgroup has a parent")
                    .join(file);
                fs::write(parent, sandbox::read(top.with_file_name(file))).ok();
                inherit(file);
            }
        }
        fs::write(directory.join("cgroup.procs"), pid.to_string())
            .expect("move a process into the cgroup");
    }
}

fn refuses_a_cgroup_with_processes(t: &Sandbox) {
    let squatter = t.program(&["sleep", "100000"]).spawn();
    let bundle = t.bundle().idle();
    fill_cgroup(bundle.cgroups_path(), squatter.pid());
    t.try_create(&bundle, &[])
        .fails_with(&["container's cgroup is not empty"]);
    assert!(
        host::is_alive(squatter.pid()),
        "the process that was there must survive"
    );
    drop(squatter);
    host::remove_traces_of(&t.tag);
}

fn refuses_a_frozen_cgroup(t: &Sandbox) {
    let bundle = t.bundle().idle();
    let freezer = host::v1_cgroup("freezer", bundle.cgroups_path());
    fs::create_dir_all(&freezer).expect("create a cgroup");
    fs::write(freezer.join("freezer.state"), "FROZEN").expect("freeze a cgroup");
    t.try_create(&bundle, &[]).fails_with(&["frozen"]);
    host::remove_traces_of(&t.tag);
}

fn leaves_nothing_when_a_mount_fails(t: &Sandbox) {
    let bundle = t
        .bundle()
        .idle()
        .mount("/mnt", "bind", "/nowhere/at/all", &["bind"]);
    t.try_create(&bundle, &[])
        .refused_with(&["/nowhere/at/all"]);
    assert_eq!(t.state_entries(), Vec::<String>::new());
    assert_eq!(t.wait_until_gone(), Vec::<String>::new());
}

fn takes_no_pivot_and_no_new_keyring(t: &Sandbox) {
    let container = t.create_with(&t.bundle().idle(), &["--no-pivot", "--no-new-keyring"]);
    container.start().ok();
    assert_eq!(container.sh("ls -d /bin/busybox"), "/bin/busybox");
}

fn is_silent(t: &Sandbox) {
    let container = Container::named(t, &t.bundle().idle(), t.new_id());
    assert_eq!(container.create(&[]).silent().stdout, "");
}

fn sends_a_pidfd(t: &Sandbox) {
    let listener = crate::support::listeners::FdListener::at(&t.new_path("pidfd"));
    let container = t.create_with(
        &t.bundle().idle(),
        &["--pidfd-socket", &listener.path.to_string_lossy()],
    );
    let pidfd = listener.take_fd();
    let fdinfo = sandbox::read(format!(
        "/proc/self/fdinfo/{}",
        std::os::fd::AsRawFd::as_raw_fd(&pidfd)
    ));
    assert!(
        fdinfo.contains(&format!("Pid:\t{}\n", container.pid())),
        "{fdinfo}"
    );
}

fn no_pivot_hides_the_hosts_kernel_file_systems(t: &Sandbox) {
    // What a user namespace may mount depends on what is in sight, below the root too.
    for (flags, mount) in [("-mrpf", "proc"), ("-mrn", "sysfs")] {
        let script = format!("mount -t {mount} none /mnt && echo bare");
        let bundle = t
            .bundle()
            .capabilities(&["CAP_SETFCAP"])
            .args(&["unshare", flags, "sh", "-c", &script]);
        let output = t.run_with(&bundle, &["--no-pivot"]).fails();
        assert!(output.stderr.contains("denied"), "{output}");
    }
}

fn no_pivot_keeps_a_shared_root_to_itself(t: &Sandbox) {
    let bundle = t
        .bundle()
        .set("/linux/rootfsPropagation", json!("rshared"))
        .args(&["/bin/true"]);
    bundle.write();
    // In a mount namespace that stands for the host: a leak would cover its root.
    let script = "roots() { awk '$5 == \"/\"' /proc/self/mountinfo | wc -l; }; mount --bind \"$1/rootfs\" \"$1/rootfs\"
        before=$(roots); \"$2\" --root \"$3\" run --no-pivot -b \"$1\" \"$4\" && echo $before $(roots); test -e /proc/1/comm && echo proc";
    let (program, root, id) = (crate::support::runtime::path(), t.root(), t.new_id());
    let words = [
        "unshare",
        "-m",
        "--propagation",
        "shared",
        "sh",
        "-c",
        script,
        "sh",
        &bundle.path.to_string_lossy(),
        &program.to_string_lossy(),
        &root.to_string_lossy(),
        &id,
    ];
    assert_eq!(t.program(&words).output().text(), "1 1\nproc");
}

fn names_its_bundle_as_it_was_given(t: &Sandbox) {
    let bundle = t.bundle().idle();
    let link = t.new_path("link");
    std::os::unix::fs::symlink(&bundle.path, &link).expect("link the bundle");
    bundle.write();
    let id = t.new_id();
    t.runtime(&["create", "-b", &link.to_string_lossy(), &id])
        .output()
        .ok();
    let container = Container::named(t, &bundle, id);
    assert_eq!(container.state()["bundle"], json!(link.to_string_lossy()));
    container.start().ok();
    container.exec("true").ok();
}
