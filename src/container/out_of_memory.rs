//! Why a container in the foreground was killed: seen when it happens, told when it has ended.
//!
//! systemd removes a scope's cgroup, and with it the kernel's count, as soon as its last process is gone; so there the
//! count is read at the kill, and where systemd was faster it is concluded from what was heard before. Elsewhere the
//! cgroup stays until we delete it, and one look at the end does.

use super::monitor::MemoryEvents;
use super::{Id, Record};
use crate::cgroup::{self, CgroupRecord, OomReport, OomWatch};
use std::cell::{Cell, RefCell};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// What a container's kernel said of its memory, as long as it could be asked.
pub struct Witness {
    cgroup: CgroupRecord,
    fd: OwnedFd,
    watch: RefCell<OomWatch>,
    seen: Cell<Option<OomReport>>,
}

impl Witness {
    /// Watches where the cgroup goes away by itself; `None` where it stays, or there is nothing to watch. To be called
    /// before the process runs.
    pub fn of(record: &Record) -> Option<Witness> {
        record.cgroup.scope.as_ref()?;
        let watch = OomWatch::new(&record.cgroup).ok()?;
        let fd = watch.fd().try_clone_to_owned().ok()?;
        Some(Witness {
            cgroup: record.cgroup.clone(),
            fd,
            watch: RefCell::new(watch),
            seen: Cell::default(),
        })
    }

    fn report(&self) -> Option<OomReport> {
        self.look();
        self.seen
            .get()
            .or_else(|| self.watch.borrow().last_report())
    }
}

impl AsFd for Witness {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl MemoryEvents for Witness {
    fn look(&self) {
        let _ = self.watch.borrow_mut().news();
        let now = cgroup::oom_report(&self.cgroup);
        self.seen.set(now.or(self.seen.get()));
    }
}

/// Says so when the out-of-memory killer struck: the exit code doesn't tell this end from another kill. The container
/// ran, so it is no failure of `run`'s own.
pub fn tell(id: &Id, record: &Record, witness: Option<&Witness>) {
    let seen = match witness {
        Some(witness) => witness.report(),
        None => cgroup::oom_report(&record.cgroup),
    };
    let Some(oom) = seen else { return };
    let bytes = |number: Option<u64>, none: &str| {
        number.map_or_else(|| none.to_owned(), |number| format!("{number} bytes"))
    };
    log::error!(
        "run {id}: out of memory: the kernel killed {} of its processes (limit {}, peak use {}). \
         Hint: raise linux.resources.memory.limit, or have the program use less",
        oom.kills,
        bytes(oom.limit_bytes, "none of its own"),
        bytes(oom.peak_bytes, "unknown"),
    );
}
