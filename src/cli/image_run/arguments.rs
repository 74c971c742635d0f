//! The options of `run --image` and `create --image`: a table.

use crate::cli::argument::{flag, option, options};
use crate::cli::create::start_arguments;
use crate::cli::image::pull::{registry_arguments, transfer_arguments};
use crate::cli::image::unpacking::unpack_arguments;
use clap::{Arg, ArgAction, Command};
use std::ffi::OsString;

/// Those of `run` alone.
pub fn run_arguments() -> [Arg; 3] {
    [
        flag("detach", "don't wait for the container's end").short('d'),
        flag("keep", "keep the container when its process has ended"),
        flag(
            "rm",
            "delete the container when its process has ended, with --detach too",
        ),
    ]
}

/// Those of both.
pub fn shared(command: Command) -> Command {
    let command = command
        .args(what())
        .args(process())
        .args(files())
        .args(limits())
        .args(security())
        .args(start_arguments())
        .arg(
            Arg::new("command")
                .value_name("COMMAND")
                .help("the program and its arguments, instead of the image's")
                .value_parser(clap::value_parser!(OsString))
                .num_args(0..)
                .action(ArgAction::Append),
        );
    unpack_arguments(transfer_arguments(registry_arguments(command)))
}

fn what() -> Vec<Arg> {
    vec![
        option(
            "image",
            "REF",
            "the image: a name, docker://…, oci:DIR, oci-archive:FILE, docker-archive:FILE",
        ),
        option(
            "rootfs",
            "DIR:O",
            "in place of an image, a directory that is only read",
        ),
        option("name", "ID", "the container's id"),
        option("store", "DIR", "directory of the image store"),
        option(
            "pull",
            "WHEN",
            "ask the registry when the image is missing, always or never",
        ),
    ]
}

fn process() -> Vec<Arg> {
    vec![
        options("env", "NAME[=VALUE]", "a variable of the environment").short('e'),
        options("env-file", "FILE", "variables, one a line"),
        option("workdir", "DIR", "the working directory").short('w'),
        option("user", "USER[:GROUP]", "names of the image, or numbers").short('u'),
        options("group-add", "GROUP", "one more group"),
        option(
            "entrypoint",
            "PROGRAM",
            "instead of the image's; \"\" for none",
        ),
        flag("interactive", "pass standard input on").short('i'),
        flag("tty", "give it a terminal").short('t'),
        flag(
            "init",
            "put a process in front that reaps and forwards signals",
        ),
        option("hostname", "NAME", "instead of the container's id"),
        options("annotation", "NAME=VALUE", "for the configuration"),
    ]
}

fn files() -> Vec<Arg> {
    vec![
        options(
            "volume",
            "SOURCE:DESTINATION[:OPTIONS]",
            "bind a directory of the host",
        )
        .short('v'),
        options("mount", "type=…,source=…,destination=…", "bind or tmpfs"),
        options(
            "tmpfs",
            "DESTINATION[:OPTIONS]",
            "an empty file system in memory",
        ),
        flag("read-only", "the root file system is read-only"),
        options(
            "device",
            "SOURCE[:DESTINATION][:rwm]",
            "a device of the host",
        ),
        option("shm-size", "BYTES", "size of /dev/shm (default: 64m)"),
    ]
}

fn limits() -> Vec<Arg> {
    vec![
        option("memory", "BYTES", "such as 512m").short('m'),
        option("memory-swap", "BYTES", "memory and swap together"),
        option("cpus", "N", "processors, such as 1.5"),
        option("cpu-shares", "N", "relative weight"),
        option("cpuset-cpus", "LIST", "processors to run on"),
        option("cpuset-mems", "LIST", "memory nodes to use"),
        option("pids-limit", "N", "most processes; -1 for no limit"),
        options("ulimit", "NAME=SOFT[:HARD]", "a limit of each process"),
        options(
            "sysctl",
            "NAME=VALUE",
            "a kernel parameter of its namespaces",
        ),
    ]
}

fn security() -> Vec<Arg> {
    vec![
        option("network", "host|none|PATH", "whose network (default: none)").alias("net"),
        options(
            "uidmap",
            "INSIDE:OUTSIDE:SIZE",
            "a user namespace of its own, with these user ids",
        ),
        options(
            "gidmap",
            "INSIDE:OUTSIDE:SIZE",
            "its group ids (default: as --uidmap)",
        ),
        options("cap-add", "NAME", "one more capability, or ALL"),
        options("cap-drop", "NAME", "one capability less, or ALL"),
        options(
            "security-opt",
            "OPTION",
            "no-new-privileges, seccomp=FILE|unconfined, apparmor=NAME, unmask=PATH",
        ),
    ]
}
