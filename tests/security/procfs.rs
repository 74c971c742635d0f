//! /proc: never through a link or another mount, and masked paths that can't be turned around.

use std::fs;
use std::os::unix::fs::symlink;

use crate::support::{Sandbox, cases, json, runtime, sandbox};

cases![
    cve_2019_16884_proc_may_not_be_a_volume,
    cve_2019_19921_proc_is_a_link,
    cve_2023_27561_a_link_over_proc_of_a_volume,
    cve_2025_52881_sysctls_go_to_the_real_procfs,
    cve_2025_52881_the_images_proc_is_not_asked,
    cve_2025_31133_dev_null_is_a_link,
    cve_2025_31133_masks_come_from_our_own_null,
    cve_2025_31133_a_racer_swaps_dev_null,
    cve_2026_88265_standard_streams_are_the_hosts_null,
    exec_trusts_no_fake_proc,
];

fn cve_2019_16884_proc_may_not_be_a_volume(t: &Sandbox) {
    let fake = t.new_path("fake-proc");
    fs::create_dir_all(fake.join("self/attr")).expect("create a fake /proc");
    for destination in ["/proc", "/proc/self", "/proc/sys"] {
        let bundle = t
            .bundle()
            .mount(destination, "bind", &fake.to_string_lossy(), &["bind"])
            .args(&["/bin/true"]);
        t.run(&bundle).fails_with(&["proc"]);
    }
}

fn cve_2019_19921_proc_is_a_link(t: &Sandbox) {
    for (name, target) in [
        ("proc", "/etc"),
        ("sys", "/etc"),
        ("proc", "../../etc"),
        ("proc", "tmp"),
    ] {
        let bundle = t.bundle().writable().args(&["/bin/true"]);
        fs::remove_dir(bundle.rootfs().join(name)).expect("remove a directory");
        symlink(target, bundle.rootfs().join(name)).expect("link");
        t.run(&bundle).fails_with(&[name]);
        assert_eq!(t.wait_until_gone(), Vec::<String>::new());
    }
}

fn cve_2023_27561_a_link_over_proc_of_a_volume(t: &Sandbox) {
    let volume = t.new_path("volume");
    fs::create_dir(&volume).expect("create a volume");
    let bundle = t.bundle().writable();
    fs::remove_dir(bundle.rootfs().join("proc")).expect("remove /proc");
    symlink("mnt/elsewhere", bundle.rootfs().join("proc")).expect("link");
    let mut config = bundle
        .clone()
        .mount("/mnt", "bind", &volume.to_string_lossy(), &["bind"]);
    if let Some(mounts) = config.config["mounts"].as_array_mut() {
        mounts.rotate_right(1);
    }
    t.run(&config.args(&["/bin/true"])).fails();
}

fn cve_2025_52881_sysctls_go_to_the_real_procfs(t: &Sandbox) {
    let before = sandbox::read("/proc/sys/kernel/panic");
    let fake = t.new_path("fake-sys");
    fs::create_dir_all(fake.join("net/ipv4")).expect("create a fake /proc/sys");
    symlink("/proc/sysrq-trigger", fake.join("net/ipv4/ip_forward")).expect("link");
    let bundle = t
        .bundle()
        .set("/linux/sysctl", json!({"net.ipv4.ip_forward": "1"}));
    // Whether such a mount is refused or the write goes to a procfs of our own, the link isn't followed.
    let bundle = bundle.mount("/proc/sys", "bind", &fake.to_string_lossy(), &["bind"]);
    t.run(&bundle.shell("true"));
    assert_eq!(sandbox::read("/proc/sys/kernel/panic"), before);
}

/// Without a mount on /proc the image's own is what a path would lead to.
fn cve_2025_52881_the_images_proc_is_not_asked(t: &Sandbox) {
    let before = sandbox::read("/proc/sys/kernel/panic");
    let plain = |t: &Sandbox| {
        let bundle = t.bundle().without_mount("/proc").writable();
        bundle
            .set("/linux/maskedPaths", json!([]))
            .set("/linux/readonlyPaths", json!([]))
            .set("/linux/sysctl", json!({"net.ipv4.ip_forward": "1"}))
            .idle()
    };
    let bundle = plain(t);
    let fake = bundle.rootfs().join("proc/sys/net/ipv4");
    fs::create_dir_all(&fake).expect("create a false /proc/sys");
    fs::write(fake.join("ip_forward"), "false").expect("write a false parameter");
    let container = t.start(&bundle);
    assert_eq!(sandbox::read(fake.join("ip_forward")), "false");
    let pid = container.pid().to_string();
    let file = "/proc/sys/net/ipv4/ip_forward";
    let real = t.program(&["nsenter", "-n", "-t", &pid, "cat", file]);
    assert_eq!(real.output().text(), "1", "the real one was written");
    let linked = plain(t);
    let fake = linked.rootfs().join("proc/sys/net/ipv4");
    fs::create_dir_all(&fake).expect("create a false /proc/sys");
    let up = "../../../../../../../../../../proc/sys/kernel/panic";
    symlink(up, fake.join("ip_forward")).expect("link");
    t.start(&linked);
    assert_eq!(sandbox::read("/proc/sys/kernel/panic"), before);
}

