//! Takes samples: one command timed from outside, and peers interleaved so that
//! a change of the machine's mood meets all of them.
//!
//! A peer's turn is a short burst, and the order of turns changes with each
//! round: the kernel still cleans up after one command while the next runs, and
//! whoever always follows the same peer would pay for it. A command that hangs is killed and becomes a failure. It must not know what
//! a container is.

use crate::interrupt;
use crate::model::Row;
use crate::stats::spread;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long any single command may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// How a measurement is taken.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    pub rounds: usize,
    /// Rounds that do not count, before those that do.
    pub warm_up: usize,
    /// Samples in a turn, of a slow peer one; the turn's first is thrown away when there are several.
    pub burst: usize,
    /// Silence before each sample that counts.
    pub idle: Duration,
    /// Where the rounds take longer, fewer are taken, but never under so many samples.
    pub at_most: Duration,
    pub fewest: usize,
}

/// So many are taken before their agreement is believed.
const CONVINCING_SAMPLES: usize = 12;
/// From this on a peer takes one sample a turn.
const SLOW_MS: f64 = 60.0;
/// How far the ends of every interval may be from its median, as a share of it, for the rounds to end.
const NARROW_ENOUGH: f64 = 0.02;

/// Takes one sample, or several at once for a sequence of commands timed apart.
pub type Take<'a> = Box<dyn FnMut() -> Result<Vec<f64>, String> + 'a>;

pub struct Contender<'a> {
    pub peer: String,
    pub take: Take<'a>,
}

impl Contender<'_> {
    /// One that takes no part: a row that says why.
    pub fn absent(peer: &str, reason: String) -> Self {
        Self {
            peer: peer.to_owned(),
            take: Box::new(move || Err(reason.clone())),
        }
    }
}

/// The rows of `series` measures, in the contenders' order.
pub fn interleave(
    pace: Pace,
    series: usize,
    contenders: Vec<Contender<'_>>,
    progress: &mut dyn FnMut(usize, usize),
) -> Vec<Vec<Row>> {
    let mut lanes: Vec<Lane> = contenders
        .into_iter()
        .map(|contender| Lane::new(contender, series))
        .collect();
    let began = Instant::now();
    let all = pace.warm_up + pace.rounds;
    for round in 0..all {
        let taken = round.saturating_sub(pace.warm_up) * pace.burst;
        let is_over = began.elapsed() > pace.at_most && taken >= pace.fewest;
        let is_known = taken >= CONVINCING_SAMPLES && lanes.iter().all(Lane::is_known);
        if is_over || is_known || interrupt::is_asked() {
            break;
        }
        for (turn, index) in order(round, lanes.len()).into_iter().enumerate() {
            progress(round * lanes.len() + turn, all * lanes.len());
            lanes[index].turn(pace, round >= pace.warm_up);
        }
    }
    (0..series)
        .map(|index| lanes.iter().map(|lane| lane.row(index)).collect())
        .collect()
}

struct Lane<'a> {
    contender: Contender<'a>,
    samples: Vec<Vec<f64>>,
    failure: Option<String>,
}

impl<'a> Lane<'a> {
    fn new(contender: Contender<'a>, series: usize) -> Self {
        Self {
            contender,
            samples: vec![Vec::new(); series],
            failure: None,
        }
    }

    fn turn(&mut self, pace: Pace, counts: bool) {
        let idle = if counts { pace.idle } else { Duration::ZERO };
        if pace.burst == 1 || self.is_slow() {
            self.step(idle, counts);
            return;
        }
        self.step(Duration::ZERO, false);
        for _ in 0..pace.burst {
            self.step(idle, counts);
        }
    }

    /// What a peer leaves behind is little beside this one's time, and a burst of it would take the time of all others.
    fn is_slow(&self) -> bool {
        let last = self.samples.first().and_then(|samples| samples.last());
        last.is_some_and(|milliseconds| *milliseconds > SLOW_MS)
    }

    /// More samples would say the same.
    fn is_known(&self) -> bool {
        let narrow = |samples: &Vec<f64>| spread(samples) <= NARROW_ENOUGH;
        self.failure.is_some() || self.samples.iter().all(narrow)
    }

