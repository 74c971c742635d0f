//! Ctrl-C ends a run early: what was measured is still written.
//!
//! The signals are blocked in every thread and one thread waits for them, so that a sample is never interrupted half
//! way; commands start with none blocked. A second one ends the harness at once. It must not know what is measured.

use nix::sys::signal::{SigSet, Signal};
use std::sync::atomic::{AtomicBool, Ordering};

static ASKED: AtomicBool = AtomicBool::new(false);
/// As a shell tells of a program that Ctrl-C ended.
const ENDED_BY_SIGNAL: i32 = 130;

pub fn is_asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}

/// Call it before any other thread is started: the threads inherit what is blocked.
pub fn block() -> Result<(), String> {
    let block = signals().thread_block();
    block.map_err(|errno| format!("block SIGINT and SIGTERM: {errno}"))
}

/// From here on they are heard.
pub fn watch() {
    std::thread::spawn(|| {
        while signals().wait().is_ok() {
            if ASKED.swap(true, Ordering::Relaxed) {
                std::process::exit(ENDED_BY_SIGNAL);
            }
            eprintln!("\nbench: ending, with what was measured; once more ends it at once");
        }
    });
}

fn signals() -> SigSet {
    SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM])
}
