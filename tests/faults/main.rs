//! Nothing is left behind: every step of create, run and exec fails, or one of its two processes is killed there.
//!
//! `CRUN_LITE_FAULT` (src/init/fault.rs) makes a debug build do so. Afterwards the host is as before, or after the next
//! `delete --force`; the id is used again every time.

#[path = "../support/mod.rs"]
mod support;

mod exec;
mod rich;
mod signals;
mod steps;

fn main() -> std::process::ExitCode {
    support::harness::main(
        "faults",
        &[
            ("steps", steps::CASES),
            ("exec", exec::CASES),
            ("signals", signals::CASES),
        ],
    )
}
