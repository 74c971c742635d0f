//! `mounts`: order, destinations, binds, tmpcopyup, cgroup and the other kinds.

use std::fs;
use std::os::unix::fs::symlink;

use crate::support::{Bundle, Sandbox, cases, host, json};

cases![
    a_tmpfs_keeps_the_mode_of_what_it_covers,
    are_made_in_order,
    make_their_destination,
    bind_a_file,
    directory_on_a_file_is_refused,
    bind_makes_the_file,
    accept_a_relative_destination,
    stay_inside_through_links,
    take_a_source_relative_to_the_bundle,
    tmpcopyup_copies_the_tree,
    default_kinds,
    mqueue_and_shm_are_private,
    devpts_is_private,
    proc_shows_the_containers_processes,
    cgroup_shows_the_containers_own,
    cgroup_in_a_cgroup_namespace,
    cgroup_is_read_only,
    overlay,
    bind_over_a_file_of_another_mount,
    many,
    bind_to_the_root_of_a_mount,
    bind_what_the_container_mounts,
    bind_what_a_mapped_container_mounts,
    a_destination_by_the_hosts_path,
    none_at_all,
    a_destination_under_a_read_only_root,
];

fn are_made_in_order(t: &Sandbox) {
    let bundle = t
        .bundle()
        .mount("/mnt", "tmpfs", "first", &[])
        .mount("/mnt/a", "tmpfs", "second", &[])
        .mount("/mnt/a/b", "tmpfs", "third", &[]);
    let sources = t.sh(
        bundle,
        "grep /mnt /proc/self/mountinfo | sed 's/.* - //' | cut -d ' ' -f 2 | tr '\\n' ' '",
    );
    assert_eq!(sources, "first second third ");
}

fn make_their_destination(t: &Sandbox) {
    let bundle = t
        .bundle()
        .writable()
        .mount("/deep/er/still", "tmpfs", "tmpfs", &[]);
    assert_eq!(
        t.sh(
            bundle,
            "echo x > /deep/er/still/file && cat /deep/er/still/file"
        ),
        "x"
    );
}

fn bind_a_file(t: &Sandbox) {
    let source = t.new_path("source");
    fs::write(&source, "from the host\n").expect("write a source");
    assert_eq!(
        t.sh(
            t.bundle()
                .mount("/etc/passwd", "bind", &source.to_string_lossy(), &["bind"]),
            "cat /etc/passwd"
        ),
        "from the host"
    );
}

fn bind_makes_the_file(t: &Sandbox) {
    let source = t.new_path("source");
    fs::write(&source, "word\n").expect("write a source");
    let bundle = t.bundle().writable().mount(
        "/new/dir/file",
        "bind",
        &source.to_string_lossy(),
        &["rbind", "ro"],
    );
    assert_eq!(t.sh(bundle.clone(), "cat /new/dir/file"), "word");
    assert!(bundle.rootfs().join("new/dir/file").is_file());
}

fn accept_a_relative_destination(t: &Sandbox) {
    assert_eq!(
        t.sh(
            t.bundle().mount("mnt", "tmpfs", "tmpfs", &[]),
            "grep -c ' /mnt ' /proc/self/mountinfo"
        ),
        "1"
    );
}

fn stay_inside_through_links(t: &Sandbox) {
    for (target, seen) in [
        ("/tmp", "/tmp/x"),
        ("../../../../tmp", "/tmp/x"),
        ("/", "/x"),
    ] {
        let bundle = t
            .bundle()
            .writable()
            .mount("/link/x", "tmpfs", "tmpfs", &["size=64k"]);
        symlink(target, bundle.rootfs().join("link")).expect("link in the root file system");
        let line = t.sh(bundle, &format!("grep -c ' {seen} ' /proc/self/mountinfo"));
        assert_eq!(line, "1", "{target}");
        assert!(!std::path::Path::new("/tmp/x").exists());
    }
}

