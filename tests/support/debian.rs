//! A root file system of Debian, made by mmdebstrap once and shared by all who run it.
//!
//! Cached by what it is made from: another recipe or another mmdebstrap makes another directory. Containers take it
//! read-only and put file systems in memory over what they write to.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::fcntl::{Flock, FlockArg};

use super::harness::skip;

/// The recipe, without the directory that it fills.
const RECIPE: [&str; 3] = ["--variant=minbase", "--quiet", "--mode=root"];
const SUITE: &str = "bookworm";
const MIRROR: &str = "http://deb.debian.org/debian";

/// The directory; skips the case where no mirror answers.
pub fn root() -> PathBuf {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let ready = cache.join(format!("debian-{}", key()));
    if ready.exists() {
        return ready;
    }
    fs::create_dir_all(cache).expect("create cargo's directory for test files");
    let lock_file = File::create(cache.join("debian.lock")).expect("create the root's lock");
    let _lock = Flock::lock(lock_file, FlockArg::LockExclusive)
        .map_err(|(_, errno)| errno)
        .expect("lock the root");
    if !ready.exists() {
        make(&cache.join("debian-unfinished"), &ready);
    }
    ready
}

/// What the root is made from, as a name.
fn key() -> String {
    let version = Command::new("mmdebstrap")
        .arg("--version")
        .output()
        .expect("run mmdebstrap (tests/install-deps installs it)");
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let made_from = [version.trim(), SUITE, MIRROR, &RECIPE.join(" ")].join("\n");
    oci::Digest::of(made_from.as_bytes()).short().to_owned()
}

/// Made under another name: what was interrupted is never taken for a root.
fn make(unfinished: &Path, ready: &Path) {
    fs::remove_dir_all(unfinished).ok();
    let output = Command::new("mmdebstrap")
        .args(RECIPE)
        .arg(SUITE)
        .arg(unfinished)
        .arg(MIRROR)
        .output()
        .expect("run mmdebstrap");
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        assert!(said.contains("apt-get update"), "mmdebstrap failed: {said}");
        skip(format!(
            "no Debian mirror answers: {}",
            said.trim().replace('\n', "; ")
        ));
    }
    fs::rename(unfinished, ready).expect("put the root in place");
}
