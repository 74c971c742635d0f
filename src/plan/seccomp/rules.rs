//! The profile's words -> numbers: actions, operators, flags and calls, judged on the way.
//!
//! What both runc and crun refuse is an error with its JSON path. What only the specification forbids is an error under
//! `strict` and a warning otherwise. Nothing here knows instructions.

use super::arch::Arch;
use super::syscalls::Syscall;
use super::{Options, compare::Condition, compare::Op};
use crate::error::{Error, Result};
use oci::runtime::{Seccomp, SyscallArg, SyscallRule};
use std::borrow::Cow;

/// `SECCOMP_RET_KILL_THREAD`, also what an architecture outside the profile gets.
pub(super) const KILL_THREAD: u32 = 0;
pub(super) const ERRNO: u32 = 0x0005_0000;
const TRACE: u32 = 0x7ff0_0000;
const NOTIFY: u32 = 0x7fc0_0000;
const LOG: u32 = 0x7ffc_0000;
const ALLOW: u32 = 0x7fff_0000;

const EPERM: u32 = 1;
/// A return value's data has 16 bits.
const MAX_DATA: u32 = 0xffff;

/// Action names and the kernel's return values.
pub(super) const ACTIONS: [(&str, u32); 9] = [
    ("SCMP_ACT_ALLOW", ALLOW),
    ("SCMP_ACT_ERRNO", ERRNO),
    ("SCMP_ACT_KILL", KILL_THREAD),
    ("SCMP_ACT_KILL_PROCESS", 0x8000_0000),
    ("SCMP_ACT_KILL_THREAD", KILL_THREAD),
    ("SCMP_ACT_LOG", LOG),
    ("SCMP_ACT_NOTIFY", NOTIFY),
    ("SCMP_ACT_TRACE", TRACE),
    ("SCMP_ACT_TRAP", 0x0003_0000),
];

/// Operator names.
pub(super) const OPERATORS: [(&str, Op); 7] = [
    ("SCMP_CMP_EQ", Op::Equal),
    ("SCMP_CMP_GE", Op::GreaterOrEqual),
    ("SCMP_CMP_GT", Op::Greater),
    ("SCMP_CMP_LE", Op::LessOrEqual),
    ("SCMP_CMP_LT", Op::Less),
    ("SCMP_CMP_MASKED_EQ", Op::MaskedEqual),
    ("SCMP_CMP_NE", Op::NotEqual),
];

const TSYNC: u32 = 1;
/// Without it the kernel would force the speculative store bypass mitigation, which is slow.
pub(super) const SPEC_ALLOW: u32 = 1 << 2;
const NEW_LISTENER: u32 = 1 << 3;
const TSYNC_ESRCH: u32 = 1 << 4;
const WAIT_KILLABLE_RECV: u32 = 1 << 5;

/// Flag names that a profile may use.
pub(super) const FLAGS: [(&str, u32); 4] = [
    ("SECCOMP_FILTER_FLAG_TSYNC", TSYNC),
    ("SECCOMP_FILTER_FLAG_LOG", 1 << 1),
    ("SECCOMP_FILTER_FLAG_SPEC_ALLOW", SPEC_ALLOW),
    ("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", WAIT_KILLABLE_RECV),
];

/// A profile in numbers.
#[derive(Debug)]
pub(super) struct Profile {
    /// The filter's return value where no rule matches.
    pub default: u32,
    /// What filters are made for: the native architecture first, others only where the kernel can run them.
    pub archs: Vec<Arch>,
    /// Calls and the rules that they are subject to, in the profile's order.
    pub calls: Vec<(Syscall, u16)>,
    /// What calls refer to.
    pub rules: Vec<Rule>,
    /// Every known name of the profile, even where a rule says nothing new: the author knew of these calls.
    pub mentioned: Vec<Syscall>,
    /// `SECCOMP_FILTER_FLAG_*`.
    pub flags: u32,
    /// What the author should know.
    pub warnings: Vec<String>,
}

/// An action and what must hold for it.
#[derive(Debug)]
pub(super) struct Rule {
    pub action: u32,
    /// All must hold, at most one an argument, sorted by argument.
    pub conditions: Vec<Condition>,
}

/// Where findings go while a profile is read.
struct Reader<'a> {
    options: &'a Options,
    profile: Profile,
    unknown: Vec<&'a str>,
}

impl Profile {
    /// Reads a profile for a kernel of the native architecture.
    pub fn read(seccomp: &Seccomp, native: Arch, options: &Options) -> Result<Profile> {
        let default = default_action(seccomp)?;
        let mut reader = Reader {
            options,
            profile: Profile {
                default,
                archs: architectures(&seccomp.architectures, native)?,
                calls: Vec::with_capacity(512),
                rules: Vec::with_capacity(seccomp.syscalls.len()),
                mentioned: Vec::with_capacity(512),
                flags: 0,
                warnings: Vec::new(),
            },
            unknown: Vec::new(),
        };
        for (at, rule) in seccomp.syscalls.iter().enumerate() {
            reader.rule(at, rule)?;
        }
        reader.listener(seccomp)?;
        reader.flags(seccomp)?;
        reader.finish()
    }

