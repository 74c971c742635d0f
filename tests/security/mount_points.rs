//! Mount points and device nodes are made inside the root file system, whatever its links say.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::{Bundle, Sandbox, cases, json, runtime};

cases![
    cve_2015_3629_mount_points_follow_no_link_out,
    cve_2024_45310_nothing_is_made_on_the_host,
    cve_2021_30465_a_swapped_destination_stays_inside,
    cve_2026_41579_dev_is_a_link,
    cve_2026_47766_dev_is_a_relative_link,
    ghsa_g54h_m393_cpwq_devices_are_denied_first,
    cve_2023_25809_cgroup_is_not_writable_without_a_namespace,
    a_device_follows_no_link_out,
    a_masked_path_follows_no_link_out,
    a_working_directory_follows_no_link_out,
    tmpcopyup_follows_no_link_out,
    a_bind_of_a_mount_follows_no_link_out,
];

/// A directory of the host that an attacker's links point at; it has one file.
struct Victim(PathBuf);

impl Victim {
    fn new(t: &Sandbox) -> Self {
        let path = t.new_path("victim");
        fs::create_dir(&path).expect("create the victim");
        fs::write(path.join("file"), "untouched").expect("write the victim's file");
        Victim(path)
    }

    fn path(&self) -> String {
        self.0.to_string_lossy().into_owned()
    }

    /// Demands that nothing was made, removed, changed or mounted there.
    #[track_caller]
    fn is_untouched(&self) {
        let names: Vec<_> = fs::read_dir(&self.0)
            .expect("list the victim")
            .flatten()
            .map(|entry| entry.file_name())
            .collect();
        assert_eq!(names, ["file"], "the victim's directory changed");
        assert_eq!(
            crate::support::sandbox::read(self.0.join("file")),
            "untouched"
        );
        let mounts = crate::support::host::mount_lines();
        assert!(
            mounts.iter().all(|line| !line.contains(&self.path())),
            "something is mounted on the victim"
        );
    }
}

/// The ways an attacker writes a link that should lead to `host_path`.
fn links_to(host_path: &str) -> Vec<String> {
    vec![
        host_path.to_owned(),
        format!("../../../../../../../../..{host_path}"),
        format!("/proc/1/root{host_path}"),
        format!("/proc/self/cwd/../../../../..{host_path}"),
    ]
}

fn cve_2015_3629_mount_points_follow_no_link_out(t: &Sandbox) {
    let victim = Victim::new(t);
    for link in links_to(&victim.path()) {
        for destination in ["/link", "/link/new", "/link/a/b/c", "/a/link/b"] {
            let bundle = t
                .bundle()
                .writable()
                .mount(destination, "tmpfs", "tmpfs", &[])
                .args(&["/bin/true"]);
            fs::create_dir(bundle.rootfs().join("a")).expect("create /a");
            symlink(&link, bundle.rootfs().join("link")).expect("link");
            symlink(&link, bundle.rootfs().join("a/link")).expect("link");
            t.run(&bundle);
            victim.is_untouched();
        }
    }
}

fn cve_2024_45310_nothing_is_made_on_the_host(t: &Sandbox) {
    let victim = Victim::new(t);
    let source = t.new_path("source");
    fs::write(&source, "").expect("write a source");
    for link in links_to(&format!("{}/made", victim.path())) {
        let bundle = t
            .bundle()
            .writable()
            .mount("/link", "bind", &source.to_string_lossy(), &["bind"])
            .args(&["/bin/true"]);
        symlink(&link, bundle.rootfs().join("link")).expect("link");
        t.run(&bundle);
        victim.is_untouched();
    }
}

/// A thread exchanges a directory with a link while containers start.
fn cve_2021_30465_a_swapped_destination_stays_inside(t: &Sandbox) {
    let victim = Victim::new(t);
    let volume = t.new_path("volume");
    fs::create_dir_all(volume.join("dir")).expect("create a volume");
    symlink(
        format!("../../../../../../../../..{}", victim.path()),
        volume.join("link"),
    )
    .expect("link");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            swap_until(
                &stop,
                &volume.join("dir"),
                &volume.join("link"),
                &volume.join("spare"),
            )
        });
        let bundle = t
            .bundle()
            .mount("/mnt", "bind", &volume.to_string_lossy(), &["bind"])
            .mount("/mnt/dir", "tmpfs", "tmpfs", &[])
            .mount("/mnt/dir/deep/er", "tmpfs", "tmpfs", &[])
            .args(&["/bin/true"]);
        for _ in 0..runtime::rounds(40) {
            t.run(&bundle);
            victim.is_untouched();
        }
        stop.store(true, Ordering::Relaxed);
    });
}

fn swap_until(stop: &AtomicBool, one: &Path, other: &Path, spare: &Path) {
    while !stop.load(Ordering::Relaxed) {
        fs::rename(one, spare).ok();
        fs::rename(other, one).ok();
        fs::rename(spare, other).ok();
    }
}

/// A bundle without a mount on /dev, whose /dev is a link.
fn linked_dev(t: &Sandbox, target: &str) -> Bundle {
    let bundle = t
        .bundle()
        .writable()
        .without_mount("/dev")
        .args(&["/bin/true"]);
    fs::remove_dir_all(bundle.rootfs().join("dev")).expect("remove /dev");
    symlink(target, bundle.rootfs().join("dev")).expect("link /dev");
    bundle
}