fn take_a_source_relative_to_the_bundle(t: &Sandbox) {
    let bundle = t.bundle().mount("/mnt", "bind", "data", &["bind"]);
    fs::create_dir(bundle.path.join("data")).expect("create a source");
    fs::write(bundle.path.join("data/file"), "word").expect("write a file");
    assert_eq!(t.sh(bundle, "cat /mnt/file"), "word");
}

fn tmpcopyup_copies_the_tree(t: &Sandbox) {
    let bundle = t
        .bundle()
        .mount("/copied", "tmpfs", "tmpfs", &["tmpcopyup", "mode=0750"]);
    let root = bundle.rootfs().join("copied");
    fs::create_dir_all(root.join("dir/inner")).expect("create a tree");
    fs::write(root.join("dir/file"), "word\n").expect("write a file");
    std::os::unix::fs::chown(root.join("dir/file"), Some(1000), Some(2000)).expect("chown a file");
    fs::set_permissions(
        root.join("dir/file"),
        std::os::unix::fs::PermissionsExt::from_mode(0o644),
    )
    .expect("chmod a file");
    symlink("dir/file", root.join("link")).expect("link");
    let seen = t.sh(bundle, "cat /copied/link; stat -c '%u:%g %a' /copied/dir/file; readlink /copied/link; ls -d /copied/dir/inner; touch /copied/new && ls /copied/new; stat -f -c %T /copied");
    assert_eq!(
        seen,
        "word\n1000:2000 644\ndir/file\n/copied/dir/inner\n/copied/new\ntmpfs"
    );
    assert!(
        !root.join("new").exists(),
        "the root file system's own directory stays as it was"
    );
}

fn default_kinds(t: &Sandbox) {
    let lines = t.sh(
        t.bundle(),
        "sed 's/ - / /' /proc/self/mounts | awk '{ print $2, $3 }'",
    );
    for line in [
        "/proc proc",
        "/dev tmpfs",
        "/dev/pts devpts",
        "/dev/shm tmpfs",
        "/dev/mqueue mqueue",
        "/sys sysfs",
    ] {
        assert!(lines.lines().any(|seen| seen == line), "{line} in {lines}");
    }
}

fn mqueue_and_shm_are_private(t: &Sandbox) {
    let one = t.running(t.bundle());
    one.exec("echo word > /dev/shm/file; touch /dev/mqueue/queue")
        .ok();
    assert_eq!(
        t.sh(
            t.bundle(),
            "ls /dev/shm /dev/mqueue | grep -E 'file|queue$' | grep -v '^/' || true"
        ),
        ""
    );
    assert!(!std::path::Path::new("/dev/shm/file").exists());
}

// Docker gives a hint when it finds these words.
fn directory_on_a_file_is_refused(t: &Sandbox) {
    let bundle = t.bundle().mount("/etc/passwd", "bind", "/tmp", &["rbind"]);
    t.run(&bundle.args(&["true"]))
        .refused_with(&["/etc/passwd", "not a directory"]);
}

fn devpts_is_private(t: &Sandbox) {
    assert_eq!(t.sh(t.bundle(), "ls /dev/pts"), "ptmx");
    assert_eq!(
        t.sh(
            t.bundle(),
            "stat -c '%a %g' /dev/pts/ptmx; readlink /dev/ptmx"
        ),
        "666 0\npts/ptmx"
    );
}

fn proc_shows_the_containers_processes(t: &Sandbox) {
    assert_eq!(t.sh(t.bundle(), "ls /proc | grep -c '^[0-9]*$' | { read n; test $n -le 4 && echo few; }; cat /proc/1/comm; true"), "few\nsh");
}

fn cgroup_shows_the_containers_own(t: &Sandbox) {
    host::v1_hierarchy("memory").unwrap_or_else(|| crate::support::skip("no v1 hierarchies"));
    let bundle = t
        .bundle()
        .set("/linux/resources/memory", json!({"limit": 50 << 20}));
    let seen = t.sh(bundle, "cat /sys/fs/cgroup/memory/memory.limit_in_bytes; cat /sys/fs/cgroup/pids/cgroup.procs | head -n 1");
    assert_eq!(seen, format!("{}\n1", 50 << 20));
}

