//! Regression tests for the advisories of the field: a case a row of `docs/security.md`, named after it.
//!
//! Each makes what the attacker would (links, swapped devices, leaked descriptors) and proves that the host is
//! untouched and the container is either refused or confined.

#[path = "../support/mod.rs"]
mod support;

mod credentials;
mod descriptors;
mod mount_points;
mod procfs;
mod state_files;
mod terminals;

fn main() -> std::process::ExitCode {
    support::harness::main(
        "security",
        &[
            ("credentials", credentials::CASES),
            ("descriptors", descriptors::CASES),
            ("mount_points", mount_points::CASES),
            ("procfs", procfs::CASES),
            ("state_files", state_files::CASES),
            ("terminals", terminals::CASES),
        ],
    )
}
