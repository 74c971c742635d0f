//! How many instructions of user space a start takes: of the runtime, of all that it makes, and of the workload.
//!
//! Counted by the processor where it has a counter, else step by step by benches/instructions.c, which takes minutes and
//! is left to a full run. It must not know what the peers do.

use super::{Answer, ONLY_FULL, Progress, proof};
use crate::bundle::{Shape, Workload};
use crate::ground::{Ground, wrap};
use crate::interrupt;
use crate::model::{Measure, Row, Unit};
use crate::peers::Peer;
use std::ffi::OsStr;
use std::process::Command;
use std::time::Duration;

/// How long one command is stepped through; far longer than a counter needs.
const SECONDS: u64 = 45;
/// Beyond that, for its start and its end.
const GRACE: Duration = Duration::from_secs(30);

/// What the counting program says.
struct Count {
    instructions: f64,
    how: String,
}

pub fn of_run(ground: &Ground, progress: &mut Progress) -> Result<Answer, String> {
    let probe = count(ground, &Command::new(ground.work.join("rootfs/bin/first")))?;
    let has_counter = probe.how == "counter";
    // Of an engine only the client would be counted.
    let peers = ground.peers.iter().filter(|peer| !peer.is_engine());
    let peers: Vec<&Peer> = peers.collect();
    let mut rows = Vec::new();
    for (index, peer) in peers.iter().enumerate() {
        progress(index, peers.len());
        if interrupt::is_asked() {
            break;
        }
        let counted = match has_counter || ground.full {
            true => of_peer(ground, peer),
            false => Err(format!(
                "{ONLY_FULL}: this processor shows no counter, and stepping takes minutes"
            )),
        };
        let stepped = "stepped through, for want of a counter".to_owned();
        let note = (!has_counter && counted.is_ok()).then_some(stepped);
        rows.push(Row::new(peer.name, counted).noted(note.or_else(|| peer.note())));
    }
    Ok(Answer::of(Measure {
        id: "instructions-run".into(),
        title: "Instructions of run /bin/true, in user space".into(),
        about: "Of every process of the command, the workload's own included.".into(),
        unit: Unit::Count,
        rows,
        question: String::new(),
    }))
}

fn of_peer(ground: &Ground, peer: &Peer) -> Result<Vec<f64>, String> {
    proof::of_run(ground, peer, Shape::Plain)?;
    let bundle = ground.bundle(Shape::Plain, Workload::True)?;
    let id = peer.fresh_id();
    let counted = count(ground, &peer.run(&bundle, &id));
    if counted
        .as_ref()
        .map_or(true, |count| count.how == "unfinished")
    {
        peer.forget(&ground.stopwatch, &id);
        ground.remove_cgroups_of(&id);
    }
    match counted? {
        Count { instructions, how } if how == "unfinished" => Err(format!(
            "more than {instructions}, stepped through for {SECONDS} s"
        )),
        counted => Ok(vec![counted.instructions]),
    }
}

fn count(ground: &Ground, command: &Command) -> Result<Count, String> {
    let file = ground.work.join("instructions-counted");
    let seconds = SECONDS.to_string();
    let prefix = [file.as_os_str(), OsStr::new(&seconds)];
    let patience = Duration::from_secs(SECONDS) + GRACE;
    ground.stopwatch.with_patience(patience, || {
        let mut wrapped = wrap(&ground.instructions, &prefix, command);
        ground.stopwatch.time(&mut wrapped)
    })?;
    let text = std::fs::read_to_string(&file)
        .map_err(|error| format!("read {}: {error}", file.display()))?;
    parse(&text).ok_or_else(|| format!("no count in {text:?}"))
}

fn parse(text: &str) -> Option<Count> {
    let (number, how) = text.trim().split_once(' ')?;
    Some(Count {
        instructions: number.parse().ok()?,
        how: how.to_owned(),
    })
}
