//! Runs cases in parallel and prints what `cargo test` prints, with the reason beside each ignored case.
//!
//! Written here because the usual crate for it switches on features of `clap` that the product doesn't have, and the
//! binary under test would no longer be the one we ship. A case fails by panicking and is skipped by `skip`.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io::Write;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::{Sandbox, differences, runtime, sandbox};

/// One test: its name inside its file, and what it does.
#[derive(Clone, Copy)]
pub struct Case {
    pub name: &'static str,
    pub body: fn(&Sandbox),
}

/// The payload of the panic that skips a case.
struct Skipped(String);

/// Ends the case without a verdict, because this host can't show the behaviour.
pub fn skip(reason: impl Into<String>) -> ! {
    panic::panic_any(Skipped(reason.into()))
}

enum Verdict {
    Passed,
    Failed(String),
    Ignored(String),
    Known(String),
}

thread_local! {
    /// What the panic hook saw in this thread: message and place.
    static LAST_PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// The arguments of libtest that people and cargo-nextest use.
#[derive(Default)]
struct Wanted {
    filters: Vec<String>,
    skipped: Vec<String>,
    exact: bool,
    list: bool,
    threads: usize,
    ignored_only: bool,
}

impl Wanted {
    fn from_arguments() -> Self {
        let threads = std::env::var("RUST_TEST_THREADS")
            .ok()
            .and_then(|n| n.parse().ok());
        let mut wanted = Wanted {
            threads: threads.unwrap_or(4),
            ..Wanted::default()
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument
                .split_once('=')
                .map_or(argument.as_str(), |(name, _)| name)
            {
                "--exact" => wanted.exact = true,
                "--list" => wanted.list = true,
                "--ignored" => wanted.ignored_only = true,
                "--skip" => wanted.skipped.extend(value(&argument, &mut arguments)),
                "--test-threads" => {
                    wanted.threads = value(&argument, &mut arguments)
                        .and_then(|n| n.parse().ok())
                        .unwrap_or(4);
                }
                "--format" | "--color" => drop(value(&argument, &mut arguments)),
                flag if flag.starts_with('-') => {}
                _ => wanted.filters.push(argument),
            }
        }
        wanted
    }

    fn takes(&self, name: &str) -> bool {
        let matches = |text: &String| {
            if self.exact {
                name == text
            } else {
                name.contains(text.as_str())
            }
        };
        (self.filters.is_empty() || self.filters.iter().any(matches))
            && !self.skipped.iter().any(matches)
    }
}

/// The value of `--name=value` or `--name value`.
fn value(argument: &str, rest: &mut impl Iterator<Item = String>) -> Option<String> {
    match argument.split_once('=') {
        Some((_, value)) => Some(value.to_owned()),
        None => rest.next(),
    }
}

/// Runs the suite with one case at a time, for cases that look at the whole host.
pub fn main_serial(suite: &str, files: &[(&str, &[Case])]) -> ExitCode {
    run_suite(
        suite,
        files,
        Wanted {
            threads: 1,
            ..Wanted::from_arguments()
        },
    )
}

/// Runs the suite: `main` of each test binary.
pub fn main(suite: &str, files: &[(&str, &[Case])]) -> ExitCode {
    run_suite(suite, files, Wanted::from_arguments())
}

fn run_suite(suite: &str, files: &[(&str, &[Case])], wanted: Wanted) -> ExitCode {
    let all: Vec<(String, Case)> = files
        .iter()
        .flat_map(|(file, cases)| {
            cases
                .iter()
                .map(move |case| (format!("{file}::{}", case.name), *case))
        })
        .collect();
    let chosen: Vec<&(String, Case)> = all.iter().filter(|(name, _)| wanted.takes(name)).collect();
    if wanted.list {
        chosen
            .iter()
            .filter(|_| !wanted.ignored_only)
            .for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let known = differences::Known::load(suite, &runtime::name());
    let unknown = known.names_missing_from(
        &all.iter()
            .map(|(name, _)| name.as_str())
            .collect::<BTreeSet<_>>(),
    );
    if !unknown.is_empty() {
        eprintln!(
            "tests/known-differences.toml names tests that don't exist: {}",
            unknown.join(", ")
        );
        return ExitCode::FAILURE;
    }
    if !nix::unistd::geteuid().is_root() {
        eprintln!("the {suite} suite starts real containers and needs root");
        return ExitCode::FAILURE;
    }
    println!(
        "\nrunning {} tests with {}",
        chosen.len(),
        runtime::path().display()
    );
    let started = Instant::now();
    let verdicts = run_all(&chosen, &known, wanted.threads.max(1));
    sandbox::remove_shared_parts();
    report(&verdicts, all.len() - chosen.len(), started)
}

fn run_all(
    chosen: &[&(String, Case)],
    known: &differences::Known,
    threads: usize,
) -> Vec<(String, Verdict)> {
    let default_hook = panic::take_hook();
    panic::set_hook(Box::new(|info| {
        let place = info
            .location()
            .map(|place| format!("{}:{}", place.file(), place.line()));
        let message = info.payload_as_str().unwrap_or("(no message)");
        LAST_PANIC
            .with(|last| *last.borrow_mut() = format!("{}: {message}", place.unwrap_or_default()));
    }));
    let next = AtomicUsize::new(0);
    let verdicts = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..threads.min(chosen.len()) {
            scope.spawn(|| {
                while let Some((name, case)) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let began = Instant::now();
                    let verdict = known.judge(name, run_one(name, *case));
                    print_line(name, &verdict, began);
                    verdicts
                        .lock()
                        .expect("a printing thread panicked")
                        .push((name.clone(), verdict));
                }
            });
        }
    });
    panic::set_hook(default_hook);
    verdicts.into_inner().expect("a printing thread panicked")
}

