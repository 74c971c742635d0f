//! What the command line asks of a verb, as plain structs. Filled by `cli`, read by the verbs; no parsing here.

use super::Id;
use super::image::ImageOptions;
use crate::plan::CgroupManager;
use std::path::PathBuf;

/// The options before the subcommand, which hold for all of them.
#[derive(Debug, Clone)]
pub struct Globals {
    /// Directory that holds a directory for each container.
    pub root: PathBuf,
    /// Whether `--root` named it: then it must exist for commands that only look.
    pub root_named: bool,
    /// Who makes cgroups.
    pub cgroup_manager: CgroupManager,
    /// `--debug`.
    pub debug: bool,
    /// `--strict`: what the specification forbids is refused even where runc and crun accept it.
    pub strict: bool,
    /// `--rootless`.
    pub rootless: Rootless,
    /// Where diagnostics go besides stderr, and how.
    pub log: LogOptions,
}

/// Whether cgroup failures for lack of permission are borne.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Rootless {
    /// As the caller's ids say.
    #[default]
    Auto,
    /// Yes.
    True,
    /// No.
    False,
}

/// `--log`, `--log-format`, `--log-level`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// Where to.
    pub target: LogTarget,
    /// One JSON object a line instead of logrus's text.
    pub json: bool,
    /// The least important level that is written.
    pub level: LogLevel,
}

/// Where log lines go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum LogTarget {
    /// No `--log`: stderr.
    #[default]
    Stderr,
    /// Appended to a file.
    File(PathBuf),
    /// The systemd journal, with this identifier.
    Journald(String),
    /// syslog, with this identifier.
    Syslog(String),
}

/// A log line's weight.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// The command failed.
    Error,
    /// The author should know.
    #[default]
    Warning,
    /// For engineers.
    Debug,
}

/// `create`, and `run` with what is its own.
#[derive(Debug, Clone)]
pub struct CreateOptions {
    /// The new container's id.
    pub id: Id,
    /// `--bundle`; as given, relative to the caller's directory.
    pub bundle: PathBuf,
    /// `--config`: the configuration is here instead of in the bundle.
    pub config_file: Option<PathBuf>,
    /// `--console-socket`: gets the terminal's master.
    pub console_socket: Option<PathBuf>,
    /// `--pid-file`.
    pub pid_file: Option<PathBuf>,
    /// `--pidfd-socket`: gets a pidfd of init.
    pub pidfd_socket: Option<PathBuf>,
    /// `--no-pivot`.
    pub no_pivot: bool,
    /// `--no-new-keyring`.
    pub no_new_keyring: bool,
    /// `--preserve-fds N`: fds from 3 (after those of `LISTEN_FDS`) that the container inherits.
    pub preserve_fds: u32,
    /// `--no-subreaper`: orphans of the container don't become ours.
    pub no_subreaper: bool,
    /// `run --detach`.
    pub detach: bool,
    /// `run --keep`: the container is not deleted when its process ends.
    pub keep: bool,
    /// `--trace-start`: where the times of the start are written.
    pub trace_start: Option<PathBuf>,
    /// `--image` and `--rootfs`: there is no bundle.
    pub image: Option<ImageOptions>,
}

impl CreateOptions {
    /// Nothing but an id and a bundle.
    pub fn new(id: Id, bundle: impl Into<PathBuf>) -> Self {
        CreateOptions {
            id,
            bundle: bundle.into(),
            config_file: None,
            console_socket: None,
            pid_file: None,
            pidfd_socket: None,
            no_pivot: false,
            no_new_keyring: false,
            preserve_fds: 0,
            no_subreaper: false,
            detach: false,
            keep: false,
            trace_start: None,
            image: None,
        }
    }
}

/// `exec`.
#[derive(Debug, Clone, Default)]
pub struct ExecOptions {
    /// `--process FILE`: the process in JSON; the flags below change nothing in it but `tty`, `cgroup` and the sockets.
    pub process_file: Option<PathBuf>,
    /// The command line; empty with `process_file`.
    pub args: Vec<String>,
    /// `--cwd`.
    pub cwd: Option<String>,
    /// `--env NAME=VALUE`, each.
    pub env: Vec<String>,
    /// `--tty`.
    pub tty: bool,
    /// `--user UID[:GID]`.
    pub user: Option<ExecUser>,
    /// `--additional-gids`.
    pub additional_gids: Vec<u32>,
    /// `--cap`, each.
    pub capabilities: Vec<String>,
    /// `--no-new-privs`, and whether it was said: absent keeps the container's.
    pub no_new_privileges: Option<bool>,
    /// `--process-label`.
    pub selinux_label: Option<String>,
    /// `--apparmor`.
    pub apparmor_profile: Option<String>,
    /// `--cgroup [CONTROLLERS:]PATH`, each, below the container's own.
    pub cgroups: Vec<String>,
    /// `--ignore-paused`: wait in a frozen cgroup instead of refusing.
    pub ignore_paused: bool,
    /// `--console-socket`.
    pub console_socket: Option<PathBuf>,
    /// `--pid-file`.
    pub pid_file: Option<PathBuf>,
    /// `--pidfd-socket`.
    pub pidfd_socket: Option<PathBuf>,
    /// `--preserve-fds`.
    pub preserve_fds: u32,
    /// `--detach`.
    pub detach: bool,
    /// `--no-subreaper`.
    pub no_subreaper: bool,
    /// `--trace-start`.
    pub trace_start: Option<PathBuf>,
}

/// `--user UID[:GID]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExecUser {
    /// User id in the container.
    pub uid: u32,
    /// Group id in the container; absent keeps the container's.
    pub gid: Option<u32>,
}

/// `update`.
#[derive(Debug, Clone, Default)]
pub struct UpdateOptions {
    /// `--resources` with the other flags laid over it; what is absent stays as it is.
    pub resources: oci::runtime::Resources,
    /// `--l3-cache-schema`.
    pub l3_cache_schema: Option<String>,
    /// `--mem-bw-schema`.
    pub mem_bw_schema: Option<String>,
}
