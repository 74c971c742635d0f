//! Proof that a peer does what is timed: a command that fails silently or does
//! nothing would win every race.

use crate::bundle::{Shape, Workload};
use crate::ground::Ground;
use crate::peers::Peer;

const MESSAGE: &str = "first instruction";

/// `run` must run the workload, in this shape of container.
pub fn of_run(ground: &Ground, peer: &Peer, shape: Shape) -> Result<(), String> {
    let bundle = ground.bundle(shape, Workload::First)?;
    let id = peer.fresh_id();
    let said = ground.stopwatch.output(&mut peer.run(&bundle, &id));
    if said.is_err() {
        peer.forget(&ground.stopwatch, &id);
    }
    expect_message(&said?)
}

/// `exec` must run a program in the container.
pub fn of_exec(ground: &Ground, peer: &Peer, id: &str) -> Result<(), String> {
    let mut command = peer.exec(id, Workload::First.arguments());
    expect_message(&ground.stopwatch.output(&mut command)?)
}

/// After `start` the process must be the workload and no longer the runtime.
pub fn of_start(ground: &Ground) -> Result<(), String> {
    let file = ground.pid_file();
    let pid = std::fs::read_to_string(&file)
        .map_err(|error| format!("read {}: {error}", file.display()))?;
    let path = format!("/proc/{}/cmdline", pid.trim());
    let line = std::fs::read(&path).map_err(|error| format!("read {path}: {error}"))?;
    if line.starts_with(b"/bin/sleep") {
        return Ok(());
    }
    Err("start ended, but the workload is not there".to_owned())
}

fn expect_message(said: &str) -> Result<(), String> {
    if said.contains(MESSAGE) {
        return Ok(());
    }
    Err("ended with status 0, but the workload did not run".to_owned())
}
