//! Options that begin with `r`: they hold for every mount below a recursive bind. And propagation across it.

use nix::mount::MsFlags;

use crate::support::sandbox::{HostMount, wait_for};
use crate::support::{Bundle, Sandbox, cases};

cases![
    recursive_flags_set,
    recursive_flags_clear,
    plain_flags_stay_on_top,
    bind_without_recursion,
    rbind_takes_submounts,
    slave_receives,
    private_receives_nothing,
    shared_sends,
    a_shared_root_leaves_the_host_its_mounts,
    rro_on_a_plain_bind
];

/// A tmpfs with another in `sub`, both with these flags, and the bundle that binds it to `/mnt`.
fn tree(t: &Sandbox, flags: MsFlags, options: &[&str]) -> (Bundle, HostMount, HostMount) {
    let top = HostMount::tmpfs(t, flags & !MsFlags::MS_RDONLY);
    std::fs::create_dir(format!("{}/sub", top.path())).expect("create a directory");
    let below = HostMount::tmpfs_at(&format!("{}/sub", top.path()), flags);
    let bundle = t.bundle().mount("/mnt", "bind", &top.path(), options);
    (bundle, top, below)
}

/// The options of the two mounts inside.
fn seen(t: &Sandbox, bundle: Bundle) -> (String, String) {
    let text = t.sh(
        bundle,
        "grep -E ' /mnt(/sub)? ' /proc/self/mountinfo | cut -d ' ' -f 5,6",
    );
    let of = |path: &str| {
        text.lines()
            .filter_map(|line| line.strip_prefix(path))
            .next_back()
            .unwrap_or_default()
            .to_owned()
    };
    (of("/mnt "), of("/mnt/sub "))
}

fn has(list: &str, word: &str) -> bool {
    list.split(',').any(|entry| entry == word)
}

fn recursive_flags_set(t: &Sandbox) {
    let rows = [
        ("rro", "ro"),
        ("rnosuid", "nosuid"),
        ("rnodev", "nodev"),
        ("rnoexec", "noexec"),
        ("rnoatime", "noatime"),
        ("rnodiratime", "nodiratime"),
        ("rrelatime", "relatime"),
        ("rnosymfollow", "nosymfollow"),
    ];
    let mut wrong = Vec::new();
    for (option, word) in rows {
        let (bundle, _top, _below) = tree(t, MsFlags::empty(), &["rbind", option]);
        let (top, below) = seen(t, bundle);
        if !has(&top, word) || !has(&below, word) {
            wrong.push(format!("{option}: {top} and {below}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

fn recursive_flags_clear(t: &Sandbox) {
    let rows = [
        ("rrw", "ro"),
        ("rsuid", "nosuid"),
        ("rdev", "nodev"),
        ("rexec", "noexec"),
        ("ratime", "noatime"),
        ("rdiratime", "nodiratime"),
        ("rstrictatime", "relatime"),
        ("rnorelatime", "relatime"),
        ("rsymfollow", "nosymfollow"),
    ];
    let all = MsFlags::MS_RDONLY
        | MsFlags::MS_NOSUID
        | MsFlags::MS_NODEV
        | MsFlags::MS_NOEXEC
        | MsFlags::MS_NODIRATIME;
    let mut wrong = Vec::new();
    for (option, word) in rows {
        let flags = if word == "noatime" {
            all | MsFlags::MS_NOATIME
        } else {
            all
        };
        let (bundle, _top, _below) = tree(t, flags, &["rbind", option]);
        let (top, below) = seen(t, bundle);
        // Not every file system keeps what norelatime asks for; that it is accepted is what counts.
        if option != "rnorelatime" && (has(&top, word) || has(&below, word)) {
            wrong.push(format!("{option}: {top} and {below}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

fn plain_flags_stay_on_top(t: &Sandbox) {
    let (bundle, _top, _below) = tree(t, MsFlags::empty(), &["rbind", "ro", "noexec"]);
    let (top, below) = seen(t, bundle);
    assert!(has(&top, "ro") && has(&top, "noexec"), "{top}");
    assert!(has(&below, "rw") && !has(&below, "noexec"), "{below}");
}

fn bind_without_recursion(t: &Sandbox) {
    let (bundle, _top, below) = tree(t, MsFlags::empty(), &["bind"]);
    std::fs::write(format!("{}/file", below.path()), "").expect("write below");
    assert_eq!(t.sh(bundle, "ls /mnt/sub"), "");
}

fn rbind_takes_submounts(t: &Sandbox) {
    let (bundle, _top, below) = tree(t, MsFlags::empty(), &["rbind"]);
    std::fs::write(format!("{}/file", below.path()), "").expect("write below");
    assert_eq!(t.sh(bundle, "ls /mnt/sub"), "file");
}

fn rro_on_a_plain_bind(t: &Sandbox) {
    let (bundle, _top, _below) = tree(t, MsFlags::empty(), &["bind", "rro"]);
    assert!(has(&seen(t, bundle).0, "ro"));
}

/// Whether a mount that the host makes later appears in the container.
fn receives(t: &Sandbox, option: &str) -> bool {
    let top = HostMount::tmpfs(t, MsFlags::empty());
    top.make_shared();
    std::fs::create_dir(format!("{}/late", top.path())).expect("create a directory");
    let container = t.running(
        t.bundle()
            .mount("/mnt", "bind", &top.path(), &["rbind", option]),
    );
    let _late = HostMount::tmpfs_at(&format!("{}/late", top.path()), MsFlags::empty());
    container.sh("grep -c ' /mnt/late ' /proc/self/mountinfo || true") == "1"
}

fn slave_receives(t: &Sandbox) {
    assert!(receives(t, "rslave"));
    assert!(receives(t, "slave"));
}

fn private_receives_nothing(t: &Sandbox) {
    assert!(!receives(t, "rprivate"));
}

/// Where the host's mounts are shared, as systemd makes them, unmounting the old root must not unmount them all.
fn a_shared_root_leaves_the_host_its_mounts(t: &Sandbox) {
    let bundle = t
        .bundle()
        .set("/linux/rootfsPropagation", crate::support::json!("rshared"))
        .args(&["/bin/true"]);
    // Not those of other tests, which end here too when their directories are removed.
    let script = "mount --make-rshared /; look() { grep -v ' /tmp/' /proc/self/mountinfo; }; \
        look >\"$0\"; \"$@\" && look | diff \"$0\" -";
    let before = t.new_path("before").to_string_lossy().into_owned();
    t.run_through(&["unshare", "-m", "sh", "-c", script, &before], &bundle)
        .silent();
}

fn shared_sends(t: &Sandbox) {
    let top = HostMount::tmpfs(t, MsFlags::empty());
    top.make_shared();
    std::fs::create_dir(format!("{}/inner", top.path())).expect("create a directory");
    let bundle = t.bundle().capabilities(&["CAP_SYS_ADMIN"]).mount(
        "/mnt",
        "bind",
        &top.path(),
        &["rbind", "rshared"],
    );
    let container =
        t.running(bundle.set("/linux/rootfsPropagation", crate::support::json!("shared")));
    container.exec("mount -t tmpfs tmpfs /mnt/inner").ok();
    wait_for("the mount to reach the host", || {
        crate::support::host::mount_lines()
            .iter()
            .any(|line| line.contains(&format!("{}/inner ", top.path())))
    });
    container.exec("umount /mnt/inner").ok();
}
