//! Real workloads, each a script of `scenarios/` that a reader can follow, in the private machine.
//!
//! What a script reports (lines that start with `=`) is printed. There is no comparison: a script ends with `passed`.

use std::process::Command;
use std::sync::OnceLock;

use super::machine::{source, transcript};
use super::support::{Sandbox, cases, skip};

cases![
    whole_distribution,
    networks,
    reacting_to_load,
    many_databases,
    blue_green,
    production_at_home,
    printed_servers,
];

/// What has to be downloaded, or why it isn't there. Made once and kept.
static IMAGES: OnceLock<Result<(), String>> = OnceLock::new();

/// Makes the images while other cases run: the private machine has no network that leads out.
pub fn prepare() {
    std::thread::spawn(|| IMAGES.get_or_init(make_images));
}

fn make_images() -> Result<(), String> {
    for script in ["kernel-image", "system-image", "servers-image"] {
        let output = Command::new(source("scenarios").join(script))
            .output()
            .map_err(|error| format!("{script}: {error}"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("{script}: {said}"));
        }
    }
    Ok(())
}

/// Waits for the images, or ends the case.
pub fn need_images() {
    if let Err(reason) = IMAGES.get_or_init(make_images) {
        skip(format!("no images of Debian: {reason}"));
    }
}

#[track_caller]
fn passes(script: &str) {
    need_images();
    let said = transcript(400, &format!("TMPDIR=@W/state @S/scenarios/{script}"));
    assert_eq!(said.lines().last(), Some("passed"), "{script}:\n{said}");
    let reports = said.lines().filter_map(|line| line.strip_prefix("= "));
    reports.for_each(|report| println!("     {report}"));
}

fn production_at_home(_: &Sandbox) {
    passes("1-production-at-home");
}

fn many_databases(_: &Sandbox) {
    passes("2-many-databases");
}

fn printed_servers(_: &Sandbox) {
    passes("3-printed-servers");
}

fn blue_green(_: &Sandbox) {
    passes("4-blue-green");
}

fn whole_distribution(_: &Sandbox) {
    passes("5-whole-distribution");
}

fn reacting_to_load(_: &Sandbox) {
    passes("6-reacting-to-load");
}

fn networks(_: &Sandbox) {
    passes("7-networks");
}
