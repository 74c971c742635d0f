//! The benchmark: start time and memory of crun-lite against other runtimes.
//!
//! `cargo bench --bench runtimes -- --help` tells its options. This file is the
//! order of things; `measure` holds the questions, `report` the forms of the
//! answer. It must not hold a number of its own: bars are in `docs/budget.md`.

mod budget;
mod bundle;
mod cpio;
mod daemon;
mod gate;
mod ground;
mod interrupt;
mod machine;
mod measure;
mod model;
mod options;
mod peers;
mod process;
mod report;
mod sample;
mod seccomp_profile;
mod stats;
mod survey;
mod trace;

use gate::{Gate, Judgement, TRIES};
use ground::Ground;
use measure::QUESTIONS;
use model::Report;
use options::{Options, USAGE};
use std::process::ExitCode;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use survey::Survey;

fn main() -> ExitCode {
    // `cargo test --all-targets` runs every bench without this word: nothing to do then.
    if std::env::args().len() == 1 {
        print!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let options = options::parse(std::env::args().skip(1));
    match options.and_then(|options| options.map_or_else(usage, |options| run(&options))) {
        Ok(code) => code,
        Err(reason) => {
            eprintln!("bench: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> Result<ExitCode, String> {
    print!("{USAGE}");
    Ok(ExitCode::SUCCESS)
}

fn run(options: &Options) -> Result<ExitCode, String> {
    if options.list {
        println!("{:<18} quick   full", "");
        for question in QUESTIONS {
            let quick = question.takes_s(false);
            let quick = quick.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds} s"));
            let full = question.takes.full_s;
            let name = question.name;
            println!("{name:<18} {quick:>5} {full:>4} s  {}", question.asks);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut report = match &options.from {
        Some(file) => judged_anew(report::json::read(file)?)?,
        None => measure_all(options)?,
    };
    for file in &options.traces {
        report.waterfalls.push(trace::read(file)?);
    }
    print!("{}", report::text::render(&report));
    report::write(&report, options)?;
    match report.gate.filter(|_| options.gate) {
        Some(judgement) => obey(&judgement),
        None => Ok(ExitCode::SUCCESS),
    }
}

/// The bars may have changed since it was written.
fn judged_anew(mut report: Report) -> Result<Report, String> {
    report.budgets = budget::judge(&budget::read()?, &report);
    Ok(report)
}

fn obey(judgement: &Judgement) -> Result<ExitCode, String> {
    let Judgement { failed, undecided } = judgement;
    if !undecided.is_empty() {
        let measures = undecided.join(", ");
        eprintln!("bench: missed on a busy machine, so nobody knows: {measures}");
    }
    if !failed.is_empty() {
        return Err(format!("missed in {TRIES} tries: {}", failed.join(", ")));
    }
    eprintln!("bench: the gate is open");
    Ok(ExitCode::SUCCESS)
}

fn measure_all(options: &Options) -> Result<Report, String> {
    let began = Instant::now();
    let promises = budget::read()?;
    let machine = machine::describe();
    let options = &with_peers_of(&promises, options);
    interrupt::block()?;
    let ground = Ground::prepare(options)?;
    interrupt::watch();
    let mut report = empty_report(options, &ground, machine);
    let mut questions = survey::questions(options);
    let mut survey = Survey::new(&questions, options.full);
    survey.prepared(began.elapsed());
    let mut gate = Gate::new(options.gate);
    while !questions.is_empty() && !interrupt::is_asked() {
        for question in &questions {
            if interrupt::is_asked() {
                break;
            }
            match gate.watch(question.name, || survey.ask(question, &ground)) {
                Ok(answer) => report.take(question.name, answer),
                Err(reason) => eprintln!("bench: {}: {reason}", question.name),
            }
        }
        report.budgets = budget::judge(&promises, &report);
        questions = gate.left(&questions, &report.missed_questions());
    }
    report.gate = options.gate.then(|| gate.judge(&report));
    report.asked = survey.list(options);
    report.budgets = budget::judge(&promises, &report);
    report.machine.load_after = machine::load();
    Ok(report)
}

/// The gate compares with those alone that have a bar.
fn with_peers_of(promises: &[budget::Promise], options: &Options) -> Options {
    let mut options = options.clone();
    if options.gate && options.peers.is_empty() {
        let named = promises.iter().flat_map(|promise| &promise.against);
        options.peers = named.map(|peer| peer.to_lowercase()).collect();
    }
    options
}

fn empty_report(options: &Options, ground: &Ground, machine: machine::Machine) -> Report {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    Report {
        taken_s: now.map_or(0, |since| since.as_secs()),
        mode: if options.full { "full" } else { "quick" }.to_owned(),
        machine: machine::Machine {
            // As the peers see it, in the harness's own view.
            cgroup: machine::describe().cgroup,
            ..machine
        },
        peers: ground.infos.clone(),
        asked: Vec::new(),
        measures: Vec::new(),
        curves: Vec::new(),
        waterfalls: Vec::new(),
        budgets: Vec::new(),
        gate: None,
    }
}
