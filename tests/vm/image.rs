//! The disk that every cell boots: Debian packages, the cloud kernel, a small initial RAM disk. Made once, kept by content.
//!
//! Nothing of ours is in it: the programs under test come on a disk of their own.

use std::collections::hash_map::DefaultHasher;
use std::fs::{self, DirBuilder};
use std::hash::{Hash, Hasher};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What the guest has beside Debian's essential packages.
const PACKAGES: &str = "systemd,systemd-sysv,dbus,dbus-user-session,libpam-systemd,apparmor,busybox-static,iproute2,\
                        procps,uidmap,strace,kmod,passwd,podman,slirp4netns";

const SUITE: &str = "bookworm";
const HOOK: &str = include_str!("guest/kernel-hook");
const INIT: &str = include_str!("guest/init");

/// What the initial RAM disk needs to see the disks.
const MODULES: [&str; 6] = [
    "virtio",
    "virtio_ring",
    "virtio_pci",
    "virtio_pci_modern_dev",
    "virtio_pci_legacy_dev",
    "virtio_blk",
];

/// A machine's unchanging parts.
pub struct Image {
    pub kernel: PathBuf,
    pub initrd: PathBuf,
    pub disk: PathBuf,
}

impl Image {
    /// The image, made now where no run of any tree made it before.
    pub fn get(fallback: &Path) -> Image {
        let cache = shared_cache().unwrap_or_else(|| fallback.to_owned());
        let mut hasher = DefaultHasher::new();
        (PACKAGES, SUITE, HOOK, INIT, MODULES).hash(&mut hasher);
        let ready = cache.join(format!("image-{:016x}", hasher.finish()));
        if !ready.exists() {
            println!("making the virtual machine's image (about a minute, once)");
            let work = cache.join(format!("making-{}", std::process::id()));
            make(&work);
            fs::rename(&work, &ready)
                .or_else(|error| {
                    fs::remove_dir_all(&work).ok();
                    ready.exists().then_some(()).ok_or(error)
                })
                .expect("put the image in place");
        }
        Image {
            kernel: ready.join("vmlinuz"),
            initrd: ready.join("initrd"),
            disk: ready.join("root.ext4"),
        }
    }
}

/// A place that outlives the tree, and that is nobody else's.
fn shared_cache() -> Option<PathBuf> {
    let path = PathBuf::from("/var/tmp/crun-lite-vm");
    DirBuilder::new().mode(0o700).create(&path).ok();
    let found = fs::symlink_metadata(&path).ok()?;
    let is_ours = found.is_dir() && found.uid() == nix::unistd::geteuid().as_raw();
    is_ours.then_some(path)
}

fn make(work: &Path) {
    let root = work.join("root");
    fs::create_dir_all(work).expect("create the image's directory");
    let hook = work.join("hook");
    fs::write(&hook, HOOK).expect("write mmdebstrap's hook");
    let mut debootstrap = Command::new("mmdebstrap");
    debootstrap.args(["--quiet", "--variant=minbase"]);
    debootstrap.arg(format!("--include={PACKAGES}"));
    for unread in ["doc", "locale", "man", "info"] {
        debootstrap.arg(format!("--dpkgopt=path-exclude=/usr/share/{unread}/*"));
    }
    debootstrap.arg(format!("--customize-hook=sh '{}' \"$1\"", hook.display()));
    finish(debootstrap.arg(SUITE).arg(&root));
    make_initrd(&root, work);
    fs::rename(root.join("vmlinuz"), work.join("vmlinuz")).expect("take the kernel out");
    let disk = work.join("root.ext4");
    finish(
        Command::new("mke2fs")
            .args(["-q", "-t", "ext4", "-d"])
            .arg(&root)
            .arg(disk)
            .arg("1700M"),
    );
    fs::remove_dir_all(&root).expect("remove the unpacked image");
}

fn make_initrd(root: &Path, work: &Path) {
    let tree = work.join("initrd.d");
    fs::create_dir_all(tree.join("bin")).expect("create the initial RAM disk");
    fs::copy(root.join("bin/busybox"), tree.join("bin/busybox")).expect("copy busybox");
    for module in MODULES {
        let name = format!("{module}.ko");
        let found = find(&root.join("usr/lib/modules"), &name)
            .unwrap_or_else(|| panic!("the kernel has no {name}"));
        fs::copy(found, tree.join(name)).expect("copy a module");
    }
    fs::write(tree.join("init"), INIT).expect("write the first program");
    let script = "cd \"$1\" && chmod 755 init && find . | cpio --quiet -o -H newc >\"$2\"";
    finish(
        Command::new("sh")
            .args(["-c", script, "sh"])
            .arg(&tree)
            .arg(work.join("initrd")),
    );
    fs::remove_dir_all(tree).expect("remove the initial RAM disk's tree");
}

fn find(directory: &Path, name: &str) -> Option<PathBuf> {
    let entries = fs::read_dir(directory).ok()?.flatten();
    entries
        .into_iter()
        .find_map(|entry| match entry.file_type().ok()?.is_dir() {
            true => find(&entry.path(), name),
            false => (entry.file_name() == name).then(|| entry.path()),
        })
}

/// Runs a program to its good end; what it says is shown only when it fails.
pub fn finish(command: &mut Command) {
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| {
            panic!("start {command:?}: {error} (tests/install-deps installs it)")
        });
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
