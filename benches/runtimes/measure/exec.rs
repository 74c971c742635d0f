//! `exec /bin/true` in a container that runs.

use super::{Answer, Progress, after_idle, back_to_back, proof};
use crate::bundle::{Bundle, Shape, Workload};
use crate::ground::Ground;
use crate::model::{Measure, Row, Unit};
use crate::peers::{FLOOR, Kind, Peer};
use crate::process;
use crate::sample::{Contender, Pace, interleave};
use std::process::Command;

pub fn both(ground: &Ground, progress: &mut Progress) -> Result<Answer, String> {
    let bundle = ground.bundle(Shape::Plain, Workload::Sleep)?;
    let held: Vec<Tried> = ground
        .oci_peers()
        .map(|peer| (peer.name, proven(ground, peer, &bundle)))
        .collect();
    let mut measures = Vec::new();
    for (id, when, pace) in [
        ("exec-warm", "back to back", back_to_back(ground)),
        ("exec-idle", "after 0.3 s idle", after_idle(ground)),
    ] {
        measures.push(Measure {
            id: id.into(),
            title: format!("exec /bin/true in a running container, {when}"),
            about: "The floor joins the same namespaces, forks and executes.".into(),
            unit: Unit::Milliseconds,
            rows: rows(ground, &held, pace, progress),
            question: String::new(),
        });
    }
    Ok(Answer {
        measures,
        ..Answer::default()
    })
}

/// A peer's name and its container, or why it has none.
type Tried<'a> = (&'a str, Result<Held<'a>, String>);

fn proven<'a>(ground: &'a Ground, peer: &'a Peer, bundle: &Bundle) -> Result<Held<'a>, String> {
    let held = Held::start(ground, peer, bundle)?;
    proof::of_exec(ground, peer, &held.id)?;
    Ok(held)
}

fn rows(ground: &Ground, held: &[Tried], pace: Pace, progress: &mut Progress) -> Vec<Row> {
    let mut contenders: Vec<Contender> = held
        .iter()
        .filter_map(|(_, held)| held.as_ref().ok())
        .map(|held| {
            timed(ground, held.peer.name, || {
                held.peer.exec(&held.id, &["/bin/true"])
            })
        })
        .collect();
    let floor = ground.peers.iter().find(|peer| peer.kind == Kind::Floor);
    let joined = held.iter().find_map(|(_, held)| held.as_ref().ok());
    if let (Some(floor), Some(held)) = (floor, joined) {
        contenders.push(timed(ground, FLOOR, || {
            floor.exec_by_pid(held.pid, &["/bin/true"])
        }));
    }
    let mut rows = interleave(pace, 1, contenders, progress).remove(0);
    rows.extend(held.iter().filter_map(|(peer, held)| {
        let reason = held.as_ref().err()?;
        Some(Row::new(peer, Err(reason.clone())))
    }));
    rows.sort_by_key(|row| ground.peers.iter().position(|peer| peer.name == row.peer));
    rows
}

fn timed<'a>(ground: &'a Ground, peer: &str, command: impl Fn() -> Command + 'a) -> Contender<'a> {
    Contender {
        peer: peer.to_owned(),
        take: Box::new(move || Ok(vec![ground.stopwatch.time(&mut command())?])),
    }
}

/// A running container, deleted when it goes out of scope.
pub struct Held<'a> {
    ground: &'a Ground,
    pub peer: &'a Peer,
    pub id: String,
    pub pid: u32,
}

impl<'a> Held<'a> {
    pub fn start(ground: &'a Ground, peer: &'a Peer, bundle: &Bundle) -> Result<Self, String> {
        Self::start_timed(ground, peer, bundle).map(|(_, held)| held)
    }

    /// With the milliseconds that the command took.
    pub fn start_timed(
        ground: &'a Ground,
        peer: &'a Peer,
        bundle: &Bundle,
    ) -> Result<(f64, Self), String> {
        let id = peer.fresh_id();
        let file = ground.pid_file();
        let _ = std::fs::remove_file(&file);
        let mut command = peer
            .run_detached(bundle, &id, &file)
            .ok_or("has no detached containers")?;
        let mut held = Self {
            ground,
            peer,
            id,
            pid: 0,
        };
        let taken = ground.stopwatch.time(&mut command)?;
        held.pid = process::read_pid(&file)?;
        Ok((taken, held))
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        // A workload that is gone already spares runc a tenth of a second.
        if self.pid != 0 {
            process::end_process(self.pid);
        }
        self.peer.forget(&self.ground.stopwatch, &self.id);
    }
}
