//! Making a container's cgroup: directories, controllers, values, device program; all of it or nothing.

use super::directory::Directory;
use super::{Cgroup, CgroupRecord, DirectoryRecord, ScopeRecord, destroy, pids};
use crate::error::{Context, Error, Result};
use crate::plan::cgroup::{CgroupPlan, DirectoryPlan, FileWrite, HierarchyKind, OnFailure, Write};
use nix::errno::Errno;
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, Uid};
use std::path::Path;

/// Notes what exists already. A caller that keeps the record before [`create`] can undo a creation that was cut short.
pub fn survey(plan: &CgroupPlan) -> CgroupRecord {
    let directories = plan.directories.iter().map(|directory| {
        let (controllers, v2) = match &directory.hierarchy {
            HierarchyKind::V1 { controllers, .. } => (controllers.clone(), false),
            HierarchyKind::V2 { .. } => (Vec::new(), true),
        };
        let mut record = DirectoryRecord {
            mount: directory.mount.clone(),
            path: directory.path.clone(),
            controllers,
            v2,
            kept_levels: 0,
        };
        let exists = |levels: &usize| record.level(*levels).exists();
        record.kept_levels = (1..=record.depth()).take_while(exists).count();
        record
    });
    let directories: Vec<DirectoryRecord> = directories.collect();
    // A cgroup that exists is somebody else's scope: not one to stop when this creation fails.
    let free = |d: &DirectoryRecord| d.kept_levels < d.depth();
    let scope = plan
        .systemd
        .as_ref()
        .filter(|_| directories.iter().all(free));
    CgroupRecord {
        scope: scope.map(|scope| ScopeRecord {
            unit: scope.scope.clone(),
            user: scope.user,
        }),
        directories,
    }
}

/// Makes the whole cgroup. On failure what was made is removed.
pub fn create(plan: &CgroupPlan, survey: &CgroupRecord) -> Result<Cgroup> {
    let made = begin(plan, survey).and_then(|mut cgroup| {
        complete(plan, survey, &mut cgroup)?;
        Ok(cgroup)
    });
    if made.is_err() {
        // The first error is the one to tell.
        let _ = destroy(survey);
    }
    made
}

/// Makes what `clone3` needs: the directory of the unified hierarchy, without its limits. What a failure leaves is the
/// caller's to remove: `survey` names it all.
pub fn begin(plan: &CgroupPlan, survey: &CgroupRecord) -> Result<Cgroup> {
    let mut cgroup = Cgroup::default();
    for (directory, record) in halves(plan, survey, true) {
        if let Some(open) = make_directory(directory, record)? {
            cgroup.directories.push(open);
            cgroup.record.directories.push(record.clone());
        }
    }
    Ok(cgroup)
}

/// Makes the rest, which can wait until the child is at work: the other hierarchies, and everything that is written.
pub fn complete(plan: &CgroupPlan, survey: &CgroupRecord, cgroup: &mut Cgroup) -> Result<()> {
    for (directory, record) in halves(plan, survey, false) {
        if let Some(open) = make_directory(directory, record)? {
            cgroup.directories.push(open);
            cgroup.record.directories.push(record.clone());
        }
    }
    for (record, directory) in cgroup.record.directories.iter().zip(&cgroup.directories) {
        let plans = &mut plan.directories.iter();
        if let Some(plan) = plans.find(|plan| plan.mount == record.mount) {
            fill(plan, directory, &mut cgroup.warnings)?;
        }
    }
    Ok(())
}

/// The directory of the unified hierarchy, or the others.
fn halves<'p>(
    plan: &'p CgroupPlan,
    survey: &'p CgroupRecord,
    unified: bool,
) -> impl Iterator<Item = (&'p DirectoryPlan, &'p DirectoryRecord)> {
    let all = plan.directories.iter().zip(&survey.directories);
    all.filter(move |(_, record)| record.v2 == unified)
}

