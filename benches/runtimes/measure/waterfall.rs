//! Where the time of a start goes, as the runtime itself records it with `--trace-start`: each build of ours that is
//! measured, so that two can be laid side by side.
//!
//! Of several starts the one in the middle is shown. It must not know how it is drawn.

use super::exec::Held;
use super::{Answer, Progress};
use crate::bundle::{Shape, Workload};
use crate::ground::Ground;
use crate::model::Waterfall;
use crate::peers::Peer;
use crate::trace;
use std::path::Path;
use std::process::Command;

pub fn of_starts(ground: &Ground, progress: &mut Progress) -> Result<Answer, String> {
    let builds: Vec<&Peer> = ground.peers.iter().filter(|peer| peer.is_ours).collect();
    let mut waterfalls = Vec::new();
    for (index, peer) in builds.iter().enumerate() {
        progress(index, builds.len());
        waterfalls.push(titled("run /bin/true", peer, of_run(ground, peer)));
        waterfalls.push(titled("exec /bin/true", peer, of_exec(ground, peer)));
    }
    // The same command of two builds is read side by side.
    waterfalls.sort_by_key(|waterfall| !waterfall.title.starts_with("run"));
    Ok(Answer {
        waterfalls,
        ..Answer::default()
    })
}

fn titled(what: &str, peer: &Peer, recorded: Result<Waterfall, String>) -> Waterfall {
    let title = format!("{what}, {}", peer.name);
    match recorded {
        Ok(waterfall) => Waterfall { title, ..waterfall },
        Err(reason) => Waterfall {
            title,
            phases: Vec::new(),
            failure: Some(reason),
        },
    }
}

fn of_run(ground: &Ground, peer: &Peer) -> Result<Waterfall, String> {
    let bundle = ground.bundle(Shape::Plain, Workload::True)?;
    middle(ground, |file| {
        let mut command = peer.verb("run");
        command.arg("--trace-start").arg(file);
        command.arg("--bundle").arg(&bundle.path);
        command.arg(peer.fresh_id());
        command
    })
}

fn of_exec(ground: &Ground, peer: &Peer) -> Result<Waterfall, String> {
    let sleeping = ground.bundle(Shape::Plain, Workload::Sleep)?;
    let held = Held::start(ground, peer, &sleeping)?;
    middle(ground, |file| {
        let mut command = peer.verb("exec");
        command.arg("--trace-start").arg(file);
        command.args([&held.id, "/bin/true"]);
        command
    })
}

/// The start whose length is the median; the first, which is cold, does not count.
fn middle(ground: &Ground, command: impl Fn(&Path) -> Command) -> Result<Waterfall, String> {
    let file = ground.work.join("trace.json");
    let tries = if ground.full { 31 } else { 7 };
    let record = |_| {
        ground.stopwatch.time(&mut command(&file))?;
        trace::read(&file)
    };
    let mut recorded = (0..=tries)
        .map(record)
        .skip(1)
        .collect::<Result<Vec<Waterfall>, String>>()?;
    recorded.sort_by(|a, b| a.end_us().total_cmp(&b.end_us()));
    let middle = recorded.len() / 2;
    Ok(recorded.swap_remove(middle))
}
