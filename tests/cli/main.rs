//! The command line, a file a subcommand, with real containers. `RUNTIME=` points it at another runtime.

#[path = "../support/mod.rs"]
mod support;

mod bad_ids;
mod create;
mod debian;
mod delete;
mod demo;
mod events;
mod exec;
mod exec_process;
mod features;
mod global;
mod hook_setting;
mod hooks;
mod image_commit;
mod image_cost;
mod image_space;
mod image_tree;
mod install;
mod kill;
mod lifecycle;
mod list;
mod mounts;
mod pause;
mod ps;
mod resume;
mod run;
mod run_descriptors;
mod run_image;
mod run_image_databases;
mod run_image_erofs;
mod run_image_ids;
mod run_image_life;
mod run_image_mounts;
mod spec;
mod start;
mod state;
mod terminal;
mod trace_start;
mod update;

fn main() -> std::process::ExitCode {
    support::harness::main(
        "cli",
        &[
            ("bad_ids", bad_ids::CASES),
            ("create", create::CASES),
            ("debian", debian::CASES),
            ("delete", delete::CASES),
            ("demo", demo::CASES),
            ("events", events::CASES),
            ("exec", exec::CASES),
            ("exec_process", exec_process::CASES),
            ("features", features::CASES),
            ("global", global::CASES),
            ("hook_setting", hook_setting::CASES),
            ("hooks", hooks::CASES),
            ("install", install::CASES),
            ("image_commit", image_commit::CASES),
            ("image_cost", image_cost::CASES),
            ("image_space", image_space::CASES),
            ("image_tree", image_tree::CASES),
            ("kill", kill::CASES),
            ("lifecycle", lifecycle::CASES),
            ("list", list::CASES),
            ("mounts", mounts::CASES),
            ("pause", pause::CASES),
            ("ps", ps::CASES),
            ("resume", resume::CASES),
            ("run", run::CASES),
            ("run_descriptors", run_descriptors::CASES),
            ("run_image", run_image::CASES),
            ("run_image_databases", run_image_databases::CASES),
            ("run_image_erofs", run_image_erofs::CASES),
            ("run_image_ids", run_image_ids::CASES),
            ("run_image_life", run_image_life::CASES),
            ("run_image_mounts", run_image_mounts::CASES),
            ("spec", spec::CASES),
            ("start", start::CASES),
            ("state", state::CASES),
            ("terminal", terminal::CASES),
            ("trace_start", trace_start::CASES),
            ("update", update::CASES),
        ],
    )
}