    /// Whether a rule sends calls to a listener.
    pub fn notifies(&self) -> bool {
        self.flags & NEW_LISTENER != 0
    }

    /// Whether the default action lets calls through, to the kernel or to a tracer.
    pub fn permits_by_default(&self) -> bool {
        matches!(self.default & 0xffff_0000, ALLOW | LOG | TRACE)
    }
}

impl<'a> Reader<'a> {
    /// One entry of `syscalls`.
    fn rule(&mut self, at: usize, rule: &'a SyscallRule) -> Result<()> {
        let path = |field: &str| format!("linux.seccomp.syscalls[{at}].{field}");
        let action = action(&rule.action, rule.errno_ret).map_err(|why| why.at(path))?;
        if rule.errno_ret.is_some() && !carries_data(action) {
            let problem = format!("{} can't return an errno", rule.action);
            self.forbidden(&path("errnoRet"), &problem)?;
        }
        if rule.names.is_empty() {
            self.forbidden(&path("names"), "must name at least one system call")?;
        }
        if action == NOTIFY {
            self.notify(&rule.names, &path("names"))?;
        }
        let rules = if action == self.profile.default {
            0..0
        } else {
            self.alternatives(action, conditions(at, &rule.args)?)?
        };
        for name in &rule.names {
            self.call(name, rules.clone(), &path)?;
        }
        Ok(())
    }

    /// One name of a rule.
    fn call(
        &mut self,
        name: &'a str,
        rules: std::ops::Range<u16>,
        path: &dyn Fn(&str) -> String,
    ) -> Result<()> {
        let Some(call) = Syscall::named(name) else {
            if name.is_empty() {
                return Err(Error::new(format!("{}: an empty name", path("names"))));
            }
            self.unknown.push(name);
            return Ok(());
        };
        self.profile.mentioned.push(call);
        self.profile.calls.extend(rules.map(|rule| (call, rule)));
        Ok(())
    }

    /// Adds the rules of one entry: one, or as many as conditions where two are on the same argument.
    ///
    /// COMPAT(runc): libseccomp takes one condition an argument, so runc and crun let each of them suffice then.
    fn alternatives(
        &mut self,
        action: u32,
        mut conditions: Vec<Condition>,
    ) -> Result<std::ops::Range<u16>> {
        let first = self.profile.rules.len();
        conditions.sort_by_key(|condition| condition.argument);
        let repeated = |pair: &[Condition]| pair[0].argument == pair[1].argument;
        if conditions.windows(2).any(repeated) {
            for condition in conditions {
                let conditions = vec![condition];
                self.profile.rules.push(Rule { action, conditions });
            }
        } else {
            self.profile.rules.push(Rule { action, conditions });
        }
        let index = |at| {
            u16::try_from(at).map_err(|_| Error::new("linux.seccomp.syscalls: too many rules"))
        };
        Ok(index(first)?..index(self.profile.rules.len())?)
    }

