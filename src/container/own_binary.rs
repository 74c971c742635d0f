//! A container never gets a writable handle on the runtime's own binary. CVE-2019-5736
//!
//! A program in a container can be executed as `#!/proc/self/exe`, which is us, and then be opened for writing once we
//! have ended. So before anything of a container is touched we execute ourselves again from a mount that is read-only
//! and attached nowhere: that costs the start of a process, and no copy. docs/security.md

use crate::error::{Context, Error, Result};
use crate::sys::exe;

/// Returns when our binary is safe; otherwise this process starts anew, with the same arguments.
pub fn protect() -> Result<()> {
    if exe::is_protected().unwrap_or(false) || !exe::is_writable() {
        return Ok(());
    }
    let handle = exe::read_only_mount()
        .or_else(|_| exe::sealed_copy())
        .context("make a read-only image of our own binary")?;
    Err(Error::errno(
        "execute a read-only image of our own binary",
        exe::execute_again(&handle),
    ))
}