    fn step(&mut self, idle: Duration, counts: bool) {
        if self.failure.is_some() || interrupt::is_asked() {
            return;
        }
        std::thread::sleep(idle);
        match (self.contender.take)() {
            Ok(values) if counts => {
                for (samples, value) in self.samples.iter_mut().zip(values) {
                    samples.push(value);
                }
            }
            Ok(_) => {}
            // A command that ends with the harness says nothing of itself.
            Err(_) if interrupt::is_asked() => {}
            Err(reason) => self.failure = Some(reason),
        }
    }

    fn row(&self, index: usize) -> Row {
        let outcome = match &self.failure {
            Some(reason) => Err(reason.clone()),
            None => Ok(self.samples[index].clone()),
        };
        Row::new(&self.contender.peer, outcome)
    }
}

/// The turns of a round: rotated, and backwards in every other round.
pub fn order(round: usize, count: usize) -> Vec<usize> {
    let mut turns: Vec<usize> = (0..count).map(|turn| (turn + round / 2) % count).collect();
    if round % 2 == 1 {
        turns.reverse();
    }
    turns
}

/// Runs commands with a watch on them; their last words go to a file.
pub struct Stopwatch {
    complaints: File,
    path: std::path::PathBuf,
    /// The process that the watchdog kills when it stays too long.
    watched: Arc<AtomicU32>,
    patience_s: Arc<AtomicU64>,
}

/// What happens to a process whose first output has been heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    Wait,
    Kill,
}

/// The line that benches/first.c writes.
pub const WORKLOAD_SAYS: &str = "first instruction";
pub const NOT_RUN: &str = "ended, but the workload did not run";

const NOBODY: u32 = 0;

impl Stopwatch {
    pub fn new(work: &std::path::Path) -> Result<Self, String> {
        let path = work.join("complaints");
        let complaints = File::options()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(|error| format!("open {}: {error}", path.display()))?;
        let patience_s = Arc::new(AtomicU64::new(PATIENCE.as_secs()));
        Ok(Self {
            complaints,
            path,
            watched: start_watchdog(Arc::clone(&patience_s)),
            patience_s,
        })
    }

    /// Milliseconds from before the start of `command` until it was reaped.
    pub fn time(&self, command: &mut Command) -> Result<f64, String> {
        self.prepare(command)?;
        let began = Instant::now();
        let mut child = spawn(command)?;
        let status = self.wait(&mut child, command)?;
        let taken = began.elapsed();
        self.judge(command, status)?;
        Ok(milliseconds(taken))
    }

    /// What `command` wrote to its standard output; its end is awaited.
    pub fn output(&self, command: &mut Command) -> Result<String, String> {
        self.prepare(command)?;
        let mut child = spawn(command.stdout(Stdio::piped()))?;
        self.watched.store(child.id(), Ordering::Relaxed);
        let mut text = String::new();
        let read = child
            .stdout
            .take()
            .map_or(Ok(0), |mut stdout| stdout.read_to_string(&mut text));
        let status = self.wait(&mut child, command)?;
        self.judge(command, status)?;
        read.map_err(|error| format!("read from {}: {error}", name_of(command)))?;
        Ok(text)
    }

    /// Milliseconds until the command's workload says its line.
    pub fn time_to_first_output(&self, command: &mut Command) -> Result<f64, String> {
        let began = Instant::now();
        let (arrived, child) = self.first_output(command)?;
        self.finish(child, command, After::Wait)?;
        Ok(milliseconds(arrived - began))
    }

    /// The same, with what `look` sees of the process then; after that it is killed.
    pub fn look_at_first_output<T>(
        &self,
        command: &mut Command,
        look: impl Fn(u32) -> T,
    ) -> Result<(f64, T), String> {
        let began = Instant::now();
        let (arrived, child) = self.first_output(command)?;
        let seen = look(child.id());
        self.finish(child, command, After::Kill)?;
        Ok((milliseconds(arrived - began), seen))
    }

