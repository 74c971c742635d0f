//! The vocabulary of the child: a [`Step`] is an intention with a bounded fallback, not a bare system call.
//!
//! Every text that a system call takes is a `CString` already, every number already the kernel's: executing a step
//! allocates nothing. A new variant needs a specification reference and a golden test.

use rootfs::mount::{FsOption, MountOp};
use std::ffi::CString;
use std::os::fd::RawFd;

/// One thing that the container's init does. SPEC references name the section of the runtime specification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Become id 0 of the user namespace, so that what is made belongs to the container. SPEC(config-linux.md#user-namespaces)
    BecomeNamespaceRoot {
        /// Who is root there: 0, or where that is not mapped the first id that is.
        uid: u32,
        /// The same of groups.
        gid: u32,
        /// Whether the caller's groups go: not where `setgroups` is denied or they are to stay.
        clear_groups: bool,
    },
    /// Bring the loopback device up: a new network namespace has it down. COMPAT(runc)
    LoopbackUp,
    /// Cut or keep the propagation of the whole inherited mount tree. SPEC(config-linux.md#rootfs-mount-propagation)
    TreePropagation {
        /// `MS_*` propagation flag, applied recursively.
        flag: u64,
    },
    /// Make the root a mount of its own and open it; every later path is resolved under it. SPEC(config.md#root)
    OpenRoot {
        /// Absolute host path.
        path: CString,
        /// Whether it becomes a mount: without a mount namespace of our own that would be the host's.
        mount: bool,
        /// The tree around it keeps sending mount events: this root's own must not be among them.
        apart: bool,
    },
    /// Stack an image's layers and the container's own directory, make that a mount and open it. SPEC(config.md#root)
    OverlayRoot(OverlayOp),
    /// Attach the image's layers that the parent stacked, and open them. SPEC(config.md#root)
    AttachRoot,
    /// Make one mount. SPEC(config.md#mounts)
    Mount(MountOp),
    /// Attach a mount that the parent prepared. SPEC(config.md#mounts)
    AttachPrepared {
        /// Index into `InitPlan::prepared_mounts`.
        prepared: usize,
        /// Destination, attributes and propagation.
        mount: MountOp,
    },
    /// Make a device node, or bind the host's where the kernel refuses. SPEC(config-linux.md#devices)
    Device(DeviceOp),
    /// Make a symlink, kept when one exists. SPEC(runtime-linux.md#dev-symbolic-links)
    Symlink {
        /// What it says.
        target: CString,
        /// Where, in the container.
        path: CString,
    },
    /// Wait while the parent runs prestart and createRuntime hooks. SPEC(config.md#prestart)
    AwaitRuntimeHooks,
    /// Run a hook in the container's namespaces before the root changes. SPEC(config.md#createcontainer-hooks)
    CreateContainerHook(HookOp),
    /// Open a terminal from the container's devpts, send its other end out. SPEC(config.md#process)
    OpenTerminal {
        /// Rows and columns; (0, 0) leaves the kernel's default.
        rows: u16,
        /// Columns.
        columns: u16,
        /// Whether /dev/console is bound to it.
        console: bool,
        /// Owner, as the container sees it.
        uid: u32,
    },
    /// Move into the container's cgroups by writing our own pid. SPEC(config-linux.md#control-groups)
    JoinCgroup,
    /// The cgroup namespace, made only now that we are inside. SPEC(config-linux.md#namespaces)
    UnshareCgroup,
    /// Make init's `/` ours: without a mount namespace of its own, joining the container doesn't change it. COMPAT(runc)
    EnterRoot,
    /// Make the root the process's `/`. SPEC(config.md#root)
    ChangeRoot {
        /// How.
        how: RootChange,
    },
    /// Propagation of the new `/`. SPEC(config-linux.md#rootfs-mount-propagation)
    RootPropagation {
        /// `MS_*` propagation flag.
        flag: u64,
        /// On all mounts below too.
        recursive: bool,
    },
    /// Set a kernel parameter, through a procfs of our own. SPEC(config-linux.md#sysctl)
    Sysctl {
        /// Path below /proc/sys.
        path: CString,
        /// Text to write.
        value: CString,
    },
    /// Hide a path: a file behind our null device, a directory behind an empty read-only one; absent is fine.
    /// SPEC(config-linux.md#masked-paths)
    MaskPath(CString),
    /// Make a path read-only; absent is fine. SPEC(config-linux.md#readonly-paths)
    ReadonlyPath(CString),
    /// Make `/` read-only, not the mounts below it. SPEC(config.md#root)
    ReadonlyRoot,
    /// SPEC(config.md#hostname)
    Hostname(CString),
    /// SPEC(config.md#domainname)
    Domainname(CString),
    /// SPEC(config-linux.md#personality)
    Personality(u64),
    /// SPEC(config-linux.md#memory-policy)
    MemoryPolicy(MemoryPolicyOp),
    /// SPEC(config.md#linux-process), `scheduler`
    Scheduler(SchedulerOp),
    /// SPEC(config.md#linux-process), `ioPriority`: value of `ioprio_set`
    IoPriority(i32),
    /// Undo an affinity inherited from the caller, or set exec's. SPEC(config.md#linux-process), `execCPUAffinity`
    CpuAffinity(CpuSet),
    /// A session keyring of the container's own. COMPAT(runc)
    NewKeyring {
        /// Its name.
        name: CString,
        /// SELinux label for it, or empty.
        label: CString,
    },
    /// SELinux label or AppArmor profile for the coming `execve`, by the private procfs. SPEC(config.md#linux-process)
    ExecLabel {
        /// Candidates below /proc/thread-self, tried in order while absent.
        attributes: Vec<CString>,
        /// Text to write.
        value: CString,
    },
    /// SPEC(config.md#linux-process), `noNewPrivileges`
    NoNewPrivileges,
    /// SPEC(config.md#posix-process-user), `umask`
    Umask(u32),
    /// Drop everything outside the bounding set, then become the user with capabilities kept.
    /// SPEC(config.md#posix-process-user)
    BecomeUser(UserOp),
    /// The five sets, the last privilege that is given up. SPEC(config.md#linux-process), `capabilities`
    Capabilities(CapabilityOp),
    /// Enter the working directory; it must lie inside the root. SPEC(config.md#process), `cwd`
    WorkingDirectory {
        /// Where, inside the root.
        path: CString,
        /// Whether it is made when missing.
        make: bool,
    },
    /// Find the program now, so that `create` can say it is missing. SPEC(config.md#process), `args`
    FindProgram,
    /// Mark every fd close-on-exec but 0 to 2 and these. SPEC(runtime-linux.md#file-descriptors)
    CloseFds {
        /// Fds that the container inherits.
        keep: Vec<i32>,
    },
    /// Load the filter, send a listener's fd out. SPEC(config-linux.md#seccomp)
    Seccomp,
    /// Everything but the process itself is done: report, then wait for `start`. SPEC(runtime.md#lifecycle)
    AwaitStart,
    /// Run a hook inside the container before the process. SPEC(config.md#startcontainer-hooks)
    StartContainerHook(HookOp),
    /// Become the user's program. SPEC(config.md#process)
    Exec(ExecOp),
}

