//! `restore`: known so that engines can ask for its options; it does not revive processes yet.

use super::ExitCode;
use super::argument::{container_id, flag, option};
use super::checkpoint::image_arguments;
use crate::container::Globals;
use crate::error::{Error, Result};
use clap::{ArgMatches, Command};

pub fn command() -> Command {
    Command::new("restore")
        .about("restore a container from a checkpoint (not supported yet)")
        .args(image_arguments())
        .arg(
            option(
                "bundle",
                "DIR",
                "the bundle (default: the present directory)",
            )
            .short('b'),
        )
        .arg(option(
            "console-socket",
            "PATH",
            "send the terminal's master there",
        ))
        .arg(option("pid-file", "FILE", "write init's pid there"))
        .arg(option("pidfd-socket", "PATH", "send a pidfd of init there"))
        .arg(option("preserve-fds", "N", "pass N more file descriptors"))
        .arg(flag("detach", "don't wait for the container's end").short('d'))
        .arg(flag(
            "keep",
            "keep the container when its process has ended",
        ))
        .arg(flag("no-subreaper", "don't adopt orphans of the container"))
        .arg(flag("no-pivot", "don't use pivot_root"))
        .arg(flag("no-new-keyring", "keep the caller's session keyring"))
        .arg(flag("tcp-close", "close TCP connections"))
        .arg(option(
            "lsm-profile",
            "TYPE:NAME",
            "LSM profile of the restored process",
        ))
        .arg(option(
            "lsm-mount-context",
            "CONTEXT",
            "LSM mount context of the restored container",
        ))
        .arg(container_id())
}

pub fn run(_: &Globals, _: &ArgMatches) -> Result<ExitCode> {
    Err(Error::new("restore is not supported yet"))
}