fn cve_2026_41579_dev_is_a_link(t: &Sandbox) {
    let victim = Victim::new(t);
    fs::write(victim.0.join("ptmx"), "").expect("write a file named ptmx");
    t.run(&linked_dev(t, &victim.path()));
    assert!(
        victim.0.join("ptmx").is_file(),
        "the host's ptmx was replaced"
    );
    fs::remove_file(victim.0.join("ptmx")).expect("remove the file");
    victim.is_untouched();
}

fn cve_2026_47766_dev_is_a_relative_link(t: &Sandbox) {
    let victim = Victim::new(t);
    for target in links_to(&victim.path()) {
        t.run(&linked_dev(t, &target));
        t.run(&linked_dev(t, &target).mount("/dev/pts", "devpts", "devpts", &["newinstance"]));
        victim.is_untouched();
    }
}

fn ghsa_g54h_m393_cpwq_devices_are_denied_first(t: &Sandbox) {
    let bundle = t
        .bundle()
        .capabilities(&["CAP_MKNOD", "CAP_DAC_OVERRIDE"])
        .writable();
    for bundle in [
        bundle.clone().without("/linux/resources"),
        bundle.clone().set("/linux/resources/devices", json!([])),
        bundle.without("/linux/resources/devices"),
    ] {
        // With a rule of its own a runtime may let nodes be made, but never opened.
        let output = t.run(&bundle.shell(
            "mknod /tmp/disk b 254 0; head -c 1 /tmp/disk >/dev/null 2>&1 && echo OPENED; true",
        ));
        assert!(!output.ok().stdout.contains("OPENED"));
    }
}

fn cve_2023_25809_cgroup_is_not_writable_without_a_namespace(t: &Sandbox) {
    let bundle = t
        .bundle()
        .user_namespace(100_000, 65_536)
        .capabilities(&["CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE"]);
    let script = "for d in /sys/fs/cgroup /sys/fs/cgroup/*; do mkdir $d/escape 2>/dev/null && echo MADE $d; done; true";
    assert_eq!(t.sh(bundle, script), "");
}

fn a_device_follows_no_link_out(t: &Sandbox) {
    let victim = Victim::new(t);
    for link in links_to(&victim.path()) {
        let device =
            json!({"type": "c", "path": "/link/null", "major": 1, "minor": 3, "fileMode": 0o666});
        let bundle = t
            .bundle()
            .writable()
            .push("/linux/devices", device)
            .args(&["/bin/true"]);
        symlink(&link, bundle.rootfs().join("link")).expect("link");
        t.run(&bundle);
        victim.is_untouched();
    }
}

fn a_masked_path_follows_no_link_out(t: &Sandbox) {
    let victim = Victim::new(t);
    for key in ["/linux/maskedPaths", "/linux/readonlyPaths"] {
        let bundle = t
            .bundle()
            .writable()
            .push(key, json!("/link/file"))
            .args(&["/bin/true"]);
        symlink(victim.path(), bundle.rootfs().join("link")).expect("link");
        t.run(&bundle);
        victim.is_untouched();
    }
}

fn a_working_directory_follows_no_link_out(t: &Sandbox) {
    let victim = Victim::new(t);
    for link in links_to(&victim.path()) {
        let bundle = t
            .bundle()
            .writable()
            .set("/process/cwd", json!("/link/made"))
            .shell("cat ../file; pwd");
        symlink(&link, bundle.rootfs().join("link")).expect("link");
        let output = t.run(&bundle);
        assert!(!output.stdout.contains("untouched"), "{output}");
        victim.is_untouched();
    }
}

fn tmpcopyup_follows_no_link_out(t: &Sandbox) {
    let victim = Victim::new(t);
    let bundle = t
        .bundle()
        .writable()
        .mount("/copied", "tmpfs", "tmpfs", &["tmpcopyup"]);
    fs::create_dir(bundle.rootfs().join("copied")).expect("create /copied");
    symlink(victim.path(), bundle.rootfs().join("copied/link")).expect("link");
    let seen = t.sh(
        bundle,
        "readlink /copied/link; cat /copied/link/file 2>/dev/null || echo absent",
    );
    assert_eq!(seen, format!("{}\nabsent", victim.path()));
    victim.is_untouched();
}

// The entry's author names a place in a mount of the same container; what lies there is whoever's the volume is.
fn a_bind_of_a_mount_follows_no_link_out(t: &Sandbox) {
    if !runtime::is_ours() {
        return;
    }
    let victim = Victim::new(t);
    for link in links_to(&victim.path()) {
        let volume = t.new_path("volume");
        fs::create_dir(&volume).expect("create a volume");
        symlink(&link, volume.join("link")).expect("link");
        let bundle = t.bundle().writable();
        let source = bundle.rootfs().join("mnt/link");
        let bundle = bundle
            .mount("/mnt", "bind", &volume.to_string_lossy(), &["rbind"])
            .mount("/tmp", "bind", &source.to_string_lossy(), &["rbind"])
            .shell("cat /tmp/file; touch /tmp/file");
        let output = t.run(&bundle);
        assert!(!output.stdout.contains("untouched"), "{output}");
        victim.is_untouched();
    }
}
