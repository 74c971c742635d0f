//! Each step as the sentence that `plan` prints and that error messages use.

use super::list::{Listed, Texts};
use crate::plan::process::{capability_names, policy_name};
use crate::plan::*;
use rootfs::mount::Shown;
use std::fmt::{self, Display, Formatter};

impl Display for Step {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Step::BecomeNamespaceRoot { .. } => f.write_str("become root of the user namespace"),
            Step::LoopbackUp => f.write_str("bring the loopback device up"),
            Step::TreePropagation { flag } => {
                write!(f, "make all inherited mounts {}", propagation(*flag, true))
            }
            Step::OpenRoot { path, .. } => write!(f, "open the root file system {}", Shown(path)),
            Step::OverlayRoot(overlay) => overlay.fmt(f),
            Step::AttachRoot => {
                f.write_str("attach the image's layers, their ids mapped, as the root file system")
            }
            Step::Mount(mount) | Step::AttachPrepared { mount, .. } => mount.fmt(f),
            Step::Device(device) => device.fmt(f),
            Step::Symlink { target, path } => {
                write!(f, "make the symlink {} to {}", Shown(path), Shown(target))
            }
            Step::AwaitRuntimeHooks => f.write_str("wait for the prestart and createRuntime hooks"),
            Step::CreateContainerHook(hook) => write!(f, "run the createContainer hook {hook}"),
            Step::OpenTerminal {
                rows,
                columns,
                console,
                ..
            } => {
                f.write_str("open the terminal")?;
                if (*rows, *columns) != (0, 0) {
                    write!(f, " of {columns}x{rows} characters")?;
                }
                f.write_str(if *console {
                    " and bind it on /dev/console"
                } else {
                    ""
                })
            }
            Step::JoinCgroup => f.write_str("join the cgroup"),
            Step::UnshareCgroup => f.write_str("make the cgroup namespace"),
            Step::EnterRoot => f.write_str("enter the container's root"),
            Step::ChangeRoot { how } => write!(f, "change the root ({how})"),
            Step::RootPropagation { flag, recursive } => {
                write!(f, "make the root {}", propagation(*flag, *recursive))
            }
            Step::Sysctl { path, value } => {
                let path = path.to_bytes();
                let name = String::from_utf8_lossy(path.strip_prefix(b"sys/").unwrap_or(path));
                write!(
                    f,
                    "set the kernel parameter {} to {}",
                    name.replace('/', "."),
                    Shown(value)
                )
            }
            Step::MaskPath(path) => write!(f, "mask {}", Shown(path)),
            Step::ReadonlyPath(path) => write!(f, "make {} read-only", Shown(path)),
            Step::ReadonlyRoot => f.write_str("make the root read-only"),
            Step::Hostname(name) => write!(f, "set the host name to {}", Shown(name)),
            Step::Domainname(name) => write!(f, "set the domain name to {}", Shown(name)),
            _ => self.process_sentence(f),
        }
    }
}

impl Step {
    /// The sentences about the process, after the file system is complete.
    fn process_sentence(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Step::Personality(value) => write!(f, "set the personality to {value:#x}"),
            Step::MemoryPolicy(policy) => policy.fmt(f),
            Step::Scheduler(scheduler) => scheduler.fmt(f),
            Step::IoPriority(value) => {
                write!(
                    f,
                    "set the I/O priority to class {}, level {}",
                    value >> 13,
                    value & 0x1fff
                )
            }
            Step::CpuAffinity(cpus) if *cpus == CpuSet::all() => {
                f.write_str("run on any CPU of the cgroup's")
            }
            Step::CpuAffinity(cpus) => write!(f, "run on CPUs {}", Listed(&cpus.0)),
            Step::NewKeyring { name, .. } => write!(f, "make the session keyring {}", Shown(name)),
            Step::ExecLabel { value, .. } => {
                write!(
                    f,
                    "set the security label for the program to {}",
                    Shown(value)
                )
            }
            Step::NoNewPrivileges => f.write_str("give up gaining privileges (no_new_privs)"),
            Step::Umask(mask) => write!(f, "set the umask to {mask:03o}"),
            Step::BecomeUser(user) => user.fmt(f),
            Step::Capabilities(capabilities) => capabilities.fmt(f),
            Step::WorkingDirectory { path, .. } => {
                write!(f, "enter the working directory {}", Shown(path))
            }
            Step::FindProgram => f.write_str("find the program"),
            Step::CloseFds { keep } if keep.is_empty() => {
                f.write_str("close all file descriptors but 0 to 2")
            }
            Step::CloseFds { keep } => write!(
                f,
                "close all file descriptors but 0 to 2 and {}",
                joined(keep)
            ),
            Step::Seccomp => f.write_str("load the seccomp filter"),
            Step::AwaitStart => f.write_str("wait for start"),
            Step::StartContainerHook(hook) => write!(f, "run the startContainer hook {hook}"),
            Step::Exec(exec) => write!(f, "run {}", Texts(&exec.args)),
            _ => write!(f, "{self:?}"),
        }
    }

    /// The variant's name, for programs that read the plan.
    pub fn kind(&self) -> String {
        let text = format!("{self:?}");
        let end = text.find(|character: char| !character.is_ascii_alphanumeric());
        text[..end.unwrap_or(text.len())].to_owned()
    }
}

