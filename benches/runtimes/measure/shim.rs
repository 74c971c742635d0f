//! What an engine keeps in memory for each container: containerd's shim, Podman's conmon.
//!
//! Such a process is the parent of the workload, and the engine tells the workload's id. The daemon is there once,
//! whatever the number of containers, so it is told beside and not added. It must not know what the processes do.

use super::memory::Standing;
use crate::bundle::{Shape, Workload};
use crate::ground::Ground;
use crate::peers::{Kind, Peer};
use crate::process;
use std::path::Path;

/// Weighed while the engine's container runs detached.
pub fn standing(ground: &Ground, peer: &Peer) -> Result<Standing, String> {
    let bundle = ground.bundle(Shape::Plain, Workload::Sleep)?;
    let id = peer.fresh_id();
    let watch = &ground.stopwatch;
    let started = watch.output(&mut peer.engine_start(&bundle, &id));
    let weighed = started
        .and_then(|_| watch.output(&mut peer.engine_pid(&id)))
        .and_then(|said| weigh(parse_pid(&said, &id)?));
    for mut command in peer.engine_remove(&id) {
        let _ = watch.time(&mut command);
    }
    weighed
}

/// What a reader of the row must know.
pub fn note(ground: &Ground, peer: &Peer) -> Option<String> {
    let daemon_mib = ground.daemons.memory_kib(peer.kind) / 1024.0;
    match peer.kind {
        Kind::Podman => Some("its conmon; it has no daemon".to_owned()),
        Kind::Docker | Kind::Containerd => Some(format!(
            "its shim; the daemons' {daemon_mib:.0} MiB are there once and not counted"
        )),
        _ => None,
    }
}

fn weigh(workload: u32) -> Result<Standing, String> {
    std::thread::sleep(process::SETTLING);
    let shim = parent(workload)?;
    let kib = process::pss_kib(workload)?;
    let beside_kib = process::pss_kib(shim)?;
    Ok(Standing {
        beside_kib,
        whole_kib: beside_kib + kib,
        kernel_kib: process::cgroup_kernel_kib(workload),
    })
}

fn parent(pid: u32) -> Result<u32, String> {
    let file = format!("/proc/{pid}/status");
    let text = std::fs::read_to_string(Path::new(&file));
    let text = text.map_err(|error| format!("read {file}: {error}"))?;
    text.lines()
        .find_map(|line| line.strip_prefix("PPid:")?.trim().parse().ok())
        .ok_or_else(|| format!("no PPid in {file}"))
}

/// A number alone, or the line of this container in a list.
pub fn parse_pid(said: &str, id: &str) -> Result<u32, String> {
    let of_line = said.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some(id)).then(|| words.next()?.parse().ok())?
    });
    let pid = said.trim().parse().ok().or(of_line);
    pid.ok_or_else(|| format!("no process id of {id} in {said:?}"))
}
