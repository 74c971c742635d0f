//! `create`, `start` and `delete --force`, apart and as the sum an engine waits for.

use super::{Answer, Progress, after_idle, back_to_back, proof};
use crate::bundle::{Bundle, Shape, Workload};
use crate::ground::Ground;
use crate::model::{Measure, Unit};
use crate::peers::Peer;
use crate::sample::{Contender, Pace, interleave};

/// Identifier and title of each series, in the order in which `sequence` gives them.
const SERIES: [(&str, &str); 4] = [
    ("create", "create"),
    ("start", "start"),
    ("delete", "delete --force of a running container"),
    ("lifecycle", "create + start + delete"),
];

pub fn apart(ground: &Ground, progress: &mut Progress) -> Result<Answer, String> {
    let mut measures = series(
        ground,
        back_to_back(ground),
        "warm",
        "back to back",
        progress,
    )?;
    measures.extend(series(
        ground,
        after_idle(ground),
        "idle",
        "after 0.3 s idle",
        progress,
    )?);
    Ok(Answer {
        measures,
        ..Answer::default()
    })
}

fn series(
    ground: &Ground,
    pace: Pace,
    suffix: &str,
    when: &str,
    progress: &mut Progress,
) -> Result<Vec<Measure>, String> {
    let bundle = ground.bundle(Shape::Plain, Workload::Sleep)?;
    let contenders = ground
        .oci_peers()
        .map(|peer| Contender {
            peer: peer.name.to_owned(),
            take: Box::new({
                let bundle = bundle.clone();
                move || sequence(ground, peer, &bundle)
            }),
        })
        .collect();
    let rows = interleave(pace, SERIES.len(), contenders, progress);
    let measures = SERIES.iter().zip(rows).map(|((id, title), rows)| Measure {
        id: format!("{id}-{suffix}"),
        title: format!("{title}, {when}"),
        about: "Three commands, as an engine calls them; the workload sleeps.".into(),
        unit: Unit::Milliseconds,
        rows,
        question: String::new(),
    });
    Ok(measures.collect())
}

fn sequence(ground: &Ground, peer: &Peer, bundle: &Bundle) -> Result<Vec<f64>, String> {
    let id = peer.fresh_id();
    let _ = std::fs::remove_file(ground.pid_file());
    let watch = &ground.stopwatch;
    let started = watch
        .time(&mut peer.create(bundle, &id, &ground.pid_file()))
        .and_then(|create| Ok((create, watch.time(&mut peer.start(&id))?)));
    let started = started.and_then(|times| proof::of_start(ground).map(|()| times));
    let deleted = watch.time(&mut peer.delete(&id));
    let ((create, start), delete) = (started?, deleted?);
    Ok(vec![create, start, delete, create + start + delete])
}
