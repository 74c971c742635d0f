//! Many short containers: none hangs, none leaks, every exit code is right.
//!
//! `CRUN_LITE_STRESS=10000` sets how many runs in a row (500 without it); a twentieth of it, at most 500, run 16 at a time.

#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use support::{Sandbox, cases, host};

cases![
    in_a_row,
    in_parallel,
    execs_in_a_row,
    create_start_delete,
    a_monitor_stays_flat
];

fn main() -> std::process::ExitCode {
    // One at a time: each counts what the host shows before and after.
    let suite: &[(&str, &[support::Case])] = &[("runs", CASES)];
    support::harness::main_serial("stress", suite)
}

fn how_many() -> usize {
    std::env::var("CRUN_LITE_STRESS")
        .ok()
        .and_then(|number| number.parse().ok())
        .unwrap_or(500)
}

/// What must be the same before and after: mounts, cgroups, network namespaces, state, own descriptors.
#[derive(Debug, PartialEq)]
struct Census {
    mounts: usize,
    cgroups: usize,
    network_namespaces: usize,
    zombies: usize,
}

impl Census {
    fn take(t: &Sandbox) -> Self {
        let networks: BTreeSet<_> = host::pids()
            .iter()
            .filter(|pid| is_ours(t, **pid))
            .filter_map(|pid| std::fs::read_link(format!("/proc/{pid}/ns/net")).ok())
            .collect();
        let traces = t.traces();
        Census {
            mounts: host::mount_lines()
                .iter()
                .filter(|line| line.contains(&t.tag))
                .count(),
            cgroups: traces
                .iter()
                .filter(|trace| trace.starts_with("cgroup"))
                .count(),
            network_namespaces: networks.len(),
            zombies: traces
                .iter()
                .filter(|trace| trace.starts_with("process"))
                .count(),
        }
    }
}

fn is_ours(t: &Sandbox, pid: i32) -> bool {
    std::fs::read(format!("/proc/{pid}/environ"))
        .is_ok_and(|text| String::from_utf8_lossy(&text).contains(&t.tag))
}

/// Runs one container whose exit code is `number % 256`, by a bundle of its own.
fn run_one(t: &Sandbox, bundle: &support::Bundle, number: usize) {
    let id = t.new_id();
    let path = bundle.path.to_string_lossy();
    let output = t.runtime(&["run", "--bundle", &path, &id]).output();
    assert_eq!(
        output.status.code(),
        Some((number % 256) as i32),
        "run {number}: {output}"
    );
}

fn in_a_row(t: &Sandbox) {
    let before = Census::take(t);
    let bundles: Vec<_> = (0..8)
        .map(|code| t.bundle().shell(&format!("exit {code}")))
        .collect();
    for bundle in &bundles {
        bundle.write();
    }
    for number in 0..how_many() {
        run_one(t, &bundles[number % 8], number % 8);
    }
    assert_eq!(t.state_entries(), Vec::<String>::new());
    assert_eq!(Census::take(t), before);
}

fn in_parallel(t: &Sandbox) {
    let before = Census::take(t);
    let total = (how_many() / 20)
        .clamp(100, 500)
        .max(if how_many() >= 500 { 500 } else { 0 });
    let next = AtomicUsize::new(0);
    let bundles: Vec<_> = (0..16)
        .map(|code| t.bundle().shell(&format!("exit {code}")))
        .collect();
    for bundle in &bundles {
        bundle.write();
    }
    std::thread::scope(|scope| {
        let next = &next;
        let run_some = move |(code, bundle): (usize, &support::Bundle)| {
            while next.fetch_add(1, Ordering::Relaxed) < total {
                run_one(t, bundle, code);
            }
        };
        let spawn = |one| scope.spawn(move || run_some(one));
        let workers: Vec<_> = bundles.iter().enumerate().map(spawn).collect();
        for worker in workers {
            // Its own words, not that a thread panicked.
            if let Err(words) = worker.join() {
                panic!(
                    "{}",
                    words.downcast_ref::<String>().map_or("?", |words| words)
                );
            }
        }
    });
    assert_eq!(t.state_entries(), Vec::<String>::new());
    assert_eq!(Census::take(t), before);
}

fn execs_in_a_row(t: &Sandbox) {
    let container = t.running(t.bundle());
    for number in 0..how_many() / 2 {
        let code = number % 256;
        assert_eq!(container.exec(&format!("exit {code}")).code(), code as i32);
    }
    assert_eq!(
        host::pids_in_cgroup(container.bundle.cgroups_path()).len(),
        1,
        "only init is left"
    );
}

/// Descriptors and resident kilobytes of a process.
fn footprint(pid: i32) -> (usize, u64) {
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
    let status = support::sandbox::read(format!("/proc/{pid}/status"));
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    (descriptors, kilobytes.unwrap_or(0))
}

/// The process that waits in the foreground, and init, are the same after a thousand commands.
fn a_monitor_stays_flat(t: &Sandbox) {
    let bundle = t.bundle().idle();
    bundle.write();
    let id = t.new_id();
    let path = bundle.path.to_string_lossy();
    let monitor = t
        .runtime(&["run", "--bundle", &path, &id])
        .time_limit(std::time::Duration::from_secs(1800))
        .spawn();
    let container = support::Container::named(t, &bundle, id);
    container.wait_running();
    let (monitor_pid, init) = (monitor.pid(), container.pid());
    let commands = |count: usize| {
        for number in 0..count {
            container.exec("true").ok();
            if number % 10 == 0 {
                container.invoke(&["ps"]).output().ok();
                container.invoke(&["events", "--stats"]).output().ok();
            }
        }
    };
    commands(10);
    let before = (footprint(monitor_pid), footprint(init));
    commands(how_many() / 10);
    let after = (footprint(monitor_pid), footprint(init));
    assert_eq!(before.0.0, after.0.0, "descriptors of the monitor");
    assert_eq!(before.1.0, after.1.0, "descriptors of init");
    let grown = after.0.1.saturating_sub(before.0.1) + after.1.1.saturating_sub(before.1.1);
    assert!(grown <= 64, "grew by {grown} KiB: {before:?} to {after:?}");
    container.kill("KILL").ok();
    assert_eq!(monitor.wait().code(), 137);
}

fn create_start_delete(t: &Sandbox) {
    let bundle = t.bundle().idle();
    for _ in 0..how_many() / 5 {
        let container = t.create(&bundle);
        container.start().ok();
        container.delete(&["--force"]).ok();
    }
    assert_eq!(t.state_entries(), Vec::<String>::new());
    assert_eq!(t.wait_until_gone(), Vec::<String>::new());
}
