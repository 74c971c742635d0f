//! `exec --cgroup`: below the container's own cgroup, and never out of it.

use super::Record;
use crate::cgroup::{Cgroup, CgroupRecord};
use crate::error::{Error, Result};
use nix::errno::Errno;

/// The container's cgroups, or those that `--cgroup [CONTROLLERS:]PATH` names below them.
pub fn open(record: &Record, wishes: &[String]) -> Result<Cgroup> {
    let mut cgroups = record.cgroup.clone();
    wishes
        .iter()
        .try_for_each(|wish| apply(&mut cgroups, wish))?;
    Cgroup::open(&cgroups).map_err(|error| adding(absent(&cgroups).unwrap_or(error)))
}

/// The file that a process would be written to, were its cgroup there. COMPAT(runc)
fn absent(cgroups: &CgroupRecord) -> Option<Error> {
    let mut paths = cgroups.directories.iter().map(|directory| directory.path());
    let path = paths.find(|path| !path.exists())?;
    let operation = format_args!("open {}/cgroup.procs", path.display());
    Some(Error::errno(operation, Errno::ENOENT))
}

/// COMPAT(runc): scripts written for it look for these words.
pub fn adding(error: Error) -> Error {
    error.context("adding pid of the new process to cgroups")
}

/// The container's cgroups with init's own in the unified hierarchy, where init has moved below the container's.
pub fn of_init(record: &Record) -> Option<Result<Cgroup>> {
    let listed = std::fs::read_to_string(format!("/proc/{}/cgroup", record.pid)).ok()?;
    let mut cgroups = record.cgroup.clone();
    let unified = cgroups
        .directories
        .iter_mut()
        .find(|directory| directory.v2)?;
    unified.path = below(&listed, &unified.path)?;
    Some(Cgroup::open(&cgroups))
}

/// The unified path in the text of /proc/PID/cgroup, where it lies below `own`.
fn below(listed: &str, own: &str) -> Option<String> {
    let path = listed.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let rest = path.strip_prefix(own.trim_matches('/'))?;
    let outside = |part: &str| part == ".." || part == ".";
    (rest.starts_with('/') && !rest.split('/').any(outside)).then(|| path.to_owned())
}

fn apply(cgroups: &mut CgroupRecord, wish: &str) -> Result<()> {
    let (controllers, below) = match wish.split_once(':') {
        Some((controllers, below)) => (controllers.split(',').collect(), below),
        None => (Vec::new(), wish),
    };
    if below.split('/').any(|component| component == "..") {
        return Err(Error::new(format!(
            "--cgroup: bad sub cgroup path: {wish} is not a sub cgroup path"
        )));
    }
    let mut matched = controllers.is_empty();
    for directory in &mut cgroups.directories {
        if controllers.is_empty()
            || controllers
                .iter()
                .any(|controller| directory.has(controller))
        {
            directory.path = format!("{}/{}", directory.path, below.trim_matches('/'));
            matched = true;
        }
    }
    match matched {
        true => Ok(()),
        false => Err(Error::new(format!(
            "--cgroup: unknown controller in {wish}: no hierarchy has it"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn init_is_followed_only_downwards() {
        let found = |line: &str| below(&format!("3:pids:/x\n{line}\n"), "box/web1");
        assert_eq!(
            found("0::/box/web1/init.scope").as_deref(),
            Some("box/web1/init.scope")
        );
        for elsewhere in [
            "0::/box/web1",
            "0::/box/web10/x",
            "0::/box",
            "0::/",
            "0::/../box/web1/x",
            "0::/box/web1/../../x",
        ] {
            assert_eq!(found(elsewhere), None, "{elsewhere}");
        }
    }
}
