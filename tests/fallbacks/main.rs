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
#[path = "../cli/debian.rs"]
mod debian;
#[path = "../cli/delete.rs"]
mod delete;
#[path = "../cli/demo.rs"]
mod demo;
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
#[path = "../cli/terminal.rs"]
mod terminal;
#[path = "../config/time.rs"]
mod time;
#[path = "../cli/update.rs"]
mod update;

use std::process::{Command, ExitCode};

use support::Case;

/// The files of cases: all of `tests/cli`, and of `tests/config` what is about processes and mounts.
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
];

const PROCESSES: &str =
    "exec:: exec_process:: kill:: lifecycle:: namespaces:: run:: start:: time::";
const MOUNTS: &str =
    "devices:: id_maps:: lifecycle:: mount_options:: mount_recursion:: mounts:: paths:: root::";
const ALL: &str = "";

/// What is denied, and the cases that could notice.
const DENIED: &[(&str, &str)] = &[
    ("clone3", PROCESSES),
    ("openat2", "devices:: lifecycle:: mounts:: paths:: root::"),
    ("mount_setattr", MOUNTS),
    ("open_tree", MOUNTS),
    // Without it, no other call of the new kind is used: the same code as above.
    ("move_mount", "lifecycle:: mounts:: paths:: root::"),
    ("fsopen", "id_maps:: mount_options:: mounts::"),
    (
        "pidfd_open",
        "exec:: kill:: lifecycle:: pause:: run:: start::",
    ),
    ("close_range", "run_descriptors:: exec:: hooks::"),
    // A kernel that has none of them.
    (
        "clone3,openat2,mount_setattr,open_tree,move_mount,fsopen,close_range",
        "hooks:: lifecycle:: mounts:: terminal:: run_descriptors::",
    ),
];

/// The filters of a run of this call: the user's, or its own.
fn filters(call: &str, own: &str, wanted: &[String]) -> Option<Vec<String>> {
    let own = || own.split_whitespace().map(str::to_owned).collect();
    if wanted.is_empty() {
        return Some(own());
    }
    let mut inside = Vec::new();
    for word in wanted {
        match word.split_once("::") {
            _ if call == word => return Some(own()),
            Some((before, rest)) if before == call => inside.push(rest.to_owned()),
            _ => {}
        }
    }
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
        let own = if all { ALL } else { own };
        if let Some(filters) = filters(call, own, &wanted) {
            println!("\nwithout {call}:");
            let program = std::env::current_exe().expect("we have a path");
            let mut again = Command::new(program);
            again.env(support::runtime::DENIED, call).args(filters);
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
