//! What went wrong inside a step, in two numbers: the child formats nothing, the parent finds the words.

use nix::errno::Errno;

macro_rules! operations {
    ($($(#[$meta:meta])* $name:ident = $text:literal,)*) => {
        /// The part of a step that failed. The text completes the sentence that the step begins.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Operation {
            $($(#[$meta])* $name,)*
        }

        impl Operation {
            const ALL: &[Operation] = &[$(Operation::$name,)*];

            /// The operation in words; empty when the step's own sentence says it all.
            pub fn text(self) -> &'static str {
                match self {
                    $(Operation::$name => $text,)*
                }
            }
        }
    };
}

operations! {
    /// The one system call that the step is about.
    Whole = "",
    /// Finding a path inside the root.
    Resolve = "open the path in the root file system",
    /// Making a missing destination.
    MakeDestination = "make the destination in the root file system",
    /// open_tree(2) of the source.
    OpenSource = "open the source",
    /// fsopen(2) and a file system's options.
    OpenFileSystem = "open the file system type",
    /// `lowerdir+` of an overlay.
    AddLayer = "add a layer",
    /// fsconfig(2).
    SetOption = "set a file system option",
    /// `FSCONFIG_CMD_CREATE`.
    CreateFileSystem = "create the file system instance",
    /// fsmount(2).
    MakeMount = "make the mount",
    /// mount_setattr(2).
    SetAttributes = "set the mount's attributes",
    /// mount_setattr(2) with `MOUNT_ATTR_IDMAP`.
    MapIds = "map the mount's ids",
    /// mount_setattr(2) with a propagation.
    SetPropagation = "set the mount's propagation",
    /// move_mount(2).
    Attach = "attach the mount",
    /// Filling a tmpfs with what it covers.
    CopyUp = "copy the covered directory into the mount",
    /// mknodat(2).
    MakeNode = "make the node",
    /// Something else is there already.
    NotThatDevice = "something else exists at the path",
    /// fchownat(2).
    ChangeOwner = "change the owner",
    /// setgroups(2).
    SetGroups = "set the supplementary groups",
    /// setresgid(2).
    SetGroup = "set the group id",
    /// setresuid(2).
    SetUser = "set the user id",
    /// `PR_CAPBSET_DROP`.
    DropBounding = "drop a capability from the bounding set",
    /// capset(2).
    SetCapabilities = "set the capabilities",
    /// `PR_CAP_AMBIENT`.
    SetAmbient = "raise an ambient capability",
    /// The private procfs.
    OpenProcfs = "mount a private procfs",
    /// Something else over /proc.
    NotProcfs = "only a procfs may be bound over /proc",
    /// write(2).
    Write = "write the value",
    /// /dev/ptmx and TIOCGPTPEER.
    OpenTerminal = "open a terminal",
    /// Sending the terminal's master.
    SendTerminal = "send the terminal to the console socket",
    /// Sending the seccomp listener.
    SendListener = "send the seccomp listener",
    /// /dev/console.
    MountConsole = "bind the terminal on /dev/console",
    /// chdir(2).
    Enter = "enter the directory",
    /// getcwd(2) said that we are outside.
    OutsideRoot = "the directory lies outside the root file system",
    /// The parent went away.
    Receive = "receive from the runtime",
    /// The parent went away.
    Send = "report to the runtime",
    /// A hook's fork or memfd.
    StartHook = "start the hook",
    /// A hook ended with a code; the errno field holds it.
    HookFailed = "the hook failed with exit code",
    /// A hook ended by a signal; the errno field holds it.
    HookKilled = "the hook was ended by signal",
    /// A hook ran too long.
    HookTimeout = "the hook ran into its timeout",
    /// cgroup files.
    JoinCgroup = "write to the cgroup",
    /// setns(2).
    JoinNamespace = "join the namespace",
    /// unshare(2).
    Unshare = "unshare the namespace",
    /// No file of the name in PATH.
    NotInPath = "not found in PATH",
}

impl Operation {
    /// The operation that a frame's number stands for.
    pub fn from_number(number: u8) -> Option<Operation> {
        Operation::ALL.get(usize::from(number)).copied()
    }
}

/// Why a step failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// Which part of it.
    pub operation: Operation,
    /// The kernel's answer, as a number.
    pub code: i32,
}

/// The result of a step's parts.
pub type Result<T = ()> = std::result::Result<T, Failure>;

/// Attaches the operation to an errno.
pub trait During<T> {
    /// Names the part of the step that was under way.
    fn during(self, operation: Operation) -> Result<T>;
}

impl<T> During<T> for std::result::Result<T, Errno> {
    fn during(self, operation: Operation) -> Result<T> {
        self.map_err(|errno| Failure {
            operation,
            code: errno as i32,
        })
    }
}

impl Failure {
    /// A failure by errno.
    pub fn new(operation: Operation, errno: Errno) -> Failure {
        Failure {
            operation,
            code: errno as i32,
        }
    }

    /// The kernel's answer.
    pub fn errno(self) -> Errno {
        Errno::from_raw(self.code)
    }
}