/// An overlay that is the root file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverlayOp {
    /// Absolute host path of the directory that it is mounted on, in the container's mount namespace only.
    pub place: CString,
    /// What is only read, the topmost first.
    pub lowers: Vec<LowerOp>,
    /// Where changes go, and overlayfs' own directory beside it; none for a read-only view.
    pub upper: Option<(CString, CString)>,
    /// The file system's other options.
    pub options: Vec<FsOption>,
}

impl OverlayOp {
    /// Those of its layers that are mounted already.
    pub fn mounted(&self) -> impl Iterator<Item = RawFd> {
        self.lowers.iter().filter_map(|lower| match lower {
            LowerOp::Mounted(fd) => Some(*fd),
            LowerOp::Directory(_) => None,
        })
    }
}

/// One layer of an overlay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LowerOp {
    /// A directory, by its absolute path on the host.
    Directory(CString),
    /// The root of an image that whoever makes the container has mounted, attached nowhere: open in the child as well.
    Mounted(RawFd),
}

/// A device node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceOp {
    /// Path in the container; also the host's path for the bind that stands in.
    pub path: CString,
    /// `S_IFCHR`, `S_IFBLK` or `S_IFIFO`, with permission bits.
    pub mode: u32,
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// Owner in the container.
    pub uid: u32,
    /// Group in the container.
    pub gid: u32,
    /// Whether an existing node of the same type and number is left as it is (the default devices).
    pub keep_existing: bool,
    /// Bind the host's device at once: a user namespace can't make nodes.
    pub bind: bool,
    /// Index into `InitPlan::prepared_mounts`, where the parent opens the device, or makes one that the host lacks.
    pub prepared: Option<usize>,
}

