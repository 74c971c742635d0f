//! The seccomp compiler against libseccomp, against a direct reading of the specification, and against the kernel.
//!
//! `interpreter` runs filters, `oracle` is libseccomp in a helper process, `evaluator` reads a profile rule by rule
//! without any filter. Profiles are Docker's, Podman's and random ones (`random`).
#![allow(clippy::unwrap_used)]

mod default;
mod equality;
mod evaluator;
mod findings;
mod interpreter;
mod load;
mod oracle;
mod random;
mod stub;

use crun_lite::plan::seccomp::{Arch, Options, SeccompPlan, compile};
use oci::runtime::Seccomp;

/// Exactly libseccomp's meaning.
const BARE: Options = Options {
    enosys_stub: false,
    unknown_fails: false,
    strict: false,
};

/// What a container gets.
const LIKE_RUNC: Options = Options {
    enosys_stub: true,
    unknown_fails: false,
    strict: false,
};

fn docker() -> Seccomp {
    oci::runtime::parse(include_bytes!("docker.json")).unwrap()
}

fn podman() -> Seccomp {
    oci::runtime::parse(include_bytes!("podman.json")).unwrap()
}

fn profile(json: &str) -> Seccomp {
    oci::runtime::parse(json.as_bytes()).unwrap()
}

fn compiled(profile: &Seccomp, native: Arch, options: &Options) -> SeccompPlan {
    compile(profile, native, options).unwrap_or_else(|error| panic!("{error}: {profile:?}"))
}
