//! Faults on demand, in debug builds only: `CRUN_LITE_FAULT` names one place and what goes wrong there.
//!
//! `child:STEP:ACTION` strikes before that step of the plan, counted from 0; `parent:POINT:ACTION` at one of [`POINTS`].
//! Actions: `fail` with EIO; `die` without a word; `stall` for ever; `signal-N`, which the runtime gets, and the child
//! goes on. `tests/faults` tries every place. In release builds all of this is empty.

/// The named places of the parent, in the order of a start.
pub const POINTS: &[&str] = &[
    "state-directory",
    "record",
    "cgroup",
    "start-socket",
    "prepared-mounts",
    "clone",
    "id-maps",
    "limits",
    "cgroup-join",
    "staged",
    "mount-ids",
    "runtime-hooks",
    "listener",
    "created",
    "registered",
    "pid-file",
];

/// Those that only a container of an image comes by.
pub const IMAGE_POINTS: &[&str] = &["snapshot", "claim"];

#[cfg(debug_assertions)]
pub use injected::{ChildFault, point};

#[cfg(not(debug_assertions))]
pub use absent::{ChildFault, point};

#[cfg(not(debug_assertions))]
mod absent {
    /// Nothing.
    #[derive(Debug, Clone, Copy)]
    pub struct ChildFault;

    impl ChildFault {
        /// Reads nothing.
        pub fn from_environment() -> ChildFault {
            ChildFault
        }

        /// Never strikes.
        pub fn strike(self, _step: usize) -> crate::sys::Result<()> {
            Ok(())
        }

        /// No descriptor.
        pub fn trigger(self) -> std::os::fd::RawFd {
            -1
        }
    }

    /// Never fails.
    pub fn point(_name: &str) -> crate::error::Result<()> {
        Ok(())
    }
}

#[cfg(debug_assertions)]
mod injected {
    use crate::error::{Error, Result};
    use crate::sys::{self, open, process, signal, socket};
    use nix::errno::Errno;
    use std::os::fd::RawFd;

    const VARIABLE: &str = "CRUN_LITE_FAULT";

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Action {
        Fail,
        Die,
        Stall,
        Signal(i32),
    }

    /// `(side, place, action)` of the variable.
    fn wanted() -> Option<(String, String, Action)> {
        let text = std::env::var(VARIABLE).ok()?;
        let mut words = text.splitn(3, ':');
        let (side, place) = (words.next()?, words.next()?);
        let action = match words.next()? {
            "fail" => Action::Fail,
            "die" => Action::Die,
            "stall" => Action::Stall,
            signal => Action::Signal(signal.strip_prefix("signal-")?.parse().ok()?),
        };
        Some((side.to_owned(), place.to_owned(), action))
    }

    /// What goes wrong in the child, read before the clone: numbers only.
    #[derive(Debug, Clone, Copy)]
    pub struct ChildFault {
        step: usize,
        action: Action,
        /// A byte written here sends the parent its signal, whatever pid namespace the writer is in.
        trigger: RawFd,
    }

    impl ChildFault {
        const NONE: ChildFault = ChildFault {
            step: usize::MAX,
            action: Action::Fail,
            trigger: -1,
        };

        /// Of the variable.
        pub fn from_environment() -> ChildFault {
            let armed =
                wanted()
                    .filter(|(side, ..)| side == "child")
                    .and_then(|(_, step, action)| {
                        let trigger = match action {
                            Action::Signal(signal) => armed_trigger(signal).ok()?,
                            _ => -1,
                        };
                        Some(ChildFault {
                            step: step.parse().ok()?,
                            action,
                            trigger,
                        })
                    });
            armed.unwrap_or(ChildFault::NONE)
        }

        /// Before the step of this index. Async-signal-safe.
        pub fn strike(self, step: usize) -> sys::Result<()> {
            if step != self.step {
                return Ok(());
            }
            match self.action {
                Action::Fail => Err(Errno::EIO),
                // The init of a pid namespace can't send itself SIGKILL; silence is what its parent would see.
                Action::Die => process::exit(137),
                Action::Stall => loop {
                    process::pause();
                },
                Action::Signal(_) => open::write_all(self.trigger, b"!"),
            }
        }

        /// What the child must keep open for this; -1 for nothing.
        pub fn trigger(self) -> RawFd {
            self.trigger
        }
    }

    fn armed_trigger(number: i32) -> sys::Result<RawFd> {
        let (ours, theirs) = socket::pair()?;
        signal::send_us_when_readable(ours, number)?;
        Ok(theirs)
    }

    /// A named place of the parent.
    pub fn point(name: &str) -> Result<()> {
        let all = [super::POINTS, super::IMAGE_POINTS].concat();
        debug_assert!(all.contains(&name), "{name} is not in POINTS");
        match wanted() {
            Some((side, place, action)) if side == "parent" && place == name => match action {
                Action::Fail => Err(Error::errno(format_args!("the point {name}"), Errno::EIO)),
                Action::Die => {
                    let _ = signal::send_us(libc::SIGKILL);
                    Ok(())
                }
                Action::Stall => loop {
                    process::pause();
                },
                Action::Signal(signal) => {
                    let _ = signal::send_us(signal);
                    Ok(())
                }
            },
            _ => Ok(()),
        }
    }
}
