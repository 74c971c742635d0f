//! Part of the build script: tells `--version` the commit, from git's own files, without running git.
//!
//! For release builds only: a debug build would be linked again after every commit. `CRUN_LITE_COMMIT` wins, and an
//! archive without `.git` has none.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// For release builds.
pub fn tell() {
    println!("cargo::rerun-if-changed=.cargo/commit.rs");
    println!("cargo::rerun-if-env-changed=CRUN_LITE_COMMIT");
    let told = env::var_os("CRUN_LITE_COMMIT").is_some();
    if told || env::var_os("PROFILE").is_none_or(|profile| profile != "release") {
        return;
    }
    if let Some(commit) = git_directory().and_then(|directory| head(&directory)) {
        println!("cargo::rustc-env=CRUN_LITE_COMMIT={commit}");
    }
}

/// `.git`, or where the file of that name points in a worktree.
fn git_directory() -> Option<PathBuf> {
    let git = Path::new(".git");
    match fs::read_to_string(git) {
        Ok(text) => Some(PathBuf::from(text.strip_prefix("gitdir:")?.trim())),
        Err(_) => git.is_dir().then(|| git.to_owned()),
    }
}

fn head(directory: &Path) -> Option<String> {
    let head = watched(&directory.join("HEAD"))?;
    let Some(name) = head.trim().strip_prefix("ref: ") else {
        return Some(head.trim().to_owned());
    };
    // A worktree keeps its HEAD, the repository that it belongs to the branches.
    let common = fs::read_to_string(directory.join("commondir"))
        .map_or_else(|_| directory.to_owned(), |path| directory.join(path.trim()));
    if let Some(commit) = watched(&common.join(name)) {
        return Some(commit.trim().to_owned());
    }
    let packed = watched(&common.join("packed-refs"))?;
    let line = packed
        .lines()
        .find(|line| line.ends_with(&format!(" {name}")))?;
    Some(line.split(' ').next()?.to_owned())
}

fn watched(file: &Path) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    println!("cargo::rerun-if-changed={}", file.display());
    Some(text)
}
