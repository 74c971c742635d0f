//! The benchmark: start time and memory of crun-lite against other runtimes.
//!
//! `cargo bench --bench runtimes -- --help` tells its options. This file is the
//! order of things; `measure` holds the questions, `report` the forms of the
//! answer. It must not hold a number of its own: bars are in `docs/budget.md`.

mod budget;
mod bundle;
mod cpio;
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
        Some(file) => report::json::read(file)?,
        None => measure_all(options)?,
    };
    for file in &options.traces {
        report.waterfalls.push(trace::read(file)?);
    }
    print!("{}", report::text::render(&report));
    report::write(&report, options)?;
    let missed = report.missed_measures();
    if options.gate && !missed.is_empty() {
        return Err(format!(
            "missed in {GATE_TRIES} tries: {}",
            missed.join(", ")
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// With `--gate`, what misses its bar is asked again; only a steady miss fails.
const GATE_TRIES: usize = 3;

fn measure_all(options: &Options) -> Result<Report, String> {
    let promises = budget::read()?;
    let machine = machine::describe();
    let ground = Ground::prepare(options)?;
    let mut report = empty_report(options, &ground, machine);
    let mut questions: Vec<&Question> = QUESTIONS
        .iter()
        .filter(|question| options.wants(question.name))
        .collect();
    for _ in 0..if options.gate { GATE_TRIES } else { 1 } {
        for question in &questions {
            match ask(question, &ground) {
                Ok(answer) => report.take(question.name, answer),
                Err(reason) => eprintln!("bench: {}: {reason}", question.name),
            }
        }
        report.budgets = budget::judge(&promises, &report);
        let missed = report.missed_questions();
        questions.retain(|question| missed.contains(&question.name));
    }
    report.machine.load_after = machine::load();
    Ok(report)
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
