//! `--trace-start FILE`: the phases of a start in Chrome's trace format, for Perfetto, chrome://tracing and the benchmark.
//! With `--debug` they are lines of the log too.
//!
//! The file exists, and is a trace, before anything of the container does, so a path that can't be written stops the
//! command; a command that fails leaves in it what there was until then. `init::trace` takes the times.

pub use crate::init::trace::mark;

use super::Id;
use crate::error::{Context, Result};
use crate::init::trace::{self, ChildRecord, Record};
use serde_json::{Value, json};
use std::cell::Cell;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The option's name.
pub const OPTION: &str = "trace-start";

/// Begins to record where a word of the command line asks for it, before it is known what the word means: a record that
/// nobody wants is never written.
pub fn begin_if_asked(words: &[OsString]) {
    let asks = |word: &OsString| {
        let dashed = word.as_bytes().strip_prefix(b"-");
        let name = dashed.map(|name| name.strip_prefix(b"-").unwrap_or(name));
        let of_ours = ["debug", "log-level", OPTION].map(str::as_bytes);
        name.is_some_and(|name| of_ours.iter().any(|option| name.starts_with(option)))
    };
    if words.iter().any(asks) {
        trace::begin();
    }
}

/// The phase at whose end the program runs.
pub const STARTED: &str = "start";

/// Where the record of this command goes, if anywhere.
pub struct Trace<'t> {
    file: Option<&'t Path>,
    /// The command and the container that it is about.
    title: (&'static str, &'t Id),
    /// Whether the log has been told.
    told: Cell<bool>,
}

impl<'t> Trace<'t> {
    /// Makes the file, an empty trace, readable for its owner only. One that exists is replaced, but never through a link.
    pub fn open(file: Option<&'t PathBuf>, command: &'static str, id: &'t Id) -> Result<Trace<'t>> {
        let file = file.map(PathBuf::as_path);
        if let Some(file) = file {
            write(file, b"[]\n").context(format_args!("{command} {id}"))?;
        }
        Ok(Trace {
            file,
            title: (command, id),
            told: Cell::new(false),
        })
    }

    /// Writes what there is: the process runs, and it may be days until it ends.
    pub fn save(&self) {
        self.write_record(None);
    }

    /// Writes all of it, with the reason where the command failed.
    pub fn finish<T>(&self, done: &Result<T>) {
        if let Err(error) = done {
            mark("failure, and undoing");
            self.write_record(Some(error.to_string()));
        } else {
            self.write_record(None);
        }
    }

    fn write_record(&self, failure: Option<String>) {
        let tells = log::log_enabled!(log::Level::Debug) && !self.told.replace(true);
        if self.file.is_none() && !tells {
            return;
        }
        let (command, id) = self.title;
        let events = events(&trace::so_far(), &format!("{command} {id}"), failure);
        if tells {
            events
                .iter()
                .filter_map(line)
                .for_each(|line| log::debug!("{command} {id}: {line}"));
        }
        let Some(file) = self.file else { return };
        let lines: Vec<String> = events.iter().map(Value::to_string).collect();
        let text = format!("[\n{}\n]\n", lines.join(",\n"));
        // The container is not to blame, and lives.
        if let Err(error) = write(file, text.as_bytes()) {
            log::warn!("{error}");
        }
    }
}

/// What the log says of an event: its name, how long it took, and how it ended if not well.
fn line(event: &Value) -> Option<String> {
    let took_ms = event["dur"].as_f64()? / 1000.0;
    let name = event["name"].as_str()?;
    let pid = &event["pid"];
    let fate = |key: &str| event["args"][key].as_bool().is_some_and(|is| is);
    let fate = match (fate("failed"), fate("unfinished")) {
        (true, _) => ", failed",
        (_, true) => ", unfinished",
        _ => "",
    };
    Some(format!("{name}: {took_ms:.3} ms{fate} (pid {pid})"))
}

fn write(file: &Path, text: &[u8]) -> Result<()> {
    let open = || -> std::io::Result<File> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        // A fifo or a device would be waited for, or do something.
        options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        let opened = options.open(file)?;
        match opened.metadata()?.is_file() {
            true => Ok(opened),
            false => Err(std::io::Error::from_raw_os_error(libc::EINVAL)),
        }
    };
    let written = open().and_then(|mut opened| opened.write_all(text));
    let named = || format!("write the trace --{OPTION} {}", file.display());
    written.context(named()).map_err(|error| match error.os() {
        Some(nix::errno::Errno::ELOOP) => error.hint("it is a link; name the file itself"),
        Some(nix::errno::Errno::EINVAL | nix::errno::Errno::ENXIO) => {
            error.hint("want the name of an ordinary file")
        }
        _ => error,
    })
}

