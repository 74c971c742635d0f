//! The questions: one entry a measure, in the order of the report.
//!
//! A measure takes the ground and gives rows or lines back. It must not know
//! how they are shown.

mod crowd;
mod effort;
mod exec;
mod fetch;
mod first;
mod first_run;
mod instructions;
mod lifecycle;
mod memory;
mod proof;
mod run;
mod shapes;
mod unpack;
mod vm;
mod waterfall;

use crate::ground::Ground;
pub use crate::model::Answer;
use crate::sample::Pace;
use std::time::Duration;

pub struct Question {
    /// What `--only` looks for.
    pub name: &'static str,
    pub asks: &'static str,
    pub ask: fn(&Ground, &mut Progress) -> Result<Answer, String>,
    /// Whether docs/budget.md promises something of it that the gate judges.
    pub has_bar: bool,
}

pub type Progress<'a> = dyn FnMut(usize, usize) + 'a;

/// The table of contents.
pub const QUESTIONS: &[Question] = &[
    question(
        "run-warm",
        "the whole of run /bin/true, back to back",
        run::warm,
    ),
    question("run-idle", "the same, after 0.3 s of silence", run::idle),
    without_bar(question(
        "first-instruction",
        "from the start to the workload's first act; with a virtual machine",
        first::instruction,
    )),
    question(
        "run-docker",
        "run with Docker's default configuration",
        shapes::docker,
    ),
    without_bar(question(
        "run-userns",
        "run in a user namespace",
        shapes::user_namespace,
    )),
    without_bar(question(
        "run-rootless",
        "run by a user without privileges",
        shapes::rootless,
    )),
    question(
        "exec",
        "exec /bin/true in a running container, back to back and after idle",
        exec::both,
    ),
    question(
        "lifecycle",
        "create, start and delete, apart and together",
        lifecycle::apart,
    ),
    without_bar(question(
        "parallel",
        "1, 16 and 64 runs at once",
        crowd::parallel,
    )),
    question(
        "held",
        "start time and memory while 50 (full: 1,000) others run",
        crowd::held,
    ),
    question("peak-memory", "peak memory of a run", memory::peak),
    question(
        "standing-memory",
        "memory that stays: monitor, workload, created init; with a virtual machine",
        memory::standing,
    ),
    question(
        "smallest-limit",
        "the smallest memory limit that starts",
        memory::smallest_limit,
    ),
    without_bar(question(
        "system-calls",
        "system calls of run and of exec",
        effort::system_calls,
    )),
    without_bar(question(
        "instructions",
        "instructions of run in user space, where the processor counts them (full: everywhere)",
        instructions::of_run,
    )),
    without_bar(question(
        "first-run",
        "from an image that is not unpacked to its program's first act",
        first_run::of_image,
    )),
    without_bar(question(
        "disk",
        "what the root file system takes on disk, in a bundle and in a virtual machine",
        vm::disk_used,
    )),
    question(
        "unpack",
        "unpack of a gzip image of 40 (full: 400) MiB",
        unpack::gzip,
    ),
    without_bar(question(
        "waterfall",
        "where the time of a start goes, of each build of crun-lite",
        waterfall::of_starts,
    )),
    not_in_gate(question(
        "image-archive",
        "an image (full: four) from an archive, with umoci, Podman, skopeo and containerd",
        fetch::from_archive,
    )),
    not_in_gate(question(
        "image-registry",
        "the same from a registry on this machine",
        fetch::from_registry,
    )),
    not_in_gate(question(
        "image-memory",
        "peak memory while an image is brought in",
        fetch::memory,
    )),
    question("binary-size", "the program's size", effort::size),
];

const fn question(
    name: &'static str,
    asks: &'static str,
    ask: fn(&Ground, &mut Progress) -> Result<Answer, String>,
) -> Question {
    Question {
        name,
        asks,
        ask,
        has_bar: true,
    }
}

const fn without_bar(question: Question) -> Question {
    Question {
        has_bar: false,
        ..question
    }
}

/// For what takes minutes: `--quick` and `--full` ask it.
const fn not_in_gate(question: Question) -> Question {
    without_bar(question)
}

/// Samples taken one after the other.
pub fn back_to_back(ground: &Ground) -> Pace {
    Pace {
        rounds: if ground.full { 30 } else { 8 },
        warm_up: 1,
        burst: 3,
        idle: Duration::ZERO,
        at_most: Duration::from_secs(if ground.full { 120 } else { 8 }),
    }
}

/// Samples after a silence in which the kernel and the processor calm down.
pub fn after_idle(ground: &Ground) -> Pace {
    Pace {
        rounds: if ground.full { 40 } else { 7 },
        warm_up: 1,
        burst: 1,
        idle: Duration::from_millis(300),
        at_most: Duration::from_secs(if ground.full { 180 } else { 20 }),
    }
}
