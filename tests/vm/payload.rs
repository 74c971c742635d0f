//! The disk with what is tested: the runtime and the test programs of this tree, as cargo builds them, without their
//! debugging information.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::image::finish;

/// The guest's own scripts.
const SCRIPTS: [(&str, &str); 4] = [
    ("boot", include_str!("guest/boot")),
    ("plain", include_str!("guest/plain")),
    ("suites", include_str!("guest/suites")),
    ("suites.service", include_str!("guest/suites.service")),
];

/// Builds the suites and packs them; the disk's file.
pub fn make(work: &Path, suites: &[&str]) -> PathBuf {
    let tree = work.join("payload");
    fs::remove_dir_all(&tree).ok();
    fs::create_dir_all(&tree).expect("create the payload's directory");
    let mut programs = vec![(
        "crun-lite".to_owned(),
        PathBuf::from(env!("CARGO_BIN_EXE_crun-lite")),
    )];
    programs.extend(build(suites));
    for (name, path) in programs {
        finish(
            Command::new("strip")
                .arg("-g")
                .arg("-o")
                .arg(tree.join(name))
                .arg(path),
        );
    }
    for (name, text) in SCRIPTS {
        fs::write(tree.join(name), text).expect("write a script of the guest");
    }
    let known = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/known-differences.toml");
    fs::copy(known, tree.join("known-differences.toml")).expect("copy the known differences");
    finish(Command::new("chmod").args(["-R", "go=rX,+x"]).arg(&tree));
    let disk = work.join("payload.ext4");
    fs::remove_file(&disk).ok();
    let bytes: u64 = fs::read_dir(&tree)
        .expect("list the payload")
        .flatten()
        .map(|entry| entry.metadata().map_or(0, |data| data.len()))
        .sum();
    let size = format!("{}M", bytes / (1 << 20) + 24);
    finish(
        Command::new("mke2fs")
            .args(["-q", "-t", "ext4", "-d"])
            .arg(&tree)
            .arg(&disk)
            .arg(size),
    );
    disk
}

/// Has cargo build the test programs, so that none is older than its source; name and path of each.
fn build(suites: &[&str]) -> Vec<(String, PathBuf)> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    // What the cargo that runs us has set for us would have build scripts run again, and all that depends on them.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if [
            "CARGO_PKG_",
            "CARGO_MANIFEST_",
            "CARGO_BIN_",
            "CARGO_CRATE_",
            "OUT_DIR",
        ]
        .iter()
        .any(|own| text.starts_with(own))
        {
            cargo.env_remove(&name);
        }
    }
    cargo.args([
        "test",
        "--locked",
        "--workspace",
        "--no-run",
        "--message-format=json",
    ]);
    for suite in suites {
        cargo.args(["--test", suite]);
    }
    let output = cargo
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .expect("start cargo");
    assert!(
        output.status.success(),
        "cargo can't build the suites: {}",
        output.status
    );
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    let built: Vec<(String, PathBuf)> = lines
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["kind"][0] == "test")
        .filter_map(|message| {
            let name = message["target"]["name"].as_str()?.to_owned();
            Some((name, message["executable"].as_str()?.into()))
        })
        .collect();
    for suite in suites {
        assert!(
            built.iter().any(|(name, _)| name == suite),
            "cargo built no {suite}"
        );
    }
    built
}
