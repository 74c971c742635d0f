//! `--version`, in the lines that Docker, Podman and containerd take apart.

use super::{ExitCode, print};
use crate::error::Result;

/// What this build can do, as crun says it.
const ABILITIES: &str = "+SELINUX +APPARMOR +CAP +SECCOMP +EBPF +STATIC";

/// Version, commit, specification, abilities.
pub fn print_version() -> Result<ExitCode> {
    print(&format!(
        "crun-lite version {}\ncommit: {}\nspec: {}\n{ABILITIES}\n",
        env!("CARGO_PKG_VERSION"),
        commit(),
        oci::runtime::VERSION,
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// The commit that this was built from: `.cargo/commit.rs` finds it for release builds.
pub fn commit() -> &'static str {
    option_env!("CRUN_LITE_COMMIT").unwrap_or("unknown")
}
