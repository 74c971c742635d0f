//! `exec`: runs another process in a container. Its command line ends where the process's begins.

use super::argument::{
    self, CONSOLE_SOCKET, NO_SUBREAPER, TRACE_START, container_id, is_set, number, path, text,
    texts,
};
use super::offer::{Offer, with_all, with_meant};
use super::{ExitCode, exit_code};
use crate::container::options::ExecUser;
use crate::container::{ExecOptions, Globals};
use crate::error::{Error, Result};
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::ffi::OsString;

const OFFERED: &[Offer] = &[
    Offer::option(
        "process",
        "FILE",
        "the process in JSON, instead of a command",
    )
    .short('p'),
    CONSOLE_SOCKET,
    Offer::option(
        "pidfd-socket",
        "PATH",
        "send a pidfd of the process to this socket",
    ),
    Offer::option("pid-file", "FILE", "write the process's pid there"),
    Offer::option("cwd", "DIR", "working directory in the container"),
    Offer::options("env", "NAME=VALUE", "set an environment variable").short('e'),
    Offer::flag("tty", "give the process a terminal").short('t'),
    Offer::option("user", "UID[:GID]", "ids of the process").short('u'),
    Offer::options("additional-gids", "GID", "supplementary group").short('g'),
    Offer::flag("detach", "don't wait for the process's end").short('d'),
    Offer::option("process-label", "LABEL", "SELinux label of the process"),
    Offer::option("apparmor", "PROFILE", "AppArmor profile of the process"),
    Offer::flag("no-new-privs", "set no_new_privs"),
    Offer::options("cap", "CAPABILITY", "give the process a capability").short('c'),
    Offer::option(
        "preserve-fds",
        "N",
        "pass N file descriptors from 3 on to the process",
    ),
    Offer::options(
        "cgroup",
        "[CONTROLLERS:]PATH",
        "cgroup below the container's",
    ),
    Offer::flag("ignore-paused", "go on even if the container is paused"),
    NO_SUBREAPER,
    TRACE_START,
];

pub fn command() -> Command {
    with_all(bare(), &[OFFERED]).args(positionals())
}

/// [`command`] with the options that these words can mean.
pub fn brief(words: &[OsString]) -> Option<Command> {
    Some(with_meant(bare(), &[OFFERED], words)?.args(positionals()))
}

fn bare() -> Command {
    Command::new("exec").about("run another process in a container")
}

fn positionals() -> [Arg; 2] {
    let command = Arg::new("command")
        .value_name("COMMAND")
        .help("program and arguments")
        .num_args(0..)
        .last(true)
        .action(ArgAction::Append);
    [container_id(), command]
}

pub fn run(globals: &Globals, matches: &ArgMatches) -> Result<ExitCode> {
    let id = argument::id(matches)?;
    let options = exec_options(matches)?;
    Ok(exit_code(crate::container::exec::exec(
        globals, &id, &options,
    )?))
}

fn exec_options(matches: &ArgMatches) -> Result<ExecOptions> {
    let args: Vec<String> = matches
        .get_many::<String>("command")
        .unwrap_or_default()
        .cloned()
        .collect();
    let process_file = path(matches, "process");
    if args.is_empty() && process_file.is_none() {
        return Err(Error::new(
            "exec: neither a command nor --process was given",
        ));
    }
    Ok(ExecOptions {
        process_file,
        args,
        cwd: text(matches, "cwd")?,
        env: texts(matches, "env")?,
        tty: is_set(matches, "tty"),
        user: text(matches, "user")?.map(|text| user(&text)).transpose()?,
        additional_gids: additional_gids(matches)?,
        capabilities: texts(matches, "cap")?,
        no_new_privileges: is_set(matches, "no-new-privs").then_some(true),
        selinux_label: text(matches, "process-label")?,
        apparmor_profile: text(matches, "apparmor")?,
        cgroups: texts(matches, "cgroup")?,
        ignore_paused: is_set(matches, "ignore-paused"),
        console_socket: path(matches, "console-socket"),
        pid_file: path(matches, "pid-file"),
        pidfd_socket: path(matches, "pidfd-socket"),
        preserve_fds: number(matches, "preserve-fds")?.unwrap_or(0),
        detach: is_set(matches, "detach"),
        no_subreaper: is_set(matches, "no-subreaper"),
        trace_start: path(matches, crate::container::trace::OPTION),
    })
}

fn user(text: &str) -> Result<ExecUser> {
    let (uid, gid) = match text.split_once(':') {
        Some((uid, gid)) => (uid, Some(gid)),
        None => (text, None),
    };
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| digits)
    };
    let gid = gid.map(|gid| number(gid).ok_or(())).transpose();
    let parsed = number(uid).zip(gid.ok());
    parsed
        .map(|(uid, gid)| ExecUser { uid, gid })
        .ok_or_else(|| Error::new(format!("--user: {text:?} is not UID[:GID] in numbers")))
}

fn additional_gids(matches: &ArgMatches) -> Result<Vec<u32>> {
    texts(matches, "additional-gids")?
        .iter()
        .flat_map(|text| text.split(','))
        .map(|gid| {
            gid.trim()
                .parse()
                .map_err(|_| Error::new(format!("--additional-gids: {gid:?} is not a number")))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_numbers() {
        assert_eq!(user("7").unwrap(), ExecUser { uid: 7, gid: None });
        assert_eq!(
            user("7:8").unwrap(),
            ExecUser {
                uid: 7,
                gid: Some(8)
            }
        );
        for text in ["", "root", "7:", ":8", "-1", "7:8:9"] {
            assert!(user(text).is_err(), "{text}");
        }
    }
}
