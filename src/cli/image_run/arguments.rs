//! The options of `run --image` and `create --image`: a table.

use crate::cli::argument::{flag, option, options};
use crate::cli::create::START;
use crate::cli::image::pull::{registry_arguments, transfer_arguments};
use crate::cli::image::unpacking::unpack_arguments;
use crate::cli::offer::{Said, each_option, with_all};
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

/// Options that belong together, and what they are called: a command line that has none of them need not build them,
/// which would cost as much as all else that it does before the container is made.
struct Group {
    names: &'static [&'static str],
    shorts: &'static str,
    add: fn(Command) -> Command,
}

const GROUPS: &[Group] = &[
    Group {
        names: &[
            "env",
            "env-file",
            "workdir",
            "user",
            "group-add",
            "entrypoint",
            "interactive",
            "tty",
            "init",
            "hostname",
            "annotation",
        ],
        shorts: "ewuit",
        add: |command| command.args(process()),
    },
    Group {
        names: &[
            "volume",
            "mount",
            "tmpfs",
            "read-only",
            "device",
            "shm-size",
        ],
        shorts: "v",
        add: |command| command.args(files()),
    },
    Group {
        names: &[
            "memory",
            "memory-swap",
            "cpus",
            "cpu-shares",
            "cpuset-cpus",
            "cpuset-mems",
            "pids-limit",
            "ulimit",
            "sysctl",
        ],
        shorts: "m",
        add: |command| command.args(limits()),
    },
    Group {
        names: &[
            "network",
            "net",
            "uidmap",
            "gidmap",
            "cap-add",
            "cap-drop",
            "security-opt",
        ],
        shorts: "",
        add: |command| command.args(security()),
    },
    Group {
        names: &[
            "console-socket",
            "pidfd-socket",
            "pid-file",
            "no-pivot",
            "no-new-keyring",
            "no-subreaper",
            "preserve-fds",
            "trace-start",
        ],
        shorts: "",
        add: |command| with_all(command, &[START]),
    },
    Group {
        names: &["creds", "authfile", "mirror", "tls-verify"],
        shorts: "",
        add: registry_arguments,
    },
    Group {
        names: &["platform", "jobs", "max-layer-size", "progress", "quiet"],
        shorts: "q",
        add: transfer_arguments,
    },
    Group {
        names: &[
            "snapshotter",
            "max-ratio",
            "max-files",
            "max-depth",
            "max-xattr-size",
            "max-header-size",
        ],
        shorts: "",
        add: unpack_arguments,
    },
];

/// What every command line is built with: the names of [`what`], [`run_arguments`] and their like.
const ALWAYS: &[&str] = &[
    "image", "rootfs", "name", "store", "pull", "detach", "keep", "rm",
];
const ALWAYS_SHORT: &str = "d";

/// All options of both.
pub fn shared(command: Command) -> Command {
    GROUPS
        .iter()
        .fold(always(command), |command, group| (group.add)(command))
}

/// Only those that these words can mean; nothing when one of them means none that we know: an error and a page of help
/// speak of all.
pub fn shared_for(command: fn() -> Command, words: &[OsString]) -> Option<Command> {
    let mut needed = [false; GROUPS.len()];
    let known = each_option(words, &mut |said| {
        let group = match said {
            Said::Name(name) if ALWAYS.iter().any(|known| known.as_bytes() == name) => return true,
            Said::Letter(letter) if ALWAYS_SHORT.as_bytes().contains(&letter) => return true,
            Said::Name(name) => GROUPS
                .iter()
                .position(|group| group.names.iter().any(|known| known.as_bytes() == name)),
            Said::Letter(letter) => GROUPS
                .iter()
                .position(|group| group.shorts.as_bytes().contains(&letter)),
        };
        group.inspect(|at| needed[*at] = true).is_some()
    });
    if !known {
        return None;
    }
    let groups = GROUPS.iter().zip(needed).filter(|(_, needed)| *needed);
    Some(groups.fold(always(command()), |command, (group, _)| {
        (group.add)(command)
    }))
}

fn always(command: Command) -> Command {
    command.args(what()).arg(
        Arg::new("command")
            .value_name("COMMAND")
            .help("the program and its arguments, instead of the image's")
            .value_parser(clap::value_parser!(OsString))
            .num_args(0..)
            .action(ArgAction::Append),
    )
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_group_knows_its_names() {
        for group in GROUPS {
            let command = (group.add)(Command::new("x"));
            let mut names: Vec<String> = Vec::new();
            let mut shorts = String::new();
            for argument in command.get_arguments() {
                names.extend(argument.get_long().map(str::to_owned));
                names.extend(
                    argument
                        .get_all_aliases()
                        .into_iter()
                        .flatten()
                        .map(str::to_owned),
                );
                shorts.extend(argument.get_short());
            }
            assert_eq!(names, group.names);
            assert_eq!(shorts, group.shorts);
        }
        let command = always(Command::new("x")).args(run_arguments());
        let names = command.get_arguments().filter_map(Arg::get_long);
        assert_eq!(names.collect::<Vec<_>>(), ALWAYS);
    }

    #[test]
    fn words_choose_what_is_built() {
        let words = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        let built = |text: &str| {
            let command = shared_for(|| Command::new("run").args(run_arguments()), &words(text))?;
            Some(command.get_arguments().count())
        };
        let all = shared(Command::new("run").args(run_arguments()))
            .get_arguments()
            .count();
        let few = built("--image x --name y -d -- ls --colour").unwrap_or(all);
        assert!(few < 12, "{few}");
        assert!(built("--image x -itq -e A=B --net=host").is_some_and(|some| some < all));
        for unknown in [
            "--image x --help",
            "--image x -h",
            "--image x -eA=B",
            "--image x --colour",
            "--image x -",
        ] {
            assert_eq!(built(unknown), None, "{unknown}");
        }
    }
}