    /// A rule that asks a listener. The fd reaches the listener through `sendmsg`, after the filter is in place.
    fn notify(&mut self, names: &[Cow<'_, str>], path: &str) -> Result<()> {
        self.profile.flags |= NEW_LISTENER;
        if names.iter().any(|name| name == "sendmsg") {
            return Err(Error::new(format!(
                "{path}: SCMP_ACT_NOTIFY on sendmsg: the runtime itself sends the listener's fd with it"
            )));
        }
        Ok(())
    }

    /// `listenerPath` and `listenerMetadata` against the rules.
    fn listener(&mut self, seccomp: &Seccomp) -> Result<()> {
        if !seccomp.listener_path.is_empty() {
            return Ok(());
        }
        if self.profile.notifies() {
            return Err(Error::new(
                "linux.seccomp.listenerPath: missing, but a rule has SCMP_ACT_NOTIFY",
            ));
        }
        if !seccomp.listener_metadata.is_empty() {
            self.forbidden(
                "linux.seccomp.listenerMetadata",
                "must not be set without listenerPath",
            )?;
        }
        Ok(())
    }

    /// `flags`: absent means runc's default, empty means none.
    fn flags(&mut self, seccomp: &Seccomp) -> Result<()> {
        // COMPAT(runc)
        let Some(names) = &seccomp.flags else {
            self.profile.flags |= SPEC_ALLOW;
            return Ok(());
        };
        for (at, name) in names.iter().enumerate() {
            let path = || format!("linux.seccomp.flags[{at}]");
            self.profile.flags |=
                find(&FLAGS, name, "flag").map_err(|error| error.context(path()))?;
        }
        // KERNEL: the combinations below are EINVAL without the other flag.
        if self.profile.flags & WAIT_KILLABLE_RECV != 0 && !self.profile.notifies() {
            self.profile.flags &= !WAIT_KILLABLE_RECV;
            self.profile.warnings.push(
                "linux.seccomp.flags: SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV has no effect without SCMP_ACT_NOTIFY".into(),
            );
        }
        if self.profile.flags & TSYNC != 0 && self.profile.notifies() {
            self.profile.flags |= TSYNC_ESRCH;
        }
        Ok(())
    }

    /// A breach of the specification that other runtimes overlook.
    fn forbidden(&mut self, path: &str, problem: &str) -> Result<()> {
        let finding = format!("{path}: {problem}");
        if self.options.strict {
            return Err(Error::new(finding));
        }
        self.profile.warnings.push(finding);
        Ok(())
    }

    fn finish(mut self) -> Result<Profile> {
        let names = self.unknown.join(", ");
        match (self.unknown.is_empty(), self.options.unknown_fails) {
            (true, _) => {}
            (false, true) => {
                let problem = format!("linux.seccomp.syscalls: unknown system calls: {names}");
                return Err(Error::new(problem));
            }
            (false, false) => self.profile.warnings.push(format!(
                "linux.seccomp.syscalls: unknown system calls are ignored: {names}"
            )),
        }
        Ok(self.profile)
    }
}

/// The default action. SPEC(config-linux.md#seccomp): an errno for an action without one MUST fail.
fn default_action(seccomp: &Seccomp) -> Result<u32> {
    let path = |field: &str| match field {
        "action" => "linux.seccomp.defaultAction".to_string(),
        _ => "linux.seccomp.defaultErrnoRet".to_string(),
    };
    let default =
        action(&seccomp.default_action, seccomp.default_errno_ret).map_err(|why| why.at(path))?;
    if seccomp.default_errno_ret.is_some() && !carries_data(default) {
        return Err(Error::new(format!(
            "{}: {} can't return an errno",
            path("errnoRet"),
            seccomp.default_action
        )));
    }
    if default == NOTIFY {
        return Err(Error::new(
            "linux.seccomp.defaultAction: SCMP_ACT_NOTIFY can't be the default: the runtime's own calls would wait for the listener",
        ));
    }
    Ok(default)
}

/// Native first; those that can't run beside it are left out, since no call can ever come from them.
fn architectures(names: &[String], native: Arch) -> Result<Vec<Arch>> {
    let mut archs = vec![native];
    for (at, name) in names.iter().enumerate() {
        let arch = Arch::named(name).ok_or_else(|| {
            Error::new(format!(
                "linux.seccomp.architectures[{at}]: unknown architecture {name:?}"
            ))
        })?;
        if arch.shares_kernel_with(native) && !archs.contains(&arch) {
            archs.push(arch);
        }
    }
    Ok(archs)
}

/// Why an action is wrong, without the path of its object.
struct BadAction {
    field: &'static str,
    error: Error,
}

impl BadAction {
    fn at(self, path: impl Fn(&str) -> String) -> Error {
        self.error.context(path(self.field))
    }
}

/// An action's return value, its data included.
fn action(name: &str, errno: Option<u32>) -> Result<u32, BadAction> {
    let action = find(&ACTIONS, name, "action").map_err(|error| BadAction {
        field: "action",
        error,
    })?;
    if !carries_data(action) {
        return Ok(action);
    }
    match errno.unwrap_or(EPERM) {
        data if data <= MAX_DATA => Ok(action | data),
        data => Err(BadAction {
            field: "errnoRet",
            error: Error::new(format!("{data} is more than {MAX_DATA}")),
        }),
    }
}

fn carries_data(action: u32) -> bool {
    matches!(action & 0xffff_0000, ERRNO | TRACE)
}

/// The conditions of one entry.
fn conditions(rule: usize, args: &[SyscallArg]) -> Result<Vec<Condition>> {
    let mut conditions = Vec::with_capacity(args.len());
    for (at, arg) in args.iter().enumerate() {
        let path = |field| format!("linux.seccomp.syscalls[{rule}].args[{at}].{field}");
        let op =
            find(&OPERATORS, &arg.op, "operator").map_err(|error| error.context(path("op")))?;
        let argument = u8::try_from(arg.index)
            .ok()
            .filter(|index| *index < 6)
            .ok_or_else(|| Error::new(format!("{}: {} is not 0 to 5", path("index"), arg.index)))?;
        conditions.push(Condition::new(argument, op, arg.value, arg.value_two));
    }
    Ok(conditions)
}

/// The value of a name in one of the tables above.
fn find<T: Copy>(table: &[(&str, T)], name: &str, what: &str) -> Result<T> {
    match table.iter().find(|row| row.0 == name) {
        Some(row) => Ok(row.1),
        None => Err(Error::new(format!("unknown {what} {name:?}"))),
    }
}
