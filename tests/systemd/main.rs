//! Hosts with systemd as PID 1: scopes by D-Bus, an ordinary user with and without a manager of its own, AppArmor.
//!
//! Runs where such a host is; `cargo test --test vm -- systemd::systemd` brings one. Elsewhere nothing runs.

#[path = "../support/mod.rs"]
mod support;

mod apparmor;
mod rootless;
mod scope;
mod user;

fn main() -> std::process::ExitCode {
    let runs = std::path::Path::new("/run/systemd/system").exists();
    if !(runs && support::host::is_pure_v2()) {
        println!(
            "\nthis host isn't run by systemd with cgroup v2: `cargo test --test vm -- systemd::systemd` makes one\n"
        );
        return std::process::ExitCode::SUCCESS;
    }
    user::prepare();
    support::harness::main(
        "systemd",
        &[
            ("apparmor", apparmor::CASES),
            ("rootless", rootless::CASES),
            ("scope", scope::CASES),
        ],
    )
}