/// `None` where one can't be made that can be done without.
fn make_directory(plan: &DirectoryPlan, record: &DirectoryRecord) -> Result<Option<Directory>> {
    let made = make_levels(plan, record);
    let directory = match made.and_then(|()| Directory::open(record.path())) {
        Err(error) if plan.optional && plan.writes.is_empty() && is_refusal(&error) => {
            return Ok(None);
        }
        Err(error) if plan.optional => {
            return Err(error.hint(
                "without root, limits need a cgroup that was delegated to you: with systemd, give --systemd-cgroup \
                 in a session of yours, or start with systemd-run --user --scope -p Delegate=yes",
            ));
        }
        directory => directory?,
    };
    if record.kept_levels == record.depth() && !plan.joined {
        refuse_if_in_use(&directory, record)?;
    }
    Ok(Some(directory))
}

/// Limits, device rules and ownership.
fn fill(plan: &DirectoryPlan, directory: &Directory, warnings: &mut Vec<String>) -> Result<()> {
    for writes in plan.writes.chunk_by(|a, b| {
        a.only_file()
            .is_some_and(|file| b.only_file() == Some(file))
    }) {
        match writes {
            [one] => apply(directory, one, warnings)?,
            // Device rules: a dozen values for one file.
            many => apply_all(directory, many, warnings)?,
        }
    }
    if let Some(program) = &plan.device_program {
        super::devices::attach(directory, program)?;
    }
    match plan.owner {
        Some(uid) => delegate(directory, uid),
        None => Ok(()),
    }
}

fn is_refusal(error: &Error) -> bool {
    matches!(
        error.os(),
        Some(Errno::EACCES | Errno::EPERM | Errno::EROFS | Errno::ENOENT)
    )
}

/// Every level from the mount point down. Another container's removal may take an empty parent away meanwhile: then all
/// that isn't there is made again.
fn make_levels(plan: &DirectoryPlan, record: &DirectoryRecord) -> Result<()> {
    let shares_parents = record.depth() > record.kept_levels + 1;
    let vanished = |error: &Error| matches!(error.os(), Some(Errno::ENOENT | Errno::ENODEV));
    let mut made = make_each_level(plan, record);
    for _ in 0..16 {
        if !(shares_parents && made.as_ref().is_err_and(vanished)) {
            break;
        }
        made = make_each_level(plan, record);
    }
    made
}

/// With what each level needs before one below it can be used.
fn make_each_level(plan: &DirectoryPlan, record: &DirectoryRecord) -> Result<()> {
    let depth = record.depth();
    let cpuset = matches!(
        plan.hierarchy,
        HierarchyKind::V1 {
            inherit_cpuset: true,
            ..
        }
    );
    for level in 0..=depth {
        if level > 0 {
            make(&record.level(level))?;
        }
        match &plan.hierarchy {
            HierarchyKind::V2 { required, wanted } if level < depth && !wanted.is_empty() => {
                enable_controllers(&record.level(level), required, wanted)?;
            }
            HierarchyKind::V1 { .. } if cpuset && level > 0 => inherit_cpuset(record, level)?,
            _ => {}
        }
    }
    Ok(())
}

fn make(path: &Path) -> Result<()> {
    // A caller's umask must not close a parent to the others that share it, whose root may be mapped.
    let before = umask(Mode::from_bits_truncate(0o022));
    let made = nix::unistd::mkdir(path, Mode::from_bits_truncate(0o755));
    umask(before);
    match made {
        Ok(()) | Err(Errno::EEXIST) => Ok(()),
        Err(errno) => Err(Error::errno(
            format_args!("make cgroup {}", path.display()),
            errno,
        )),
    }
}

