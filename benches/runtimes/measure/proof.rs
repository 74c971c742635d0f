//! Proof that a peer does what is timed: a command that fails silently or does
//! nothing would win every race.

use crate::bundle::{Shape, Workload};
use crate::ground::Ground;
use crate::peers::Peer;
use crate::sample::{NOT_RUN, WORKLOAD_SAYS};
use std::time::Duration;

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

/// Soon after `start` the process must be the workload and no longer the runtime.
pub fn of_start(ground: &Ground) -> Result<(), String> {
    let file = ground.pid_file();
    let pid = std::fs::read_to_string(&file)
        .map_err(|error| format!("read {}: {error}", file.display()))?;
    let path = format!("/proc/{}/cmdline", pid.trim());
    for _ in 0..LOOKS {
        let line = std::fs::read(&path).map_err(|error| format!("read {path}: {error}"))?;
        if line.starts_with(b"/bin/sleep") {
            return Ok(());
        }
        std::thread::sleep(BETWEEN_LOOKS);
    }
    Err("start ended, but the workload is not there".to_owned())
}

/// runc and crun return from `start` before the workload is executed.
const LOOKS: u32 = 200;
const BETWEEN_LOOKS: Duration = Duration::from_millis(1);

fn expect_message(said: &str) -> Result<(), String> {
    if said.contains(WORKLOAD_SAYS) {
        return Ok(());
    }
    Err(NOT_RUN.to_owned())
}
