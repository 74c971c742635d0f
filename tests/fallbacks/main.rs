//! Kernels without a system call that we like: suites run again while a seccomp filter says ENOSYS to one of them.
//!
//! `cargo test --test fallbacks -- clone3::exec` runs what of one call contains that text. The cases are those of
//! `tests/cli` and `tests/config`. Expected differences are in the sections `[crun-lite without CALL]` of
//! `tests/known-differences.toml`.

#[path = "../support/mod.rs"]
mod support;

mod deny;

#[path = "../cli/bad_ids.rs"]
mod bad_ids;
#[path = "../cli/create.rs"]
mod create;
#[path = "../security/credentials.rs"]
mod credentials;
#[path = "../cli/debian.rs"]
mod debian;
#[path = "../cli/delete.rs"]
mod delete;
#[path = "../cli/demo.rs"]
mod demo;
#[path = "../security/descriptors.rs"]
mod descriptors;
#[path = "../config/devices.rs"]
mod devices;
#[path = "../cli/events.rs"]
mod events;
#[path = "../cli/exec.rs"]
mod exec;
#[path = "../cli/exec_process.rs"]
mod exec_process;
#[path = "../cli/features.rs"]
mod features;
#[path = "../cli/global.rs"]
mod global;
#[path = "../cli/hook_setting.rs"]
mod hook_setting;
#[path = "../cli/hooks.rs"]
mod hooks;
#[path = "../config/id_maps.rs"]
mod id_maps;
#[path = "../cli/image_commit.rs"]
mod image_commit;
#[path = "../cli/image_space.rs"]
mod image_space;
#[path = "../cli/image_tree.rs"]
mod image_tree;
#[path = "../cli/install.rs"]
mod install;
#[path = "../cli/kill.rs"]
mod kill;
#[path = "../cli/lifecycle.rs"]
mod lifecycle;
#[path = "../cli/list.rs"]
mod list;
#[path = "../config/mount_options.rs"]
mod mount_options;
#[path = "../security/mount_points.rs"]
mod mount_points;
#[path = "../config/mount_recursion.rs"]
mod mount_recursion;
#[path = "../config/mounts.rs"]
mod mounts;
#[path = "../config/namespaces.rs"]
mod namespaces;
#[path = "../config/paths.rs"]
mod paths;
#[path = "../cli/pause.rs"]
mod pause;
#[path = "../security/procfs.rs"]
mod procfs;
#[path = "../cli/ps.rs"]
mod ps;
#[path = "../cli/resume.rs"]
mod resume;
#[path = "../config/root.rs"]
mod root;
#[path = "../cli/run.rs"]
mod run;
#[path = "../cli/run_descriptors.rs"]
mod run_descriptors;
#[path = "../cli/run_image.rs"]
mod run_image;
#[path = "../cli/run_image_ids.rs"]
mod run_image_ids;
#[path = "../cli/run_image_life.rs"]
mod run_image_life;
#[path = "../cli/run_image_mounts.rs"]
mod run_image_mounts;
#[path = "../cli/spec.rs"]
mod spec;
#[path = "../cli/start.rs"]
mod start;
#[path = "../cli/state.rs"]
mod state;
#[path = "../security/state_files.rs"]
mod state_files;
#[path = "../cli/terminal.rs"]
mod terminal;
#[path = "../security/terminals.rs"]
mod terminals;
#[path = "../config/time.rs"]
mod time;
#[path = "../cli/update.rs"]
mod update;

use std::process::{Command, ExitCode};

use support::Case;

