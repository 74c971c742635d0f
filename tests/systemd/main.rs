//! Hosts with systemd as PID 1: scopes by D-Bus, an ordinary user with and without a manager of its own, AppArmor,
//! Podman; where systemd keeps cgroup v1, the driver there.
//!
//! Runs where such a host is; `cargo test --test vm -- systemd::systemd` brings one, `v1::systemd` and `hybrid::systemd`
//! the old ones. Elsewhere nothing runs.

#[path = "../support/mod.rs"]
mod support;

mod apparmor;
mod legacy;
mod podman;
mod rootless;
mod scope;
mod scoped;
mod user;

fn main() -> std::process::ExitCode {
    if !std::path::Path::new("/run/systemd/system").exists() {
        println!(
            "\nthis host isn't run by systemd: `cargo test --test vm -- systemd::systemd` makes one\n"
        );
        return std::process::ExitCode::SUCCESS;
    }
    if !support::host::is_pure_v2() {
        return support::harness::main("systemd", &[("legacy", legacy::CASES)]);
    }
    user::prepare();
    support::harness::main(
        "systemd",
        &[
            // The longest first.
            ("podman", podman::CASES),
            ("scope", scope::CASES),
            ("apparmor", apparmor::CASES),
            ("rootless", rootless::CASES),
        ],
    )
}