/// KERNEL: a v1 cpuset without CPUs or nodes refuses processes.
fn inherit_cpuset(record: &DirectoryRecord, level: usize) -> Result<()> {
    let (parent, child) = (record.level(level - 1), record.level(level));
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let existing = level <= record.kept_levels && !read(&child.join(file))?.trim().is_empty();
        if !existing {
            let value = read(&parent.join(file))?;
            std::fs::write(child.join(file), value.trim()).context(format_args!(
                "write {:?} to {}/{file}",
                value.trim(),
                child.display()
            ))?;
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<String> {
    crate::sys::open::read_text(path).context(format_args!("read {}", path.display()))
}

/// One write for all that this level lacks; one each only where the kernel refused that.
fn enable_controllers(level: &Path, required: &[String], wanted: &[String]) -> Result<()> {
    let enabled = read(&level.join("cgroup.subtree_control"))?;
    let has = |list: &str, name: &String| list.split_whitespace().any(|c| c == name);
    if wanted.iter().all(|c| has(&enabled, c)) {
        return Ok(());
    }
    let offered = read(&level.join("cgroup.controllers"))?;
    if let Some(missing) = required.iter().find(|c| !has(&offered, c)) {
        return Err(Error::new(format!(
            "cgroup {} has no {missing} controller for a limit of linux.resources",
            level.display()
        ))
        .hint(format!(
            "have the {missing} controller delegated to this cgroup, or remove the limit"
        )));
    }
    let lacking = wanted
        .iter()
        .filter(|c| has(&offered, c) && !has(&enabled, c));
    let lacking: Vec<&String> = lacking.collect();
    if !lacking.is_empty() && holds_processes(level) {
        // KERNEL: of such a cgroup the kernel takes the threaded controllers, and children then can't be containers.
        let refused = std::io::Error::from_raw_os_error(Errno::EBUSY as i32);
        let needed = lacking.iter().find(|c| required.contains(c));
        return needed.map_or(Ok(()), |needed| Err(not_enabled(level, needed, &refused)));
    }
    let file = level.join("cgroup.subtree_control");
    let all: Vec<String> = lacking.iter().map(|c| format!("+{c}")).collect();
    if all.is_empty() || std::fs::write(&file, all.join(" ")).is_ok() {
        return Ok(());
    }
    for controller in lacking {
        match std::fs::write(&file, format!("+{controller}")) {
            Err(error) if required.contains(controller) => {
                return Err(not_enabled(level, controller, &error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The root of the hierarchy, the only cgroup without a type, may give controllers all the same.
fn holds_processes(level: &Path) -> bool {
    let occupied = |text: String| !text.is_empty();
    level.join("cgroup.type").exists()
        && std::fs::read_to_string(level.join("cgroup.procs")).is_ok_and(occupied)
}

fn not_enabled(level: &Path, controller: &str, error: &std::io::Error) -> Error {
    let operation = format!(
        "enable the {controller} controller below cgroup {}",
        level.display()
    );
    let failed = Error::io(operation, error);
    match failed.os() {
        Some(Errno::EBUSY) => failed.hint(
            "that cgroup holds processes, and cgroup v2 gives controllers only to children of one without",
        ),
        Some(Errno::EOPNOTSUPP) => failed.hint("that cgroup is threaded; name another in linux.cgroupsPath"),
        Some(Errno::EACCES | Errno::EPERM) => {
            failed.hint(format!("have the {controller} controller delegated to your user"))
        }
        _ => failed,
    }
}

/// Somebody else's processes must not be limited, frozen or killed with the container.
fn refuse_if_in_use(directory: &Directory, record: &DirectoryRecord) -> Result<()> {
    let path = directory.path().display();
    let kind = match record.v2 {
        true => directory.read_present("cgroup.type")?.unwrap_or_default(),
        false => String::new(),
    };
    if kind.contains("threaded") || kind.contains("invalid") {
        return Err(Error::new(format!(
            "container's cgroup is of type {:?}: {path}",
            kind.trim()
        ))
        .hint("threaded cgroups hold threads of one program; name another in linux.cgroupsPath"));
    }
    let count = pids::below(directory.path())?.len();
    if count > 0 {
        return Err(Error::new(format!(
            "container's cgroup is not empty: {count} process(es) found in {path}"
        )));
    }
    let frozen = match record.v2 {
        true => directory
            .read_present("cgroup.freeze")?
            .is_some_and(|s| s.trim() == "1"),
        false => directory
            .read_present("freezer.state")?
            .is_some_and(|s| s.trim() != "THAWED"),
    };
    match frozen {
        true => Err(Error::new(format!(
            "container's cgroup unexpectedly frozen: {path}"
        ))),
        false => Ok(()),
    }
}

/// Carries one intention out.
pub(super) fn apply(
    directory: &Directory,
    write: &Write,
    warnings: &mut Vec<String>,
) -> Result<()> {
    match write {
        Write::One(one) => put(directory, one, warnings),
        Write::EitherOrder(first, second) => match directory.write(&first.file, &first.value) {
            Err(Errno::EINVAL | Errno::EBUSY) => {
                put(directory, second, warnings)?;
                put(directory, first, warnings)
            }
            done => {
                judge(directory, first, done, warnings)?;
                put(directory, second, warnings)
            }
        },
        Write::FirstPresent(first, second) => match directory.write(&first.file, &first.value) {
            Err(Errno::ENOENT) => put(directory, second, warnings),
            done => judge(directory, first, done, warnings),
        },
    }
}

/// Values for one file, which is opened once.
fn apply_all(directory: &Directory, writes: &[Write], warnings: &mut Vec<String>) -> Result<()> {
    let mut file = None;
    for write in writes {
        let Write::One(write) = write else { continue };
        let open = match &mut file {
            None => directory
                .open_to_write(&write.file)
                .map(|fd| &*file.insert(fd)),
            Some(fd) => Ok(&*fd),
        };
        let done = open.and_then(|fd| nix::unistd::write(fd, write.value.as_bytes()));
        judge(directory, write, done.map(drop), warnings)?;
    }
    Ok(())
}

fn put(directory: &Directory, write: &FileWrite, warnings: &mut Vec<String>) -> Result<()> {
    let done = directory.write(&write.file, &write.value);
    judge(directory, write, done, warnings)
}

fn judge(
    directory: &Directory,
    write: &FileWrite,
    done: Result<(), Errno>,
    warnings: &mut Vec<String>,
) -> Result<()> {
    let Err(errno) = done else { return Ok(()) };
    let mut error = directory.refused(&write.file, &write.value, errno);
    if let Some(controller) = lacking_controller(directory, &write.file, errno) {
        error = error.hint(format!(
            "this cgroup has no {controller} controller; have it delegated (systemd: Delegate={controller} … in the \
             unit above, as user@.service), or remove the limit"
        ));
    }
    match write.on_failure {
        OnFailure::SkipIfAbsent if errno == Errno::ENOENT => Ok(()),
        OnFailure::Warn => {
            warnings.push(error.to_string());
            Ok(())
        }
        OnFailure::Fail | OnFailure::SkipIfAbsent => Err(error),
    }
}

/// A file that isn't there for want of its controller, on v2.
fn lacking_controller<'f>(directory: &Directory, file: &'f str, errno: Errno) -> Option<&'f str> {
    let (controller, _) = file.split_once('.').filter(|_| errno == Errno::ENOENT)?;
    let present = directory.read_present("cgroup.controllers").ok()??;
    let lacks = !present.split_whitespace().any(|c| c == controller);
    lacks.then_some(controller)
}

/// SPEC(config-linux.md#cgroup-ownership): the directory, and the files that the kernel says may be delegated.
fn delegate(directory: &Directory, uid: u32) -> Result<()> {
    let files = std::fs::read_to_string("/sys/kernel/cgroup/delegate")
        .unwrap_or_else(|_| "cgroup.procs\ncgroup.subtree_control\ncgroup.threads\n".to_owned());
    for file in std::iter::once(".").chain(files.lines()) {
        let path = directory.path().join(file);
        match nix::unistd::chown(&path, Some(Uid::from_raw(uid)), None::<Gid>) {
            Err(Errno::ENOENT) => {}
            done => done.context(format_args!("chown {} to {uid}", path.display()))?,
        }
    }
    Ok(())
}
