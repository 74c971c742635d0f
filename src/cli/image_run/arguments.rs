//! The options of `run --image` and `create --image`: tables.

use crate::cli::create::START;
use crate::cli::image::pull::{REGISTRY, TRANSFER};
use crate::cli::image::unpacking::UNPACK;
use crate::cli::offer::{Offer, with_all, with_meant};
use clap::{Arg, ArgAction, Command};
use std::ffi::OsString;

/// Those of `run`.
pub const RUN_TABLES: &[&[Offer]] = &[
    RUN, WHAT, PROCESS, FILES, LIMITS, SECURITY, START, REGISTRY, TRANSFER, UNPACK,
];
/// Those of `create`.
pub const CREATE_TABLES: &[&[Offer]] = RUN_TABLES.split_at(1).1;

const RUN: &[Offer] = &[
    Offer::flag("detach", "don't wait for the container's end").short('d'),
    Offer::flag("keep", "keep the container when its process has ended"),
    Offer::flag(
        "rm",
        "delete the container when its process has ended, with --detach too",
    ),
];

const WHAT: &[Offer] = &[
    Offer::option(
        "image",
        "REF",
        "the image: a name, docker://…, oci:DIR, oci-archive:FILE, docker-archive:FILE",
    ),
    Offer::option(
        "rootfs",
        "DIR:O",
        "in place of an image, a directory that is only read",
    ),
    Offer::option("name", "ID", "the container's id"),
    Offer::option("store", "DIR", "directory of the image store"),
    Offer::option(
        "pull",
        "WHEN",
        "ask the registry when the image is missing, always or never",
    ),
];

const PROCESS: &[Offer] = &[
    Offer::options("env", "NAME[=VALUE]", "a variable of the environment").short('e'),
    Offer::options("env-file", "FILE", "variables, one a line"),
    Offer::option("workdir", "DIR", "the working directory").short('w'),
    Offer::option("user", "USER[:GROUP]", "names of the image, or numbers").short('u'),
    Offer::options("group-add", "GROUP", "one more group"),
    Offer::option(
        "entrypoint",
        "PROGRAM",
        "instead of the image's; \"\" for none",
    ),
    Offer::flag("interactive", "pass standard input on").short('i'),
    Offer::flag("tty", "give it a terminal").short('t'),
    Offer::flag(
        "init",
        "put a process in front that reaps and forwards signals",
    ),
    Offer::option("hostname", "NAME", "instead of the container's id"),
    Offer::options("annotation", "NAME=VALUE", "for the configuration"),
];

const FILES: &[Offer] = &[
    Offer::options(
        "volume",
        "SOURCE:DESTINATION[:OPTIONS]",
        "bind a directory of the host",
    )
    .short('v'),
    Offer::options("mount", "type=…,source=…,destination=…", "bind or tmpfs"),
    Offer::options(
        "tmpfs",
        "DESTINATION[:OPTIONS]",
        "an empty file system in memory",
    ),
    Offer::flag("read-only", "the root file system is read-only"),
    Offer::options(
        "device",
        "SOURCE[:DESTINATION][:rwm]",
        "a device of the host",
    ),
    Offer::option("shm-size", "BYTES", "size of /dev/shm (default: 64m)"),
];

const LIMITS: &[Offer] = &[
    Offer::option("memory", "BYTES", "such as 512m").short('m'),
    Offer::option("memory-swap", "BYTES", "memory and swap together"),
    Offer::option("cpus", "N", "processors, such as 1.5"),
    Offer::option("cpu-shares", "N", "relative weight"),
    Offer::option("cpuset-cpus", "LIST", "processors to run on"),
    Offer::option("cpuset-mems", "LIST", "memory nodes to use"),
    Offer::option("pids-limit", "N", "most processes; -1 for no limit"),
    Offer::options("ulimit", "NAME=SOFT[:HARD]", "a limit of each process"),
    Offer::options(
        "sysctl",
        "NAME=VALUE",
        "a kernel parameter of its namespaces",
    ),
];

const SECURITY: &[Offer] = &[
    Offer::option("network", "host|none|PATH", "whose network (default: none)").alias("net"),
    Offer::options(
        "uidmap",
        "INSIDE:OUTSIDE:SIZE",
        "a user namespace of its own, with these user ids",
    ),
    Offer::options(
        "gidmap",
        "INSIDE:OUTSIDE:SIZE",
        "its group ids (default: as --uidmap)",
    ),
    Offer::options("cap-add", "NAME", "one more capability, or ALL"),
    Offer::options("cap-drop", "NAME", "one capability less, or ALL"),
    Offer::options(
        "security-opt",
        "OPTION",
        "no-new-privileges, seccomp=FILE|unconfined, apparmor=NAME, unmask=PATH",
    ),
];

/// A command with all options of these tables.
pub fn with_options(command: Command, tables: &[&[Offer]]) -> Command {
    with_program(with_all(command, tables))
}

/// [`with_options`] of those only that these words can mean; nothing when one of them means none.
pub fn with_meant_options(
    command: Command,
    tables: &[&[Offer]],
    words: &[OsString],
) -> Option<Command> {
    with_meant(command, tables, words).map(with_program)
}

fn with_program(command: Command) -> Command {
    command.arg(
        Arg::new("command")
            .value_name("COMMAND")
            .help("the program and its arguments, instead of the image's")
            .value_parser(clap::value_parser!(OsString))
            .num_args(0..)
            .action(ArgAction::Append),
    )
}
