//! SPEC(config-linux.md#seccomp): the system call filter as written; `plan::seccomp` compiles it.

use std::borrow::Cow;

object! {
    /// The `seccomp` object.
    pub struct Seccomp {
        /// What happens to calls that no rule matches.
        pub default_action: String,
        /// errno (or trace value) of the default action.
        pub default_errno_ret: Option<u32>,
        /// `SCMP_ARCH_…` names besides the native one.
        pub architectures: Vec<String>,
        /// `SECCOMP_FILTER_FLAG_…` names; absent and empty mean different things to runc.
        pub flags: Option<Vec<String>>,
        /// Unix socket that gets the notify fd.
        pub listener_path: String,
        /// Opaque data for that listener.
        pub listener_metadata: String,
        /// Rules in order.
        pub syscalls: Vec<SyscallRule>,
    }
}

object! {
    /// One rule.
    pub struct SyscallRule {
        /// System call names, at least one.
        pub names: Vec<Cow<'static, str>>,
        /// `SCMP_ACT_…`.
        pub action: String,
        /// errno (or trace value) of the action.
        pub errno_ret: Option<u32>,
        /// All must hold.
        pub args: Vec<SyscallArg>,
    }
}

object! {
    /// A condition on one argument.
    pub struct SyscallArg {
        /// 0 to 5.
        pub index: u32,
        /// Compared with, or the mask of `SCMP_CMP_MASKED_EQ`.
        pub value: u64,
        /// The value of `SCMP_CMP_MASKED_EQ`.
        pub value_two: u64,
        /// `SCMP_CMP_…`.
        pub op: String,
    }
}
