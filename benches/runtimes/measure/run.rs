//! The whole of `run /bin/true`, as a user waits for it.

use super::{Answer, ONLY_FULL, Progress, after_idle, back_to_back, proof};
use crate::bundle::{Bundle, Shape, Workload};
use crate::ground::Ground;
use crate::model::{Measure, Row, Unit};
use crate::peers::{Kind, Peer};
use crate::sample::{Contender, Pace, interleave};

pub fn warm(ground: &Ground, progress: &mut Progress) -> Result<Answer, String> {
    let measure = Measure {
        id: "run-warm".into(),
        title: "run /bin/true, back to back".into(),
        about: "From the start of the command until it has ended: create, run, wait, remove."
            .into(),
        unit: Unit::Milliseconds,
        rows: whole_runs(ground, back_to_back(ground), progress)?,
        question: String::new(),
    };
    Ok(Answer::of(measure))
}

pub fn idle(ground: &Ground, progress: &mut Progress) -> Result<Answer, String> {
    let measure = Measure {
        id: "run-idle".into(),
        title: "run /bin/true, after 0.3 s idle".into(),
        about: "The same after a silence, as most starts of a person or a scheduler are.".into(),
        unit: Unit::Milliseconds,
        rows: whole_runs(ground, after_idle(ground), progress)?,
        question: String::new(),
    };
    Ok(Answer::of(measure))
}

fn whole_runs(ground: &Ground, pace: Pace, progress: &mut Progress) -> Result<Vec<Row>, String> {
    rows(ground, ground.peers.iter(), Shape::Plain, pace, progress)
}

/// Whole runs of containers of one shape.
pub fn rows<'a>(
    ground: &'a Ground,
    peers: impl Iterator<Item = &'a Peer>,
    shape: Shape,
    pace: Pace,
    progress: &mut Progress,
) -> Result<Vec<Row>, String> {
    let bundle = ground.bundle(shape, Workload::True)?;
    let contenders = peers
        .map(|peer| match is_left_out(ground, peer, pace) {
            true => Contender::absent(peer.name, ONLY_FULL.to_owned()),
            false => contender(ground, peer, shape, bundle.clone()),
        })
        .collect();
    Ok(interleave(pace, 1, contenders, progress).remove(0))
}

/// Each sample waits: the runtimes that engines use, and what is nearest to them, come first.
fn is_left_out(ground: &Ground, peer: &Peer, pace: Pace) -> bool {
    let is_late = matches!(peer.kind, Kind::Lxc | Kind::Nspawn);
    !ground.full && !pace.idle.is_zero() && is_late
}

fn contender<'a>(
    ground: &'a Ground,
    peer: &'a Peer,
    shape: Shape,
    bundle: Bundle,
) -> Contender<'a> {
    let mut proven = false;
    Contender {
        peer: peer.name.to_owned(),
        take: Box::new(move || {
            if !proven {
                proof::of_run(ground, peer, shape)?;
                proven = true;
            }
            let id = peer.fresh_id();
            let taken = ground.stopwatch.time(&mut peer.run(&bundle, &id));
            if taken.is_err() {
                peer.forget(&ground.stopwatch, &id);
            }
            taken.map(|milliseconds| vec![milliseconds])
        }),
    }
}
