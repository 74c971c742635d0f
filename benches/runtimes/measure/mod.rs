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
mod image;
mod instructions;
mod lifecycle;
mod memory;
mod proof;
mod run;
mod shapes;
pub mod shim;
mod unpack;
mod vm;
mod waterfall;

use crate::ground::Ground;
pub use crate::model::Answer;
use crate::sample::Pace;
use std::time::Duration;
pub use vm::Booted;

pub struct Question {
    /// What `--only` looks for.
    pub name: &'static str,
    pub asks: &'static str,
    pub ask: fn(&Ground, &mut Progress) -> Result<Answer, String>,
    /// Whether docs/budget.md promises something of it that the gate judges.
    pub has_bar: bool,
    pub takes: Takes,
}

/// Seconds on a quiet machine of two cores, to tell the time left by.
pub struct Takes {
    /// None: only a full run asks it.
    pub quick_s: Option<u32>,
    pub full_s: u32,
}

impl Takes {
    const fn both(quick_s: u32, full_s: u32) -> Self {
        Self {
            quick_s: Some(quick_s),
            full_s,
        }
    }

    const fn full(full_s: u32) -> Self {
        Self {
            quick_s: None,
            full_s,
        }
    }
}

impl Question {
    /// None where such a run does not ask it.
    pub fn takes_s(&self, full: bool) -> Option<u32> {
        match full {
            true => Some(self.takes.full_s),
            false => self.takes.quick_s,
        }
    }

    const fn without_bar(self) -> Self {
        Self {
            has_bar: false,
            ..self
        }
    }
}

pub type Progress<'a> = dyn FnMut(usize, usize) + 'a;

/// What a quick run says of a number that it leaves out.
pub const ONLY_FULL: &str = "only with --full";

/// The table of contents.
#[rustfmt::skip] // a table
pub const QUESTIONS: &[Question] = &[
    question("run-warm", "the whole of run /bin/true, back to back", run::warm, Takes::both(5, 42)),
    question("run-idle", "the same, after 0.3 s of silence", run::idle, Takes::both(9, 62)),
    question("first-instruction", "from the start to the workload's first act; with a virtual machine", first::instruction, Takes::both(17, 80)).without_bar(),
    question("run-docker", "run with Docker's default configuration", shapes::docker, Takes::both(4, 15)),
    question("run-image", "run --image of an unpacked image, against a bundle of the same shape", image::unpacked, Takes::both(2, 5)),
    question("run-image-disk", "the same with the image's store on a disk", image::unpacked_on_disk, Takes::both(2, 5)),
    question("run-userns", "run in a user namespace", shapes::user_namespace, Takes::both(3, 10)).without_bar(),
    question("run-rootless", "run by a user without privileges", shapes::rootless, Takes::both(3, 10)).without_bar(),
    question("exec", "exec /bin/true in a running container, back to back and after idle", exec::both, Takes::both(11, 35)),
    question("lifecycle", "create, start and delete, apart and together", lifecycle::apart, Takes::both(14, 60)),
    question("parallel", "1, 16 and 64 runs at once", crowd::parallel, Takes::both(8, 45)).without_bar(),
    question("held", "start time and memory while 50 (full: 1,000) others run", crowd::held, Takes::both(8, 150)),
    question("peak-memory", "peak memory of a run", memory::peak, Takes::both(2, 5)),
    question("standing-memory", "memory that stays: monitor or shim, workload, created init; with a virtual machine", memory::standing, Takes::both(3, 15)),
    question("smallest-limit", "the smallest memory limit that starts", memory::smallest_limit, Takes::both(2, 2)),
    question("system-calls", "system calls of run and of exec", effort::system_calls, Takes::both(3, 10)).without_bar(),
    question("instructions", "instructions of run in user space, where the processor counts them (full: everywhere)", instructions::of_run, Takes::both(1, 180)).without_bar(),
    question("first-run", "from an image that is not unpacked to its program's first act", first_run::of_image, Takes::both(2, 8)).without_bar(),
    question("disk", "what the root file system takes on disk, in a bundle and in a virtual machine", vm::disk_used, Takes::both(1, 1)).without_bar(),
    question("unpack", "unpack of a gzip image of 40 (full: 400) MiB", unpack::gzip, Takes::both(9, 100)),
    question("waterfall", "where the time of a start goes, of each build of crun-lite", waterfall::of_starts, Takes::both(1, 2)).without_bar(),
    question("image-archive", "images from an archive, with umoci, Podman, skopeo and containerd", fetch::from_archive, Takes::full(450)).without_bar(),
    question("image-registry", "the same from a registry on this machine", fetch::from_registry, Takes::full(70)).without_bar(),
    question("image-memory", "peak memory while an image is brought in", fetch::memory, Takes::full(45)).without_bar(),
    question("binary-size", "the program's size", effort::size, Takes::both(1, 1)),
];

const fn question(
    name: &'static str,
    asks: &'static str,
    ask: fn(&Ground, &mut Progress) -> Result<Answer, String>,
    takes: Takes,
) -> Question {
    Question {
        name,
        asks,
        ask,
        has_bar: true,
        takes,
    }
}

/// Samples taken one after the other.
pub fn back_to_back(ground: &Ground) -> Pace {
    Pace {
        rounds: if ground.full { 30 } else { 8 },
        warm_up: 1,
        burst: 3,
        idle: Duration::ZERO,
        at_most: Duration::from_secs(if ground.full { 40 } else { 5 }),
        fewest: 5,
    }
}

/// Samples after a silence in which the kernel and the processor calm down.
pub fn after_idle(ground: &Ground) -> Pace {
    Pace {
        rounds: if ground.full { 25 } else { 12 },
        warm_up: 1,
        burst: 1,
        idle: Duration::from_millis(300),
        at_most: Duration::from_secs(if ground.full { 60 } else { 8 }),
        fewest: 5,
    }
}
