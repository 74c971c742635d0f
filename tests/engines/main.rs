//! The engines of Debian 12 with crun-lite plugged in: containerd and its CRI plugin, Docker, Compose, Swarm,
//! Podman and Buildah, in a private machine.
//!
//! A case is a shell script for the engine and what it must print. When ours prints something else, the same script
//! runs with runc: where that doesn't print it either, this machine can't show it and the case is ignored, with runc's
//! output as the reason. `docs/engines.md` says how to plug in each engine and which case covers what.

#[path = "../support/mod.rs"]
mod support;

mod compose;
mod containerd;
mod cri;
mod docker;
mod machine;
mod podman;
mod restarts;
mod rootless;
mod scenarios;
mod snippets;
mod swarm;

fn main() -> std::process::ExitCode {
    let suite: &[(&str, &[support::Case])] = &[
        ("containerd", containerd::CASES),
        ("docker", docker::CASES),
        ("podman", podman::CASES),
        ("rootless", rootless::CASES),
        ("swarm", swarm::CASES),
        ("restarts", restarts::CASES),
        ("cri", cri::CASES),
        ("snippets", snippets::CASES),
        ("compose", compose::CASES),
        ("scenarios", scenarios::CASES),
    ];
    if std::env::args().len() == 1 {
        scenarios::prepare();
    }
    let code = support::harness::main("engines", suite);
    machine::stop();
    code
}
