//! The times of a start, recorded only when `--trace-start` asks for them.
//!
//! The parent's phases lie end to end: [`mark`] says what the time since the last mark was spent on. The child may neither
//! allocate nor lock, so it writes the clock into numbers that the parent shares with it. When nobody asks, a mark is the
//! test of one flag. Where the record goes is not known here.

use crate::plan::InitPlan;
use crate::sys::{clock, memory};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

static ON: AtomicBool = AtomicBool::new(false);
static RECORD: Mutex<Record> = Mutex::new(Record::EMPTY);

/// What was recorded of one command.
#[derive(Debug, Clone)]
pub struct Record {
    /// When the first phase began.
    pub began_ns: u64,
    /// Processor time of the process before that: it was executed, twice as a rule.
    pub before_ns: u64,
    /// The parent's phases, end to end.
    pub phases: Vec<Phase>,
    /// The processes that were made; more than one where the first was refused its cgroup.
    pub children: Vec<ChildRecord>,
}

impl Record {
    const EMPTY: Record = Record {
        began_ns: 0,
        before_ns: 0,
        phases: Vec::new(),
        children: Vec::new(),
    };

    /// When the phase of this name ended.
    pub fn end_of(&self, name: &str) -> Option<u64> {
        let phase = self.phases.iter().find(|phase| phase.name == name);
        phase.map(|phase| phase.end_ns)
    }

    /// When the last phase ended.
    pub fn ended_ns(&self) -> u64 {
        self.phases
            .last()
            .map_or(self.began_ns, |phase| phase.end_ns)
    }
}

/// What the parent did from the end of the phase before until this one's.
#[derive(Debug, Clone)]
pub struct Phase {
    /// In a word or two.
    pub name: &'static str,
    /// When it ended.
    pub end_ns: u64,
}

/// What a child wrote down, and what its steps are.
#[derive(Debug, Clone)]
pub struct ChildRecord {
    /// As the parent sees it.
    pub pid: i32,
    /// The plan's sentences.
    pub steps: Vec<String>,
    /// The clock at each.
    pub marks: Marks,
}

/// From here on times are recorded.
pub fn begin() {
    *record() = Record {
        began_ns: clock::now_ns(),
        before_ns: clock::processor_ns(),
        ..Record::EMPTY
    };
    ON.store(true, Ordering::Relaxed);
}

/// A phase of the parent ends here.
#[inline]
pub fn mark(name: &'static str) {
    if ON.load(Ordering::Relaxed) {
        add_phase(name);
    }
}

#[cold]
fn add_phase(name: &'static str) {
    let end_ns = clock::now_ns();
    record().phases.push(Phase { name, end_ns });
}

/// Remembers a child whose marks will be read.
#[inline]
pub fn add_child(pid: i32, plan: &InitPlan, marks: Marks) {
    if marks.are_taken() {
        let steps = plan.steps.iter().map(ToString::to_string).collect();
        record().children.push(ChildRecord { pid, steps, marks });
    }
}

/// What is recorded so far.
pub fn so_far() -> Record {
    record().clone()
}

fn record() -> MutexGuard<'static, Record> {
    RECORD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Times that a child notes down for its parent, in nanoseconds since 1970; 0 for what has not happened.
#[derive(Debug, Clone, Copy, Default)]
pub struct Marks(&'static [AtomicU64]);

/// Marks before those of the steps: the child's first act, when it was ready for the first step, when it failed.
const BEFORE_STEPS: usize = 3;
/// Marks of a step: its end, and the begin and the end of its wait for the parent.
const OF_STEP: usize = 3;

impl Marks {
    /// Room for the marks of a plan's child, made before the clone; none when nothing is recorded.
    #[inline]
    pub fn of(plan: &InitPlan) -> Marks {
        match ON.load(Ordering::Relaxed) {
            true => Marks::with_room(plan.steps.len()),
            false => Marks::default(),
        }
    }

    #[cold]
    fn with_room(steps: usize) -> Marks {
        Marks(memory::shared_numbers(BEFORE_STEPS + OF_STEP * steps).unwrap_or_default())
    }

    fn are_taken(self) -> bool {
        !self.0.is_empty()
    }

    /// Async-signal-safe, as all that notes.
    #[inline]
    fn note(self, at: usize) {
        if let Some(mark) = self.0.get(at) {
            mark.store(clock::now_ns(), Ordering::Release);
        }
    }

    fn read(self, at: usize) -> Option<u64> {
        let mark = self.0.get(at)?.load(Ordering::Acquire);
        (mark != 0).then_some(mark)
    }

    /// The child's first act.
    pub fn note_begin(self) {
        self.note(0);
    }

    /// The child is ready for its first step.
    pub fn note_ready(self) {
        self.note(1);
    }

    /// The step that runs has failed.
    pub fn note_failure(self) {
        self.note(2);
    }

    /// The step of this index is done.
    pub fn note_step(self, index: usize) {
        self.note(BEFORE_STEPS + OF_STEP * index);
    }

    /// The step begins to wait for the parent.
    pub fn note_wait(self, index: usize) {
        self.note(BEFORE_STEPS + OF_STEP * index + 1);
    }

    /// The parent has answered.
    pub fn note_answer(self, index: usize) {
        self.note(BEFORE_STEPS + OF_STEP * index + 2);
    }

    /// When the child began, and when it was ready for its first step.
    pub fn start(self) -> (Option<u64>, Option<u64>) {
        (self.read(0), self.read(1))
    }

    /// When a step failed.
    pub fn failure(self) -> Option<u64> {
        self.read(2)
    }

    /// When the step of this index was done.
    pub fn step_end(self, index: usize) -> Option<u64> {
        self.read(BEFORE_STEPS + OF_STEP * index)
    }

    /// When it began to wait for the parent, and when it was answered.
    pub fn wait(self, index: usize) -> (Option<u64>, Option<u64>) {
        let at = BEFORE_STEPS + OF_STEP * index;
        (self.read(at + 1), self.read(at + 2))
    }
}
