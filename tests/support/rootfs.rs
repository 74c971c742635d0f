//! A root file system of Debian's static busybox, built once and hard-linked into each sandbox.
//!
//! Built under another name and renamed, under a lock, so that test processes can share it.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::fcntl::{Flock, FlockArg};

use super::runtime::copy_program;

/// Directories that every root file system has.
const DIRECTORIES: [&str; 12] = [
    "bin", "dev", "etc", "home", "mnt", "proc", "root", "run", "sys", "tmp", "usr", "var",
];

/// Where Debian's `busybox-static` puts its one file.
const BUSYBOX: &str = "/bin/busybox";

/// The cached template: `busybox`, and `applets` with a name a line.
fn template() -> PathBuf {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let ready = cache.join("busybox-template");
    if ready.join("applets").exists() {
        return ready;
    }
    fs::create_dir_all(cache).expect("create cargo's directory for test files");
    let lock_file =
        File::create(cache.join("busybox-template.lock")).expect("create the template's lock");
    let lock = Flock::lock(lock_file, FlockArg::LockExclusive)
        .map_err(|(_, errno)| errno)
        .expect("lock the template");
    if !ready.exists() {
        let unfinished = cache.join(format!("busybox-template.{}", std::process::id()));
        fs::create_dir_all(&unfinished).expect("create the template");
        // Debian's package busybox-static has it.
        copy_program(BUSYBOX, &unfinished.join("busybox"));
        let applets = Command::new(BUSYBOX)
            .arg("--list")
            .output()
            .expect("list busybox's applets")
            .stdout;
        fs::write(unfinished.join("applets"), applets).expect("write the list of applets");
        fs::rename(&unfinished, &ready).expect("put the template in place");
    }
    drop(lock);
    ready
}

/// Makes a fresh root file system at `path`.
pub fn make(path: &Path) {
    let template = template();
    for directory in DIRECTORIES {
        fs::create_dir_all(path.join(directory))
            .expect("create a directory of the root file system");
    }
    fs::set_permissions(path.join("tmp"), fs::Permissions::from_mode(0o1777)).expect("chmod /tmp");
    let busybox = path.join("bin/busybox");
    if fs::hard_link(template.join("busybox"), &busybox).is_err() {
        copy_program(template.join("busybox"), &busybox);
    }
    let applets = fs::read_to_string(template.join("applets")).expect("read the list of applets");
    for applet in applets.lines().filter(|applet| *applet != "busybox") {
        symlink("busybox", path.join("bin").join(applet)).expect("link an applet");
    }
    fs::write(
        path.join("etc/passwd"),
        "root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1000:Web:/home/web:/bin/sh\n",
    )
    .expect("write /etc/passwd");
    fs::write(
        path.join("etc/group"),
        "root:x:0:\nweb:x:1000:\nextra:x:2000:web\n",
    )
    .expect("write /etc/group");
}

/// Writes an executable file, as [`copy_program`] does.
pub fn write_script(path: &Path, text: &str) {
    let mut writer = Command::new("tee")
        .arg(path)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("start tee");
    let mut input = writer.stdin.take().expect("tee has an input");
    input.write_all(text.as_bytes()).expect("write a script");
    drop(input);
    assert!(
        writer.wait().is_ok_and(|status| status.success()),
        "tee {path:?}"
    );
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("make a script executable");
}
