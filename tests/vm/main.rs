//! Hosts that this machine is not: each cell is a virtual machine that runs suites of ours and reports their results.
//!
//! `cargo test --test vm -- v2::cli` runs one suite of one cell; a longer name runs what of it contains that text.
//! Needs no /dev/kvm. `docs/vm.md` says more.

mod image;
mod machine;
mod payload;
mod results;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use image::Image;
use machine::{End, Machine};
use results::Results;

/// A host: how it boots, and what runs on it.
struct Cell {
    name: &'static str,
    command_line: &'static str,
    /// Test targets with the words that each always gets.
    suites: &'static [(&'static str, &'static str)],
}

const CELLS: &[Cell] = &[
    // Pure cgroup v2, no systemd: busybox's world.
    Cell {
        name: "v2",
        command_line: "CELL=v2",
        suites: &[
            ("cgroup", ""),
            // What depends on the host; images need packages that this guest lacks.
            (
                "cli",
                "create:: delete:: events:: exec:: exec_process:: hooks:: kill:: lifecycle:: pause:: ps:: resume:: \
                 run:: run_image_erofs::killed run_image_erofs::runs run_image_erofs::shows start:: state:: terminal:: \
                 update:: --skip trace_start::",
            ),
            (
                "config",
                "cgroups:: devices:: id_maps:: mounts:: namespaces:: paths:: root::",
            ),
            ("security", ""),
            ("unified", ""),
        ],
    },
    // What most users have.
    Cell {
        name: "systemd",
        command_line: "CELL=systemd apparmor=1 security=apparmor systemd.show_status=0 systemd.mask=serial-getty@ttyS0.service",
        suites: &[("systemd", "")],
    },
    // What they had before: v1 alone, as systemd lays it out, and with an empty v2 hierarchy beside it.
    Cell {
        name: "v1",
        command_line: "CELL=v1 systemd.unified_cgroup_hierarchy=0 systemd.legacy_systemd_cgroup_controller=1 systemd.show_status=0 systemd.mask=serial-getty@ttyS0.service",
        suites: &[
            ("systemd", ""),
            // The cgroupfs driver beside systemd.
            ("cgroup", ""),
            (
                "cli",
                "pause::freezes pause::kill_reaches update::sets update::raises update::refuses_a_limit",
            ),
            ("config", "cgroups::"),
        ],
    },
    Cell {
        name: "hybrid",
        command_line: "CELL=hybrid systemd.unified_cgroup_hierarchy=0 systemd.show_status=0 systemd.mask=serial-getty@ttyS0.service",
        // How many at once is systemd's, which is the same one.
        suites: &[("systemd", "--skip twenty_at_once")],
    },
];

/// What of a cell is wanted: the suites, each with filters for its own cases.
fn wanted(cell: &Cell, filters: &[String]) -> Vec<(&'static str, String)> {
    let chosen = |&(suite, words): &(&'static str, &'static str)| {
        if filters.is_empty() {
            return Some((suite, words.to_owned()));
        }
        let whole = format!("{}::{suite}", cell.name);
        let mut inside: Vec<&str> = Vec::new();
        for filter in filters {
            if whole.starts_with(filter.as_str()) {
                return Some((suite, words.to_owned()));
            }
            inside.extend(filter.strip_prefix(&format!("{whole}::")));
        }
        (!inside.is_empty()).then(|| (suite, inside.join(" ")))
    };
    cell.suites.iter().filter_map(chosen).collect()
}

/// The shell script that the guest executes.
fn plan(suites: &[(&str, String)]) -> String {
    let manifest = env!("CARGO_MANIFEST_DIR");
    let mut plan = format!(
        "mkdir -p '{manifest}/tests'\ncp /payload/known-differences.toml '{manifest}/tests/'\n"
    );
    // What the user wants more of, the guest is told.
    for name in ["CRUN_LITE_SCOPES", "CRUN_LITE_TIMES"] {
        if let Ok(value) = std::env::var(name) {
            plan.push_str(&format!("export {name}='{value}'\n"));
        }
    }
    for (suite, words) in suites {
        plan.push_str(&format!(
            "suite {suite} --color never --test-threads 2 {words}\n"
        ));
    }
    plan
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let filters: Vec<String> = arguments
        .iter()
        .filter(|a| !a.starts_with('-'))
        .cloned()
        .collect();
    let chosen: Vec<_> = CELLS
        .iter()
        .map(|cell| (cell, wanted(cell, &filters)))
        .collect();
    let chosen: Vec<_> = chosen
        .into_iter()
        .filter(|(_, suites)| !suites.is_empty())
        .collect();
    if arguments.iter().any(|a| a == "--list") {
        for (cell, suites) in &chosen {
            suites
                .iter()
                .for_each(|(suite, _)| println!("{}::{suite}: test", cell.name));
        }
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {} virtual machines", chosen.len());
    let started = Instant::now();
    let work = Path::new(env!("CARGO_TARGET_TMPDIR")).join("vm");
    fs::create_dir_all(&work).expect("create the directory for machines");
    let mut results = Results::default();
    if !chosen.is_empty() {
        run(&chosen, &work, &mut results);
    }
    report(&results, started)
}

fn run(chosen: &[(&Cell, Vec<(&'static str, String)>)], work: &Path, results: &mut Results) {
    let image = Image::get(work);
    let mut suites: Vec<&str> = chosen
        .iter()
        .flat_map(|(_, suites)| suites.iter().map(|(suite, _)| *suite))
        .collect();
    suites.sort_unstable();
    suites.dedup();
    let payload = payload::make(work, &suites);
    for (cell, suites) in chosen {
        let log: PathBuf = work.join(format!("{}.log", cell.name));
        let machine = Machine {
            image: &image,
            payload: &payload,
            plan: &plan(suites),
            command_line: cell.command_line,
            log: &log,
        };
        let before = results.failed.len();
        results.enter(cell.name);
        let end = machine.run(|line| results.line(line));
        if end == End::Silent {
            results.fail("is-silent-for-seven-minutes");
        } else if !results.finished {
            results.fail("ends-early");
        }
        if results.failed.len() > before {
            println!("the console of {} is in {}", cell.name, log.display());
        }
    }
}

fn report(results: &Results, started: Instant) -> ExitCode {
    if !results.failed.is_empty() {
        println!("\nfailures:");
        results
            .failed
            .iter()
            .for_each(|name| println!("    {name}"));
    }
    let good = results.failed.is_empty();
    println!(
        "\ntest result: {}. {} passed; {} failed; {} ignored; 0 measured; 0 filtered out; finished in {:.2}s\n",
        if good { "ok" } else { "FAILED" },
        results.passed,
        results.failed.len(),
        results.ignored,
        started.elapsed().as_secs_f64()
    );
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(101)
    }
}
