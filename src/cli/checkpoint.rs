//! `checkpoint`: known so that engines can ask for its options; it does not freeze processes to disk yet.

use super::ExitCode;
use super::argument::{container_id, flag, option, options};
use crate::container::Globals;
use crate::error::{Error, Result};
use clap::{Arg, ArgMatches, Command};

pub fn command() -> Command {
    Command::new("checkpoint")
        .about("checkpoint a running container (not supported yet)")
        .args(image_arguments())
        .arg(flag("leave-running", "leave the process running"))
        .arg(option(
            "parent-path",
            "DIR",
            "path of an earlier pre-dump, below the image path",
        ))
        .arg(flag(
            "pre-dump",
            "dump the memory only, and leave the process running",
        ))
        .arg(option(
            "status-fd",
            "FD",
            "CRIU writes a NUL here when it is ready",
        ))
        .arg(option(
            "page-server",
            "ADDRESS:PORT",
            "send the pages there",
        ))
        .arg(container_id())
}

/// What `restore` has in common with `checkpoint`.
pub fn image_arguments() -> Vec<Arg> {
    vec![
        option("image-path", "DIR", "directory of the image files"),
        option("work-path", "DIR", "directory of logs and statistics"),
        flag("tcp-established", "allow open TCP connections"),
        flag(
            "tcp-skip-in-flight",
            "skip TCP connections that are being made",
        ),
        flag("link-remap", "allow deleted files that are open"),
        flag("ext-unix-sk", "allow external unix sockets"),
        flag("shell-job", "allow shell jobs"),
        flag("lazy-pages", "fetch memory on demand"),
        flag("file-locks", "handle file locks"),
        option(
            "manage-cgroups-mode",
            "MODE",
            "soft, full, strict or ignore",
        ),
        option("network-lock", "METHOD", "iptables, nftables or skip"),
        options(
            "empty-ns",
            "TYPE",
            "create the namespace but leave it empty",
        ),
        flag("auto-dedup", "remove duplicate memory images"),
    ]
}

pub fn run(_: &Globals, _: &ArgMatches) -> Result<ExitCode> {
    Err(Error::new("checkpoint is not supported yet"))
}
