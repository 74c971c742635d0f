//! The benchmark: start time and memory of crun-lite against other runtimes.
//!
//! `cargo bench --bench runtimes -- --help` tells its options. This file is the
//! order of things; `measure` holds the questions, `report` the forms of the
//! answer. It must not hold a number of its own: bars are in `docs/budget.md`.

mod budget;
mod bundle;
mod cpio;
mod gate;
mod ground;
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
mod trace;

use gate::{Gate, Judgement, TRIES};
use ground::Ground;
use measure::{Answer, QUESTIONS, Question};
use model::Report;
use options::{Options, USAGE};
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

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
        for question in QUESTIONS {
            println!("{:<18} {}", question.name, question.asks);
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
    let promises = budget::read()?;
    let machine = machine::describe();
    let options = &with_peers_of(&promises, options);
    let ground = Ground::prepare(options)?;
    let mut report = empty_report(options, &ground, machine);
    let mut questions: Vec<&Question> = QUESTIONS
        .iter()
        .filter(|question| options.wants(question.name))
        .filter(|question| question.has_bar || !options.gate)
        .collect();
    let mut gate = Gate::new(options.gate);
    while !questions.is_empty() {
        for question in &questions {
            match gate.watch(question.name, || ask(question, &ground)) {
                Ok(answer) => report.take(question.name, answer),
                Err(reason) => eprintln!("bench: {}: {reason}", question.name),
            }
        }
        report.budgets = budget::judge(&promises, &report);
        questions = gate.left(&questions, &report.missed_questions());
    }
    report.gate = options.gate.then(|| gate.judge(&report));
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
        measures: Vec::new(),
        curves: Vec::new(),
        waterfalls: Vec::new(),
        budgets: Vec::new(),
        gate: None,
    }
}

fn ask(question: &Question, ground: &Ground) -> Result<Answer, String> {
    let began = Instant::now();
    let draws = std::io::stderr().is_terminal();
    let mut progress = |done: usize, all: usize| {
        if draws {
            eprint!("\r\x1b[K{:<16} {}", question.name, bar(done, all));
            let _ = std::io::stderr().flush();
        }
    };
    let answer = (question.ask)(ground, &mut progress);
    let seconds = began.elapsed().as_secs_f64();
    let start = if draws { "\r\x1b[K" } else { "" };
    eprintln!("{start}{:<16} {seconds:.1} s", question.name);
    answer
}

fn bar(done: usize, all: usize) -> String {
    const WIDTH: usize = 30;
    let filled = (done * WIDTH).checked_div(all).unwrap_or(WIDTH).min(WIDTH);
    format!(
        "[{}{}] {done}/{all}",
        "#".repeat(filled),
        ".".repeat(WIDTH - filled)
    )
}
