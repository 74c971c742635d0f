//! What the host shows: cgroup hierarchies, mounts, processes, and the traces that a sandbox left in them.

use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The cgroup hierarchies mounted on the host, v1 and v2.
pub fn cgroup_hierarchies() -> Vec<PathBuf> {
    mount_lines()
        .iter()
        .filter(|line| line.contains(" - cgroup "))
        .chain(
            mount_lines()
                .iter()
                .filter(|line| line.contains(" - cgroup2 ")),
        )
        .filter_map(|line| line.split(' ').nth(4).map(PathBuf::from))
        .collect()
}

/// The v1 hierarchy of a controller.
pub fn v1_hierarchy(controller: &str) -> Option<PathBuf> {
    mount_lines().iter().find_map(|line| {
        let (left, right) = line.split_once(" - cgroup ")?;
        let options = right.rsplit(' ').next()?;
        options
            .split(',')
            .any(|option| option == controller)
            .then(|| left.split(' ').nth(4).map(PathBuf::from))?
    })
}

/// Whether cgroup v2 is all that this host has.
pub fn is_pure_v2() -> bool {
    Path::new("/sys/fs/cgroup/cgroup.controllers").exists()
}

/// Whether the kernel is this release or a newer one.
pub fn has_linux(major: u32, minor: u32) -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|part| part.parse::<u32>().ok());
    (numbers.next(), numbers.next()) >= (Some(major), Some(minor))
}

/// A cgroup's directory in the v1 hierarchy of a controller; skips the case where there is none.
pub fn v1_cgroup(controller: &str, cgroups_path: &str) -> PathBuf {
    let hierarchy = v1_hierarchy(controller)
        .unwrap_or_else(|| super::skip(format!("no v1 hierarchy of {controller} on this host")));
    hierarchy.join(cgroups_path.trim_start_matches('/'))
}

/// The lines of the host's mount table.
pub fn mount_lines() -> Vec<String> {
    fs::read_to_string("/proc/self/mountinfo")
        .unwrap_or_default()
        .lines()
        .map(str::to_owned)
        .collect()
}

/// The pids of all processes.
pub fn pids() -> Vec<i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// The pids of a cgroup in whichever hierarchy has it.
pub fn pids_in_cgroup(cgroups_path: &str) -> Vec<i32> {
    let directory = cgroup_hierarchies()
        .into_iter()
        .map(|hierarchy| hierarchy.join(cgroups_path.trim_start_matches('/')));
    let file = directory
        .map(|directory| directory.join("cgroup.procs"))
        .find(|file| file.exists());
    let text = file
        .and_then(|file| fs::read_to_string(file).ok())
        .unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

/// The namespace of a process as the kernel names it, such as `net:[4026531833]`.
#[track_caller]
pub fn namespace(pid: impl std::fmt::Display, kind: &str) -> String {
    let path = format!("/proc/{pid}/ns/{kind}");
    let target =
        fs::read_link(&path).unwrap_or_else(|error| panic!("read the link {path}: {error}"));
    target.to_string_lossy().into_owned()
}

/// Whether a process is alive, a zombie not counting.
pub fn is_alive(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')')
        .next()
        .is_some_and(|rest| !rest.is_empty() && !rest.trim_start().starts_with(['Z', 'X']))
}

/// The processes that carry the tag in their command line, environment or cgroup.
fn processes_of(tag: &str) -> Vec<i32> {
    let own = i32::try_from(std::process::id()).expect("pids fit");
    let carries = |pid: &i32| {
        ["cgroup", "cmdline", "environ"].iter().any(|file| {
            let text = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            String::from_utf8_lossy(&text).contains(tag)
        })
    };
    pids()
        .into_iter()
        .filter(|pid| *pid != own && !awaits_init(*pid))
        .filter(carries)
        .collect()
}

/// Whether a process has ended and only the host's init, which may take seconds, still has to reap it.
fn awaits_init(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let mut fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
    fields.next() == Some("Z") && fields.next() == Some("1")
}

/// The cgroup directories whose name carries the tag, outermost first.
fn cgroups_of(tag: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for hierarchy in cgroup_hierarchies() {
        collect_cgroups(&hierarchy, tag, 6, &mut found);
    }
    found
}

fn collect_cgroups(directory: &Path, tag: &str, depth: u32, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            // What lies below a tagged directory is the sandbox's too.
            if entry.path().to_string_lossy().contains(tag) {
                found.push(entry.path());
            }
            if depth > 0 {
                collect_cgroups(&entry.path(), tag, depth - 1, found);
            }
        }
    }
}

fn mounts_of(tag: &str) -> Vec<String> {
    mount_lines()
        .iter()
        .filter(|line| line.contains(tag))
        .filter_map(|line| line.split(' ').nth(4).map(str::to_owned))
        .collect()
}

/// Everything on the host that carries the tag.
pub fn traces_of(tag: &str) -> Vec<String> {
    let describe = |pid: &i32| {
        let command = fs::read_to_string(format!("/proc/{pid}/cmdline"))
            .unwrap_or_default()
            .replace('\0', " ");
        // Where it waits tells one that is not killed from one that can't end.
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let mut fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
        let (state, parent) = (fields.next(), fields.next());
        let place = fs::read_to_string(format!("/proc/{pid}/wchan")).unwrap_or_default();
        let about = [state.unwrap_or("?"), parent.unwrap_or("?"), &place].join(" ");
        format!(
            "process {pid} ({}; state, parent, place: {about})",
            command.trim()
        )
    };
    let processes = processes_of(tag);
    let mut traces: Vec<String> = processes.iter().map(describe).collect();
    traces.extend(
        cgroups_of(tag)
            .iter()
            .map(|path| format!("cgroup {}", path.display())),
    );
    traces.extend(mounts_of(tag).iter().map(|place| format!("mount {place}")));
    traces
}

/// Kills, unmounts and removes what carries the tag.
pub fn remove_traces_of(tag: &str) {
    for pid in processes_of(tag) {
        kill(Pid::from_raw(pid), Signal::SIGKILL).ok();
    }
    for place in mounts_of(tag).iter().rev() {
        nix::mount::umount2(place.as_str(), nix::mount::MntFlags::MNT_DETACH).ok();
    }
    for path in cgroups_of(tag).iter().rev() {
        thaw(path);
        for _ in 0..20 {
            if fs::remove_dir(path).is_ok() || !path.exists() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}

fn thaw(cgroup: &Path) {
    fs::write(cgroup.join("freezer.state"), "THAWED").ok();
    fs::write(cgroup.join("cgroup.freeze"), "0").ok();
}
