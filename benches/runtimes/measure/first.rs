//! The time to the first instruction of the workload, from outside: from before
//! the runtime is started until its message arrives.

use super::{Answer, Progress, back_to_back, vm};
use crate::bundle::{Shape, Workload};
use crate::ground::Ground;
use crate::model::{Measure, Unit};
use crate::sample::{Contender, interleave};

pub fn instruction(ground: &Ground, progress: &mut Progress) -> Result<Answer, String> {
    let bundle = ground.bundle(Shape::Plain, Workload::First)?;
    let contenders = ground
        .peers
        .iter()
        .map(|peer| Contender {
            peer: peer.name.to_owned(),
            take: Box::new({
                let bundle = bundle.clone();
                move || {
                    let id = peer.fresh_id();
                    let taken = ground
                        .stopwatch
                        .time_to_first_output(&mut peer.run(&bundle, &id));
                    if taken.is_err() {
                        peer.forget(&ground.stopwatch, &id);
                    }
                    Ok(vec![taken?])
                }
            }),
        })
        .collect();
    let mut rows = interleave(back_to_back(ground), 1, contenders, progress).remove(0);
    rows.extend(vm::first_instruction(ground));
    Ok(Answer::of(Measure {
        id: "first-instruction".into(),
        title: "Start to the first instruction of the workload".into(),
        about: "The workload writes a line as its first act; the clock stops when it arrives."
            .into(),
        unit: Unit::Milliseconds,
        rows,
        question: String::new(),
    }))
}
