//! Reads other processes in /proc: their children and their memory.
//!
//! It must not know what the processes are.

use crate::ground::Ground;
use crate::sample::spawn;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

/// A command that is left running, and killed with all its descendants.
pub struct Running(Child);

impl Running {
    pub fn start(ground: &Ground, command: &mut Command) -> Result<Self, String> {
        ground.stopwatch.prepare(command)?;
        spawn(command).map(Self)
    }

    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    pub fn end(mut self) {
        let mut processes = tree(self.pid());
        // The workload first: a runtime that sees it end cleans up by itself.
        processes.reverse();
        for pid in processes.into_iter().filter(|pid| *pid != self.pid()) {
            end_process(pid);
        }
        for _ in 0..PATIENT_LOOKS {
            if matches!(self.0.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(BETWEEN_LOOKS);
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn end_process(pid: u32) {
    if let Ok(pid) = i32::try_from(pid) {
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
}

/// A process and its descendants, parents first.
pub fn tree(root: u32) -> Vec<u32> {
    let mut found = vec![root];
    let mut next = 0;
    while let Some(pid) = found.get(next).copied() {
        found.extend(children(pid));
        next += 1;
    }
    found
}

fn children(pid: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten();
    threads
        .flatten()
        .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok())
        .flat_map(|text| {
            text.split_whitespace()
                .filter_map(|word| word.parse().ok())
                .collect::<Vec<u32>>()
        })
        .collect()
}

const PATIENT_LOOKS: u32 = 500;
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);
/// From its execve until a program has settled.
pub const SETTLING: Duration = Duration::from_millis(50);

/// Waits for a descendant whose command line begins so, and lets it settle.
pub fn find_descendant(root: u32, command_line: &[u8]) -> Result<u32, String> {
    for _ in 0..PATIENT_LOOKS {
        let found = tree(root).into_iter().skip(1).find(|pid| {
            fs::read(format!("/proc/{pid}/cmdline"))
                .is_ok_and(|line| line.starts_with(command_line))
        });
        if let Some(pid) = found {
            std::thread::sleep(SETTLING);
            return Ok(pid);
        }
        if !Path::new(&format!("/proc/{root}/exe")).exists() {
            break;
        }
        std::thread::sleep(BETWEEN_LOOKS);
    }
    Err("the workload did not appear below the runtime".to_owned())
}

/// Proportional set size: shared pages count by their share.
pub fn pss_kib(pid: u32) -> Result<f64, String> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(&path).map_err(|error| format!("read {path}: {error}"))?;
    text.lines()
        .find_map(|line| line.strip_prefix("Pss:"))
        .and_then(|rest| rest.trim().strip_suffix(" kB")?.trim().parse().ok())
        .ok_or_else(|| format!("no Pss in {path}"))
}

pub fn read_pid(file: &Path) -> Result<u32, String> {
    let text =
        fs::read_to_string(file).map_err(|error| format!("read {}: {error}", file.display()))?;
    text.trim()
        .parse()
        .map_err(|_| format!("no process id in {}: {text:?}", file.display()))
}

/// What the kernel charges for itself to the memory cgroup of a process.
pub fn cgroup_kernel_kib(pid: u32) -> Result<f64, String> {
    let own = memory_cgroup("self")?;
    let cgroup = memory_cgroup(&pid.to_string())?;
    if cgroup == own {
        return Err("it has no cgroup of its own".to_owned());
    }
    let read = |name: &str| fs::read_to_string(cgroup.join(name));
    let v1 = read("memory.kmem.usage_in_bytes").ok();
    let v2 = || {
        let text = read("memory.stat").ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("kernel "));
        line.map(str::to_owned)
    };
    let bytes: Option<f64> = v1.or_else(v2).and_then(|text| text.trim().parse().ok());
    bytes
        .map(|bytes| bytes / 1024.0)
        .ok_or_else(|| format!("no kernel memory in {}", cgroup.display()))
}

fn memory_cgroup(process: &str) -> Result<PathBuf, String> {
    let file = format!("/proc/{process}/cgroup");
    let text = fs::read_to_string(&file).map_err(|error| format!("read {file}: {error}"))?;
    let v1 = text.lines().find_map(|line| line.split_once(":memory:"));
    let v2 = || text.lines().find_map(|line| line.split_once("0::"));
    let (hierarchy, found) = match v1 {
        Some(found) => ("/sys/fs/cgroup/memory", found),
        None => ("/sys/fs/cgroup", v2().ok_or("no memory cgroup")?),
    };
    Ok(Path::new(hierarchy).join(found.1.trim_start_matches('/')))
}
