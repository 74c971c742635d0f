//! Real workloads, each a script of `scenarios/` that a reader can follow, in the private machine.
//!
//! What a script reports (lines that start with `=`) is printed. There is no comparison: a script ends with `passed`.

use std::process::Command;
use std::sync::OnceLock;

use super::machine::{source, transcript};
use super::support::{Sandbox, cases, skip};

cases![
    networks,
    reacting_to_load,
    many_databases,
    blue_green,
    printed_servers,
];

/// The image of servers, or why there is none. Made once and kept: packages of hundreds of megabytes.
static IMAGE: OnceLock<Result<(), String>> = OnceLock::new();

/// Makes the image while other cases run.
pub fn prepare() {
    std::thread::spawn(|| IMAGE.get_or_init(make_image));
}

fn make_image() -> Result<(), String> {
    let output = Command::new(source("scenarios/servers-image"))
        .output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}

#[track_caller]
fn passes(script: &str) {
    if let Err(reason) = IMAGE.get_or_init(make_image) {
        skip(format!("no image of Debian's servers: {reason}"));
    }
    let said = transcript(240, &format!("TMPDIR=@W/state @S/scenarios/{script}"));
    assert_eq!(said.lines().last(), Some("passed"), "{script}:\n{said}");
    let reports = said.lines().filter_map(|line| line.strip_prefix("= "));
    reports.for_each(|report| println!("     {report}"));
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

fn reacting_to_load(_: &Sandbox) {
    passes("6-reacting-to-load");
}

fn networks(_: &Sandbox) {
    passes("7-networks");
}