/// Turns the record into complete events, the whole before its parts, in microseconds from the first.
fn events(record: &Record, title: &str, failure: Option<String>) -> Vec<Value> {
    let lane = Lane {
        zero_ns: record.began_ns - record.before_ns.min(record.began_ns),
        pid: std::process::id() as i32,
    };
    let mut about = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "began_unix_ns": lane.zero_ns,
    });
    if let Some(failure) = failure {
        about["error"] = failure.into();
    }
    let mut events = vec![
        lane.label("process_name", "crun-lite"),
        lane.label("thread_name", "runtime"),
        lane.event(title, lane.zero_ns, record.ended_ns(), about),
    ];
    let before = json!({ "measured": "processor time before the first mark: executing this program, and again read-only" });
    events.push(lane.event("program start", lane.zero_ns, record.began_ns, before));
    let mut begun_ns = record.began_ns;
    for phase in &record.phases {
        events.push(lane.event(phase.name, begun_ns, phase.end_ns, Value::Null));
        begun_ns = phase.end_ns;
    }
    let children = record.children.iter();
    events.extend(children.flat_map(|child| child_events(child, &lane, record)));
    events
}

/// The steps of a child, up to the one that it failed in, or that it had not done when the record ends.
fn child_events(child: &ChildRecord, parent: &Lane, record: &Record) -> Vec<Value> {
    let lane = Lane {
        zero_ns: parent.zero_ns,
        pid: child.pid,
    };
    let (Some(began), ready) = child.marks.start() else {
        return Vec::new();
    };
    let mut parts = Vec::new();
    let (mut begun, mut about) = end_of(ready, child, record);
    parts.push(lane.event("make ready", began, begun, about.clone()));
    for (index, step) in child.steps.iter().enumerate() {
        if !about.is_null() {
            break;
        }
        let until;
        (until, about) = end_of(step_end(child, record, index), child, record);
        parts.push(lane.event(step, begun, until, about.clone()));
        let (wait, answer) = child.marks.wait(index);
        if let Some(wait) = recorded(wait, record) {
            let (answered, about) = end_of(answer, child, record);
            parts.push(lane.event("wait for the parent", wait, answered, about));
        }
        begun = until;
    }
    let mut events = vec![
        lane.label("process_name", "init"),
        lane.label("thread_name", "init"),
        lane.event("init", began, begun, Value::Null),
    ];
    events.extend(parts);
    events
}

/// The last step is the execve: the parent sees its success, the child has no memory of it.
fn step_end(child: &ChildRecord, record: &Record, index: usize) -> Option<u64> {
    let is_last = index + 1 == child.steps.len();
    let seen = || is_last.then(|| record.end_of(STARTED)).flatten();
    child.marks.step_end(index).or_else(seen)
}

/// The child may go on while its marks are read: what came behind the record's end is not in it.
fn recorded(mark: Option<u64>, record: &Record) -> Option<u64> {
    mark.filter(|at_ns| *at_ns <= record.ended_ns())
}

/// Where there is no end: that of the child, or else of the record; and what is to be said of it.
fn end_of(end: Option<u64>, child: &ChildRecord, record: &Record) -> (u64, Value) {
    let failure = recorded(child.marks.failure(), record);
    match (recorded(end, record), failure) {
        (Some(end), _) => (end, Value::Null),
        (None, Some(failed)) => (failed, json!({ "failed": true })),
        (None, None) => (record.ended_ns(), json!({ "unfinished": true })),
    }
}

/// A process in the trace.
struct Lane {
    zero_ns: u64,
    pid: i32,
}

impl Lane {
    fn event(&self, name: &str, begin_ns: u64, end_ns: u64, about: Value) -> Value {
        let us = |ns: u64| ns as f64 / 1000.0;
        let mut event = json!({
            "name": name, "ph": "X", "pid": self.pid, "tid": self.pid,
            "ts": us(begin_ns.saturating_sub(self.zero_ns)),
            "dur": us(end_ns.saturating_sub(begin_ns)),
        });
        if !about.is_null() {
            event["args"] = about;
        }
        event
    }

    fn label(&self, kind: &str, name: &str) -> Value {
        json!({ "name": kind, "ph": "M", "pid": self.pid, "tid": self.pid, "args": { "name": name } })
    }
}