fn cgroup_in_a_cgroup_namespace(t: &Sandbox) {
    let bundle = t.bundle().namespace("cgroup");
    let seen = t.sh(bundle, "cut -d : -f 3 /proc/self/cgroup | sort -u; grep -E ' /sys/fs/cgroup(/memory|) .* cgroup2? ' /proc/self/mountinfo | cut -d ' ' -f 4 | sort -u");
    assert_eq!(seen, "/\n/");
}

fn cgroup_is_read_only(t: &Sandbox) {
    t.run(&t.bundle().shell(
        "! mkdir /sys/fs/cgroup/memory/x 2>/dev/null && ! mkdir /sys/fs/cgroup/x 2>/dev/null",
    ))
    .ok();
}

fn overlay(t: &Sandbox) {
    let parts = ["lower", "upper", "work"].map(|name| t.path.join(name));
    parts
        .iter()
        .for_each(|part| fs::create_dir(part).expect("create a part of the overlay"));
    fs::write(parts[0].join("file"), "lower").expect("write a file");
    let option = |name: &str, index: usize| format!("{name}={}", parts[index].display());
    let options = [
        option("lowerdir", 0),
        option("upperdir", 1),
        option("workdir", 2),
    ];
    let names: Vec<&str> = options.iter().map(String::as_str).collect();
    assert_eq!(
        t.sh(
            t.bundle().mount("/mnt", "overlay", "overlay", &names),
            "cat /mnt/file; echo upper > /mnt/new"
        ),
        "lower"
    );
    assert!(parts[1].join("new").exists());
}

fn bind_over_a_file_of_another_mount(t: &Sandbox) {
    let source = t.new_path("source");
    fs::write(&source, "inner\n").expect("write a source");
    let bundle = t.bundle().mount("/mnt", "tmpfs", "tmpfs", &[]).mount(
        "/mnt/dir/file",
        "bind",
        &source.to_string_lossy(),
        &["bind"],
    );
    assert_eq!(t.sh(bundle, "cat /mnt/dir/file"), "inner");
}

fn many(t: &Sandbox) {
    let bundle = (0..300).fold(
        t.bundle().mount("/mnt", "tmpfs", "tmpfs", &[]),
        |bundle, number| {
            bundle.mount(
                &format!("/mnt/{number}"),
                "tmpfs",
                "tmpfs",
                &["size=4k", "nosuid"],
            )
        },
    );
    assert_eq!(t.sh(bundle, "grep -c ' /mnt/' /proc/self/mountinfo"), "300");
}

fn bind_to_the_root_of_a_mount(t: &Sandbox) {
    let bundle = t.bundle().mount("/mnt", "bind", "/etc", &["bind", "ro"]);
    assert_eq!(t.sh(bundle, "ls -d /mnt/passwd"), "/mnt/passwd");
}

fn none_at_all(t: &Sandbox) {
    let bundle = t
        .bundle()
        .set("/mounts", json!([]))
        .set("/linux/maskedPaths", json!([]))
        .set("/linux/readonlyPaths", json!([]));
    assert_eq!(
        t.sh(bundle.writable(), "ls /dev/null /proc"),
        "/dev/null\n\n/proc:"
    );
}

fn a_destination_under_a_read_only_root(t: &Sandbox) {
    // The root turns read-only last, so a missing destination can be made.
    let bundle = t.bundle().mount("/fresh", "tmpfs", "tmpfs", &[]);
    assert_eq!(t.sh(bundle, "echo x > /fresh/y && cat /fresh/y"), "x");
}