/// The name of a propagation, as mount options spell it.
fn propagation(flag: u64, recursive: bool) -> String {
    rootfs::mount::Propagation { flag, recursive }.to_string()
}

fn joined<T: Display>(items: &[T]) -> String {
    let items: Vec<String> = items.iter().map(T::to_string).collect();
    items.join(",")
}

impl Display for OverlayOp {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let place = Shown(&self.place);
        match self.lowers.len() {
            1 => write!(f, "put the root file system {place} over one layer")?,
            count => write!(f, "put the root file system {place} over {count} layers")?,
        }
        match self.upper {
            Some(_) => Ok(()),
            None => f.write_str(", read-only"),
        }
    }
}

impl Display for DeviceOp {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let kind = match self.mode & libc::S_IFMT {
            libc::S_IFBLK => "block device",
            libc::S_IFIFO => "fifo",
            _ => "device",
        };
        if self.bind {
            return write!(f, "bind the host's {kind} {}", Shown(&self.path));
        }
        write!(f, "make the {kind} {} (", Shown(&self.path))?;
        if self.mode & libc::S_IFMT != libc::S_IFIFO {
            write!(f, "{}:{}, ", self.major, self.minor)?;
        }
        write!(
            f,
            "mode {:04o}, owner {}:{})",
            self.mode & 0o7777,
            self.uid,
            self.gid
        )
    }
}

impl Display for RootChange {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RootChange::Pivot => "pivot_root",
            RootChange::PivotFromPeers => "pivot_root, the old root a slave",
            RootChange::Move => "move over /",
            RootChange::Chroot => "chroot",
        })
    }
}

impl Display for MemoryPolicyOp {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "set the memory policy (mode {:#x}", self.mode)?;
        if !self.nodes.is_empty() {
            write!(f, ", nodes {}", Listed(&self.nodes))?;
        }
        f.write_str(")")
    }
}

impl Display for SchedulerOp {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "set the scheduler ({}, nice {}, priority {}",
            policy_name(self.policy),
            self.nice,
            self.priority
        )?;
        let times = [
            ("runtime", self.runtime),
            ("deadline", self.deadline),
            ("period", self.period),
        ];
        for (name, nanoseconds) in times.iter().filter(|(_, nanoseconds)| *nanoseconds != 0) {
            write!(f, ", {name} {nanoseconds} ns")?;
        }
        match self.flags {
            0 => f.write_str(")"),
            flags => write!(f, ", flags {flags:#x})"),
        }
    }
}

impl Display for UserOp {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "become user {}:{}", self.uid, self.gid)?;
        match self.groups.as_deref() {
            None => f.write_str(" with the caller's groups"),
            Some([]) => Ok(()),
            Some(groups) => write!(f, " with groups {}", joined(groups)),
        }
    }
}

impl Display for CapabilityOp {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let names = |mask: u64| match mask {
            0 => "none".to_owned(),
            _ => capability_names(mask).collect::<Vec<_>>().join(","),
        };
        write!(f, "limit the capabilities to {}", names(self.permitted))?;
        let others = [
            ("effective", self.effective),
            ("inheritable", self.inheritable),
            ("ambient", self.ambient),
        ];
        for (set, mask) in others {
            let usual = if set == "effective" {
                self.permitted
            } else {
                0
            };
            if mask != usual {
                let same = mask == self.permitted;
                write!(
                    f,
                    "; {set} {}",
                    if same {
                        "the same".to_owned()
                    } else {
                        names(mask)
                    }
                )?;
            }
        }
        Ok(())
    }
}

impl Display for HookOp {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Shown(&self.path))?;
        match self.timeout_ms {
            Some(timeout_ms) => write!(f, " (at most {timeout_ms} ms)"),
            None => Ok(()),
        }
    }
}