/// The files of cases: all of `tests/cli` and `tests/security`, and of `tests/config` what is about processes and mounts.
const FILES: &[(&str, &[Case])] = &[
    ("bad_ids", bad_ids::CASES),
    ("create", create::CASES),
    ("debian", debian::CASES),
    ("delete", delete::CASES),
    ("demo", demo::CASES),
    ("devices", devices::CASES),
    ("events", events::CASES),
    ("exec", exec::CASES),
    ("exec_process", exec_process::CASES),
    ("features", features::CASES),
    ("global", global::CASES),
    ("hook_setting", hook_setting::CASES),
    ("hooks", hooks::CASES),
    ("id_maps", id_maps::CASES),
    ("image_commit", image_commit::CASES),
    ("image_space", image_space::CASES),
    ("image_tree", image_tree::CASES),
    ("install", install::CASES),
    ("kill", kill::CASES),
    ("lifecycle", lifecycle::CASES),
    ("list", list::CASES),
    ("mount_options", mount_options::CASES),
    ("mount_recursion", mount_recursion::CASES),
    ("mounts", mounts::CASES),
    ("namespaces", namespaces::CASES),
    ("paths", paths::CASES),
    ("pause", pause::CASES),
    ("ps", ps::CASES),
    ("resume", resume::CASES),
    ("root", root::CASES),
    ("run", run::CASES),
    ("run_descriptors", run_descriptors::CASES),
    ("run_image", run_image::CASES),
    ("run_image_ids", run_image_ids::CASES),
    ("run_image_life", run_image_life::CASES),
    ("run_image_mounts", run_image_mounts::CASES),
    ("spec", spec::CASES),
    ("start", start::CASES),
    ("state", state::CASES),
    ("terminal", terminal::CASES),
    ("time", time::CASES),
    ("update", update::CASES),
    ("credentials", credentials::CASES),
    ("descriptors", descriptors::CASES),
    ("mount_points", mount_points::CASES),
    ("procfs", procfs::CASES),
    ("state_files", state_files::CASES),
    ("terminals", terminals::CASES),
];

/// A kernel that has none of them.
const ALL: &str =
    "clone3,openat2,mount_setattr,open_tree,move_mount,fsopen,fspick,close_range,pidfd_open";

/// What is denied, and the cases that a run without `CRUN_LITE_ALL_FALLBACKS` has of it: of one call alone those that
/// reach it where the calls around it are there.
const DENIED: &[(&str, Option<&str>)] = &[
    (ALL, Some("")),
    ("clone3", Some("exec:: namespaces:: time::")),
    ("openat2", Some("mount_points:: paths::")),
    (
        "mount_setattr",
        Some("devices:: id_maps:: mount_options:: mount_recursion:: mounts:: paths:: root::"),
    ),
    ("open_tree", Some("mount_recursion:: mounts::")),
    ("move_mount", Some("image_tree:: mounts:: root::")),
    ("fsopen", Some("image_tree:: mount_options:: mounts::")),
    ("fspick", Some("mount_options::")),
    ("pidfd_open", Some("events:: exec:: kill::")),
    ("close_range", Some("run_descriptors::")),
];

/// The filters of a run of these calls: what the user asks for, by `CALL::NAME` or `all::NAME`, or else their own.
fn filters(calls: &str, own: Option<&str>, asked: &[String]) -> Option<Vec<String>> {
    if asked.is_empty() {
        return own.map(|words| words.split_whitespace().map(str::to_owned).collect());
    }
    let name = if calls == ALL { "all" } else { calls };
    if asked.iter().any(|word| word == name) {
        return Some(Vec::new());
    }
    let prefix = format!("{name}::");
    let inside: Vec<String> = asked
        .iter()
        .filter_map(|word| word.strip_prefix(&prefix))
        .map(str::to_owned)
        .collect();
    (!inside.is_empty()).then_some(inside)
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(("--deny", rest)) = arguments
        .split_first()
        .map(|(first, rest)| (first.as_str(), rest))
    {
        return deny::execute(rest);
    }
    if std::env::var_os(support::runtime::DENIED).is_some() {
        return support::harness::main("fallbacks", FILES);
    }
    let all = std::env::var_os("CRUN_LITE_ALL_FALLBACKS").is_some();
    let wanted: Vec<String> = arguments
        .iter()
        .filter(|a| !a.starts_with('-'))
        .cloned()
        .collect();
    let mut good = true;
    for (call, own) in DENIED {
        let own = if all { Some("") } else { *own };
        if let Some(filters) = filters(call, own, &wanted) {
            println!("\nwithout {call}:");
            let program = std::env::current_exe().expect("we have a path");
            let mut again = Command::new(program);
            again.env(support::runtime::DENIED, call).args(filters);
            // Half of a case's time is waiting, for a process to end or for the kernel.
            again.arg("--test-threads=8");
            again.args(arguments.iter().filter(|a| a.starts_with('-')));
            good &= again.status().expect("start ourselves").success();
        }
    }
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(101)
    }
}
