//! `config.json`, a file a part of the specification, with real containers. `RUNTIME=` points it at another runtime.

#[path = "../support/mod.rs"]
mod support;

mod annotations;
mod bad_files;
mod bad_seccomp;
mod bad_values;
mod cgroups;
mod devices;
mod id_maps;
mod mount_options;
mod mount_recursion;
mod mounts;
mod names;
mod namespaces;
mod network;
mod old_kernels;
mod paths;
mod process;
mod process_user;
mod root;
mod scheduling;
mod seccomp;
mod strict;
mod time;

fn main() -> std::process::ExitCode {
    support::harness::main(
        "config",
        &[
            ("annotations", annotations::CASES),
            ("bad_files", bad_files::CASES),
            ("bad_seccomp", bad_seccomp::CASES),
            ("bad_values", bad_values::CASES),
            ("cgroups", cgroups::CASES),
            ("devices", devices::CASES),
            ("id_maps", id_maps::CASES),
            ("mount_options", mount_options::CASES),
            ("mount_recursion", mount_recursion::CASES),
            ("mounts", mounts::CASES),
            ("names", names::CASES),
            ("namespaces", namespaces::CASES),
            ("network", network::CASES),
            ("old_kernels", old_kernels::CASES),
            ("paths", paths::CASES),
            ("process", process::CASES),
            ("process_user", process_user::CASES),
            ("root", root::CASES),
            ("scheduling", scheduling::CASES),
            ("seccomp", seccomp::CASES),
            ("strict", strict::CASES),
            ("time", time::CASES),
        ],
    )
}
