//! Describes the machine, and makes the view of it in which every peer runs.
//!
//! The view is a private mount namespace: a tmpfs for all files that are
//! written, and no cgroup v2 mount on a hybrid host (crun refuses a hybrid host
//! that leaves controllers to v2). Both end with the harness, so the machine is
//! as it was; both apply to all peers alike.

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;
use std::time::Duration;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Machine {
    pub kernel: String,
    pub processor: String,
    pub cores: usize,
    pub memory_mib: u64,
    pub cgroup: String,
    pub virtual_machine: bool,
    pub load_before: String,
    pub load_after: String,
}

const UNIFIED: &str = "/sys/fs/cgroup/unified";
const NOTHING: Option<&str> = None;

/// Call it before any thread is started: a mount namespace is a thread's.
pub fn enter_private_view(work: &Path) -> Result<(), String> {
    let named = |what: &'static str| move |errno| format!("{what}: {errno}");
    unshare(CloneFlags::CLONE_NEWNS).map_err(named("unshare the mount namespace"))?;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(NOTHING, "/", NOTHING, private, NOTHING).map_err(named("make / private"))?;
    fs::create_dir_all(work).map_err(|error| format!("mkdir {}: {error}", work.display()))?;
    mount(
        Some("tmpfs"),
        work,
        Some("tmpfs"),
        MsFlags::empty(),
        Some("mode=0755"),
    )
    .map_err(named("mount a tmpfs"))?;
    if hybrid_with_controllers() {
        umount2(UNIFIED, MntFlags::MNT_DETACH).map_err(named("hide the cgroup v2 mount"))?;
    }
    Ok(())
}

pub fn leave_private_view(work: &Path) {
    // The mount namespace ends with the process; only the mount point stays behind.
    let _ = umount2(work, MntFlags::MNT_DETACH);
    let _ = fs::remove_dir(work);
}

fn hybrid_with_controllers() -> bool {
    fs::read_to_string(format!("{UNIFIED}/cgroup.controllers"))
        .is_ok_and(|controllers| !controllers.trim().is_empty())
}

pub fn describe() -> Machine {
    Machine {
        kernel: line_of("/proc/sys/kernel/osrelease"),
        processor: field("/proc/cpuinfo", "model name"),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        memory_mib: meminfo_kib("MemTotal") / 1024,
        cgroup: cgroup_layout(),
        virtual_machine: fs::read_to_string("/proc/cpuinfo")
            .is_ok_and(|text| text.contains("hypervisor")),
        load_before: load(),
        load_after: String::new(),
    }
}

pub fn load() -> String {
    let text = line_of("/proc/loadavg");
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// The share of the processors' time that was not idle while this looked. What a hypervisor steals counts.
pub fn busy_share(look: Duration) -> f64 {
    let before = processor_ticks();
    std::thread::sleep(look);
    let after = processor_ticks();
    let (idle, all) = (
        after.0.saturating_sub(before.0),
        after.1.saturating_sub(before.1),
    );
    if all == 0 {
        return 0.0;
    }
    1.0 - idle as f64 / all as f64
}

/// Idle ones, and all, since the machine started. proc(5)
fn processor_ticks() -> (u64, u64) {
    /// user, nice, system, idle, iowait, irq, softirq, steal; guests are in user already.
    const COUNTED: usize = 8;
    let ticks: Vec<u64> = line_of("/proc/stat")
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(1)
        .take(COUNTED)
        .filter_map(|ticks| ticks.parse().ok())
        .collect();
    let idle = ticks.iter().skip(3).take(2).sum();
    (idle, ticks.iter().sum())
}

/// A field of /proc/meminfo in KiB, 0 where the kernel has none of that name.
pub fn meminfo_kib(name: &str) -> u64 {
    let value = field("/proc/meminfo", name);
    value.trim_end_matches(" kB").trim().parse().unwrap_or(0)
}

fn cgroup_layout() -> String {
    if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
        return "v2".to_owned();
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let hierarchies = mounts
        .lines()
        .filter(|line| line.contains(" - cgroup "))
        .count();
    let unified = if mounts.contains(" - cgroup2 ") {
        " and a v2 mount"
    } else {
        ", no v2 mount in view"
    };
    format!("v1, {hierarchies} hierarchies{unified}")
}

fn line_of(path: &str) -> String {
    fs::read_to_string(path)
        .unwrap_or_default()
        .trim()
        .to_owned()
}

fn field(path: &str, name: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.trim() == name)
        .map_or_else(String::new, |(_, value)| value.trim().to_owned())
}