/// How the root is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RootChange {
    /// `pivot_root(2)` and a lazy unmount of the old root.
    Pivot,
    /// The same where the host's mounts are peers of ours: they must not hear of the unmount.
    PivotFromPeers,
    /// `--no-pivot`: the root is moved over `/`.
    Move,
    /// Without a mount namespace of its own.
    Chroot,
}

/// Parameters of `set_mempolicy(2)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryPolicyOp {
    /// `MPOL_*`, with `MPOL_F_*` flags.
    pub mode: i32,
    /// Bit mask of nodes, in words; empty for none.
    pub nodes: Vec<u64>,
}

/// Parameters of `sched_setattr(2)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchedulerOp {
    /// `SCHED_*`.
    pub policy: u32,
    /// `SCHED_FLAG_*`.
    pub flags: u64,
    /// Nice value.
    pub nice: i32,
    /// Static priority.
    pub priority: u32,
    /// Nanoseconds.
    pub runtime: u64,
    /// Nanoseconds.
    pub deadline: u64,
    /// Nanoseconds.
    pub period: u64,
}

/// A set of CPUs as words of a bit mask, lowest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CpuSet(pub Vec<u64>);

impl CpuSet {
    /// Every CPU that a kernel can have; it takes those that the cpuset allows. KERNEL: `NR_CPUS` is at most 8192.
    pub fn all() -> CpuSet {
        CpuSet(vec![u64::MAX; 8192 / 64])
    }
}

/// Who the process is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserOp {
    /// User id in the container.
    pub uid: u32,
    /// Group id in the container.
    pub gid: u32,
    /// Supplementary groups; `None` keeps the caller's.
    pub groups: Option<Vec<u32>>,
    /// Capabilities that stay in the bounding set, as a bit mask; the others up to `last_capability` are dropped.
    pub bounding: u64,
    /// Capabilities in effect from here on, as a bit mask.
    pub effective: u64,
    /// The highest capability that the kernel knows.
    pub last_capability: u8,
}

/// The sets besides the bounding one, as bit masks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CapabilityOp {
    /// Effective.
    pub effective: u64,
    /// Permitted.
    pub permitted: u64,
    /// Inheritable.
    pub inheritable: u64,
    /// Ambient.
    pub ambient: u64,
}

/// A hook, ready to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookOp {
    /// Program.
    pub path: CString,
    /// `argv`.
    pub args: Vec<CString>,
    /// `envp`; `None` is the caller's for a hook on the host's side, and empty for one in the container.
    pub env: Option<Vec<CString>>,
    /// Milliseconds until it is killed; `None` waits for ever.
    pub timeout_ms: Option<u64>,
}

/// The user's program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecOp {
    /// `argv`; never empty.
    pub args: Vec<CString>,
    /// `envp`, without duplicates, the last of a name winning.
    pub env: Vec<CString>,
    /// Paths to try for `argv[0]`, from the container's PATH; one when it has a slash.
    pub candidates: Vec<CString>,
    /// Whether HOME is looked up in the container's /etc/passwd because the environment has none.
    pub home_for: Option<u32>,
}