fn a_tmpfs_keeps_the_mode_of_what_it_covers(t: &Sandbox) {
    use std::os::unix::fs::PermissionsExt;
    let seen = |mode: u32, options: &[&str]| {
        let bundle = t.bundle();
        let place = bundle.rootfs().join("mnt/place");
        std::fs::create_dir(&place).expect("create a directory to cover");
        std::fs::set_permissions(&place, std::fs::Permissions::from_mode(mode)).expect("chmod");
        let bundle = bundle.mount("/mnt/place", "tmpfs", "tmpfs", options);
        t.sh(bundle, "stat -c %a /mnt/place")
    };
    assert_eq!(seen(0o710, &[]), "710");
    assert_eq!(seen(0o7777, &["nosuid", "rprivate"]), "7777");
    assert_eq!(seen(0o710, &["mode=0410"]), "410");
    assert_eq!(seen(0o751, &["ro"]), "751");
    let bundle = t.bundle();
    std::fs::create_dir(bundle.rootfs().join("mnt/place")).expect("create a directory to cover");
    let shown = "grep ' /mnt/place ' /proc/mounts | tr ' ,' '\\n\\n' | grep ^mode=";
    let bundle = bundle.mount("/mnt/place", "tmpfs", "tmpfs", &[]);
    assert_eq!(t.sh(bundle, shown), "mode=755", "among the options");
    let new = t
        .bundle()
        .writable()
        .mount("/mnt/new", "tmpfs", "tmpfs", &[]);
    assert_eq!(
        t.sh(new, "stat -c %a /mnt/new"),
        "1777",
        "nothing was covered"
    );
}

/// Two directories of the host with a file each, as binds of which the second lies in the first.
fn nested_binds(t: &Sandbox, bundle: Bundle) -> Bundle {
    let outer = t.new_path("outer");
    let inner = t.new_path("inner");
    fs::create_dir_all(outer.join("in")).expect("create a source");
    fs::create_dir_all(&inner).expect("create a source");
    fs::write(outer.join("word"), "outer\n").expect("write a file");
    fs::write(inner.join("word"), "inner\n").expect("write a file");
    bundle
        .mount("/mnt/a", "bind", &outer.to_string_lossy(), &["rbind"])
        .mount("/mnt/a/in", "bind", &inner.to_string_lossy(), &["rbind"])
}

/// The bundle with [`nested_binds`] and two binds from them, by the host's path of the root.
fn binds_of_binds(t: &Sandbox, bundle: Bundle) -> Bundle {
    let source = bundle.rootfs().join("mnt/a").to_string_lossy().into_owned();
    let inner = format!("{source}/in");
    nested_binds(t, bundle)
        .mount("/tmp/all", "bind", &source, &["rbind"])
        .mount("/tmp/part", "bind", &inner, &["bind", "ro"])
}

const READ_BINDS_OF_BINDS: &str =
    "cat /tmp/all/word /tmp/all/in/word /tmp/part/word; ! touch /tmp/part/x";

// The host's path of the root leads to what earlier entries mounted there.
fn bind_what_the_container_mounts(t: &Sandbox) {
    let seen = t.sh(
        binds_of_binds(t, t.bundle().writable()),
        READ_BINDS_OF_BINDS,
    );
    assert_eq!(seen, "outer\ninner\ninner");
}

// There the host's side opens sources.
fn bind_what_a_mapped_container_mounts(t: &Sandbox) {
    let bundle = t.bundle().writable().user_namespace(100_000, 65_536);
    let seen = t.sh(binds_of_binds(t, bundle), READ_BINDS_OF_BINDS);
    assert_eq!(seen, "outer\ninner\ninner");
}

fn a_destination_by_the_hosts_path(t: &Sandbox) {
    let bundle = t.bundle().writable();
    let place = bundle
        .rootfs()
        .join("mnt/deep")
        .to_string_lossy()
        .into_owned();
    fs::create_dir(&place).expect("create the destination");
    let bundle = bundle.mount(&place, "tmpfs", "tmpfs", &["size=64k"]);
    let seen = t.sh(bundle, "grep -c ' /mnt/deep ' /proc/self/mountinfo");
    assert_eq!(seen, "1");
}