/// Runs a case in a sandbox of its own; what it leaves behind is a failure too.
fn run_one(name: &str, case: Case) -> Verdict {
    let sandbox = Sandbox::new(name);
    let verdict = match panic::catch_unwind(AssertUnwindSafe(|| (case.body)(&sandbox))) {
        Ok(()) => Verdict::Passed,
        Err(payload) => match payload.downcast_ref::<Skipped>() {
            Some(Skipped(reason)) => Verdict::Ignored(reason.clone()),
            None => Verdict::Failed(LAST_PANIC.with(|last| last.borrow().clone())),
        },
    };
    let left = panic::catch_unwind(AssertUnwindSafe(|| sandbox.tear_down()))
        .unwrap_or_else(|_| Some(LAST_PANIC.with(|last| last.borrow().clone())));
    match (verdict, left) {
        (Verdict::Failed(message), Some(left)) => {
            Verdict::Failed(format!("{message}\nand left behind: {left}"))
        }
        (_, Some(left)) => Verdict::Failed(format!("left behind: {left}")),
        (verdict, None) => verdict,
    }
}

impl differences::Known {
    fn judge(&self, name: &str, verdict: Verdict) -> Verdict {
        match (self.reason(name), verdict) {
            (Some(reason), Verdict::Failed(_)) => Verdict::Known(reason.to_owned()),
            (Some(reason), Verdict::Passed) if reason.starts_with("sometimes: ") => Verdict::Passed,
            (Some(reason), Verdict::Passed) => Verdict::Failed(format!(
                "passes, but tests/known-differences.toml says it can't ({reason}): remove it there"
            )),
            (_, verdict) => verdict,
        }
    }
}

/// What passed is told with its time where `CRUN_LITE_TIMES` is set.
fn print_line(name: &str, verdict: &Verdict, began: Instant) {
    let word = match verdict {
        Verdict::Passed if std::env::var_os("CRUN_LITE_TIMES").is_some() => {
            format!("ok <{:.1} s>", began.elapsed().as_secs_f64())
        }
        Verdict::Passed => "ok".to_owned(),
        Verdict::Failed(_) => "FAILED".to_owned(),
        Verdict::Ignored(reason) => format!("ignored, {reason}"),
        Verdict::Known(reason) => format!("ignored, known difference: {reason}"),
    };
    println!("test {name} ... {word}");
    std::io::stdout().flush().ok();
}

fn report(verdicts: &[(String, Verdict)], filtered_out: usize, started: Instant) -> ExitCode {
    let mut failures: Vec<(&String, &String)> = verdicts
        .iter()
        .filter_map(|(name, verdict)| {
            if let Verdict::Failed(message) = verdict {
                Some((name, message))
            } else {
                None
            }
        })
        .collect();
    failures.sort();
    let known = verdicts
        .iter()
        .filter(|(_, verdict)| matches!(verdict, Verdict::Known(_)))
        .count();
    let passed = verdicts
        .iter()
        .filter(|(_, verdict)| matches!(verdict, Verdict::Passed))
        .count();
    let ignored = verdicts.len() - passed - failures.len();
    if !failures.is_empty() {
        println!("\nfailures:\n");
        failures
            .iter()
            .for_each(|(name, message)| println!("---- {name} ----\n{message}\n"));
        println!("failures:");
        failures.iter().for_each(|(name, _)| println!("    {name}"));
    }
    if known > 0 {
        println!(
            "\n{known} of the ignored are known differences of {}: each ran and failed as listed",
            runtime::name()
        );
    }
    println!(
        "\ntest result: {}. {passed} passed; {} failed; {ignored} ignored; 0 measured; {filtered_out} filtered out; finished in {:.2}s\n",
        if failures.is_empty() { "ok" } else { "FAILED" },
        failures.len(),
        started.elapsed().as_secs_f64()
    );
    if failures.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(101)
    }
}