    fn first_output(&self, command: &mut Command) -> Result<(Instant, Child), String> {
        self.prepare(command)?;
        let mut child = spawn(command.stdout(Stdio::piped()))?;
        self.watched.store(child.id(), Ordering::Relaxed);
        let mut heard = Vec::new();
        let mut chunk = [0; 256];
        let mut stdout = child.stdout.take();
        while !contains(&heard, WORKLOAD_SAYS.as_bytes()) {
            match stdout.as_mut().map(|stdout| stdout.read(&mut chunk)) {
                Some(Ok(read)) if read > 0 => heard.extend_from_slice(&chunk[..read]),
                _ => {
                    self.finish(child, command, After::Wait)?;
                    return Err(format!("{}: {NOT_RUN}", name_of(command)));
                }
            }
        }
        let arrived = Instant::now();
        // Kept open to the end, or a late writer would die of a broken pipe.
        child.stdout = stdout;
        Ok((arrived, child))
    }

    fn finish(&self, mut child: Child, command: &Command, after: After) -> Result<(), String> {
        if after == After::Kill {
            let _ = child.kill();
            return self.wait(&mut child, command).map(drop);
        }
        let status = self.wait(&mut child, command)?;
        self.judge(command, status)
    }

    /// Does something with another time limit for each command.
    pub fn with_patience<T>(&self, patience: Duration, act: impl FnOnce() -> T) -> T {
        let usual = self.patience_s.swap(patience.as_secs(), Ordering::Relaxed);
        let result = act();
        self.patience_s.store(usual, Ordering::Relaxed);
        result
    }

    /// Waits for a child that is started already, killing it when it hangs.
    pub fn wait(&self, child: &mut Child, command: &Command) -> Result<ExitStatus, String> {
        self.watched.store(child.id(), Ordering::Relaxed);
        let status = child.wait();
        self.watched.store(NOBODY, Ordering::Relaxed);
        status.map_err(|error| format!("wait for {}: {error}", name_of(command)))
    }

    /// Silences the command's output and directs its complaints to the file.
    pub fn prepare(&self, command: &mut Command) -> Result<(), String> {
        let named = |error: std::io::Error| format!("reset {}: {error}", self.path.display());
        self.complaints.set_len(0).map_err(named)?;
        let stderr = self.complaints.try_clone().map_err(named)?;
        command.stdin(Stdio::null()).stdout(Stdio::null());
        // A trace of calls would hide a failure's reason.
        command.stderr(stderr).env_remove("RUST_BACKTRACE");
        Ok(())
    }

    /// An exit status other than 0 is a failure in the command's own words.
    pub fn judge(&self, command: &Command, status: ExitStatus) -> Result<(), String> {
        if status.success() {
            return Ok(());
        }
        let name = name_of(command);
        if status.signal() == Some(libc::SIGKILL) {
            let patience_s = self.patience_s.load(Ordering::Relaxed);
            return Err(format!(
                "{name}: killed, perhaps after {patience_s} s without an end"
            ));
        }
        let said = fs::read_to_string(&self.path).unwrap_or_default();
        let last = said.lines().rfind(|line| !line.trim().is_empty());
        Err(match last {
            Some(line) => format!("{name}: {status}: {}", shorten(line.trim())),
            None => format!("{name}: {status}"),
        })
    }
}

pub fn spawn(command: &mut Command) -> Result<Child, String> {
    command
        .spawn()
        .map_err(|error| format!("start {}: {error}", name_of(command)))
}

pub fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn name_of(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let verb = command
        .get_args()
        .map(|argument| argument.to_string_lossy())
        .find(|argument| !argument.starts_with('-') && !argument.contains('/'));
    let base = program.file_name().unwrap_or_default().to_string_lossy();
    match verb {
        Some(verb) => format!("{base} {verb}"),
        None => base.into_owned(),
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn shorten(line: &str) -> String {
    const MOST: usize = 200;
    match line.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line.to_owned(),
    }
}

/// One thread for the whole run, which looks once a second: a wake-up for each
/// sample would run beside the command and be measured with it.
fn start_watchdog(patience_s: Arc<AtomicU64>) -> Arc<AtomicU32> {
    let watched = Arc::new(AtomicU32::new(NOBODY));
    let seen = Arc::clone(&watched);
    std::thread::spawn(move || {
        let (mut pid, mut since) = (NOBODY, Instant::now());
        loop {
            std::thread::sleep(Duration::from_secs(1));
            let now = seen.load(Ordering::Relaxed);
            if now != pid {
                (pid, since) = (now, Instant::now());
            } else if pid != NOBODY
                && since.elapsed().as_secs() >= patience_s.load(Ordering::Relaxed)
            {
                crate::process::end_process(pid);
            }
        }
    });
    watched
}