/// A thread makes /dev/null a link to a secret and back while masks are made.
fn cve_2025_31133_a_racer_swaps_dev_null(t: &Sandbox) {
    use std::sync::atomic::{AtomicBool, Ordering};
    let bundle = t
        .bundle()
        .writable()
        .without_mount("/dev")
        .push("/linux/maskedPaths", json!("/etc/passwd"))
        .shell("cat /etc/passwd; echo owned >>/etc/passwd; true");
    let dev = bundle.rootfs().join("dev");
    fs::write(bundle.rootfs().join("secret"), "SECRET").expect("write a secret");
    fs::write(dev.join("plain"), "SECRET").expect("write a false device");
    symlink("/secret", dev.join("link")).expect("link");
    let stop = AtomicBool::new(false);
    let swap = || {
        while !stop.load(Ordering::Relaxed) {
            for bait in ["link", "plain"] {
                fs::rename(dev.join(bait), dev.join("null")).ok();
                fs::rename(dev.join("null"), dev.join(bait)).ok();
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(swap);
        for _ in 0..runtime::rounds(30) {
            let output = t.run(&bundle);
            assert!(!output.stdout.contains("SECRET"), "{output}");
            assert!(!output.stdout.contains("root:"), "{output}");
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(sandbox::read(bundle.rootfs().join("secret")), "SECRET");
}

fn cve_2025_31133_dev_null_is_a_link(t: &Sandbox) {
    let bundle = t
        .bundle()
        .writable()
        .without_mount("/dev")
        .push("/linux/maskedPaths", json!("/etc/passwd"));
    symlink("/etc/group", bundle.rootfs().join("dev/null")).expect("link /dev/null");
    let output = t.run(&bundle.shell("cat /etc/passwd; echo owned >> /etc/passwd"));
    assert!(!output.stdout.contains("root:x:0:"), "{output}");
    assert!(
        !sandbox::read(output_rootfs(t).join("etc/group")).contains("owned"),
        "{output}"
    );
}

/// The root file system of the sandbox's only bundle.
fn output_rootfs(t: &Sandbox) -> std::path::PathBuf {
    t.path.join(format!("{}-0", t.tag)).join("rootfs")
}

fn cve_2025_31133_masks_come_from_our_own_null(t: &Sandbox) {
    let bundle = t
        .bundle()
        .writable()
        .without_mount("/dev")
        .push("/linux/maskedPaths", json!("/etc/passwd"));
    fs::write(bundle.rootfs().join("dev/null"), "from the image").expect("write a false /dev/null");
    let output = t.run(&bundle.shell("cat /etc/passwd"));
    assert!(
        !output.stdout.contains("from the image") && !output.stdout.contains("root"),
        "{output}"
    );
}

fn cve_2026_88265_standard_streams_are_the_hosts_null(t: &Sandbox) {
    let bundle = t
        .bundle()
        .writable()
        .without_mount("/dev")
        .shell("echo leaked; echo leaked >&2; cat; sleep 1");
    fs::write(bundle.rootfs().join("dev/null"), "secret of the image")
        .expect("write a false /dev/null");
    bundle.write();
    let path = bundle.path.to_string_lossy();
    let arguments = ["run", "--bundle", &path, &t.new_id()];
    let output = t.runtime(&arguments).redirections("</dev/null").output();
    assert!(!output.stdout.contains("secret"), "{output}");
    assert!(!sandbox::read(bundle.rootfs().join("dev/null")).contains("leaked"));
}

fn exec_trusts_no_fake_proc(t: &Sandbox) {
    let bundle = t.bundle().capabilities(&["CAP_SYS_ADMIN"]).writable();
    let container = t.running(bundle);
    container.exec("mkdir -p /tmp/fake/self/attr /tmp/fake/thread-self/attr && mount -t tmpfs tmpfs /proc && mkdir -p /proc/self/fd /proc/self/attr && echo trap > /proc/self/attr/exec").ok();
    // Refusing and working are both right; following what the container put there isn't.
    let output = container.exec("echo works");
    assert!(
        !output.status.success() || output.stdout == "works\n",
        "{output}"
    );
    let trap = sandbox::read(format!(
        "/proc/{}/root/proc/self/attr/exec",
        container.pid()
    ));
    assert_eq!(trap, "trap\n");
}
