//! SPEC(config.md#process): who runs in the container, and with which rights and limits.

object! {
    /// The container process, and the processes that `exec` adds.
    pub struct Process {
        /// Whether a pseudo-terminal is made for the process.
        pub terminal: bool,
        /// The terminal's size in characters; ignored without a terminal.
        pub console_size: Option<ConsoleSize>,
        /// Working directory, absolute in the container.
        pub cwd: String,
        /// Environment as `NAME=VALUE`.
        pub env: Vec<String>,
        /// Program and arguments.
        pub args: Vec<String>,
        /// Resource limits by `RLIMIT_` name.
        pub rlimits: Vec<Rlimit>,
        /// AppArmor profile.
        pub apparmor_profile: String,
        /// The five capability sets.
        pub capabilities: Option<Capabilities>,
        /// Sets `no_new_privs`.
        pub no_new_privileges: bool,
        /// `oom_score_adj`; absent means untouched.
        pub oom_score_adj: Option<i32>,
        /// Scheduling policy and its parameters.
        pub scheduler: Option<Scheduler>,
        /// SELinux process label.
        pub selinux_label: String,
        /// I/O scheduling class and priority.
        #[serde(rename = "ioPriority")]
        pub io_priority: Option<IoPriority>,
        /// CPUs on which `exec` processes start and go on.
        #[serde(rename = "execCPUAffinity")]
        pub exec_cpu_affinity: Option<ExecCpuAffinity>,
        /// Ids of the process.
        pub user: User,
    }
}

object! {
    /// A terminal's size in characters.
    pub struct ConsoleSize {
        /// Rows.
        pub height: u64,
        /// Columns.
        pub width: u64,
    }
}

object! {
    /// SPEC(config.md#posix-process-user).
    pub struct User {
        /// User id in the container.
        pub uid: u32,
        /// Group id in the container.
        pub gid: u32,
        /// File mode creation mask; absent means untouched.
        pub umask: Option<u32>,
        /// Supplementary groups.
        pub additional_gids: Vec<u32>,
        /// Name of the user; Windows only, kept for round trips.
        pub username: String,
    }
}

object! {
    /// SPEC(config.md#posix-process), `rlimits`.
    pub struct Rlimit {
        /// Name, such as `RLIMIT_NOFILE`.
        #[serde(rename = "type")]
        pub kind: String,
        /// Ceiling of the soft limit.
        pub hard: u64,
        /// The value that the kernel enforces.
        pub soft: u64,
    }
}

object! {
    /// The five capability sets, by name. SPEC(config.md#linux-process).
    pub struct Capabilities {
        /// What the process and its children can ever gain.
        pub bounding: Vec<String>,
        /// What the kernel checks.
        pub effective: Vec<String>,
        /// What is kept across `execve` with file capabilities.
        pub inheritable: Vec<String>,
        /// What can be made effective.
        pub permitted: Vec<String>,
        /// What is kept across `execve` without file capabilities.
        pub ambient: Vec<String>,
    }
}

object! {
    /// SPEC(config.md#linux-process), `scheduler`.
    pub struct Scheduler {
        /// `SCHED_OTHER`, `SCHED_FIFO`, …
        pub policy: String,
        /// Nice value for `SCHED_OTHER` and `SCHED_BATCH`.
        pub nice: i32,
        /// Static priority for `SCHED_FIFO` and `SCHED_RR`.
        pub priority: i32,
        /// `SCHED_FLAG_RESET_ON_FORK`, …
        pub flags: Vec<String>,
        /// `SCHED_DEADLINE`: nanoseconds of run time a period.
        pub runtime: u64,
        /// `SCHED_DEADLINE`: nanoseconds.
        pub deadline: u64,
        /// `SCHED_DEADLINE`: nanoseconds.
        pub period: u64,
    }
}

object! {
    /// SPEC(config.md#linux-process), `ioPriority`.
    pub struct IoPriority {
        /// `IOPRIO_CLASS_RT`, `IOPRIO_CLASS_BE` or `IOPRIO_CLASS_IDLE`.
        pub class: String,
        /// 0 (highest) to 7.
        pub priority: i32,
    }
}

object! {
    /// SPEC(config.md#linux-process), `execCPUAffinity`: CPU lists such as `0-3,7`.
    pub struct ExecCpuAffinity {
        /// While the runtime moves the process into the cgroup.
        pub initial: String,
        /// After that.
        #[serde(rename = "final")]
        pub last: String,
    }
}
