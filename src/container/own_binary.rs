//! A container never gets a writable handle on the runtime's own binary. CVE-2019-5736
//!
//! A program in a container can be executed as `#!/proc/self/exe`, which is us, and then be opened for writing once we
//! have ended. So before anything of a container is touched we execute ourselves again from a mount that is read-only
//! and attached nowhere: that costs the start of a process, and no copy. docs/security.md

use crate::error::{Context, Error, Result};
use crate::sys::exe;
use crate::sys::process::TextArray;
use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStrExt;

/// Returns when our binary is safe; otherwise this process starts anew, with the same arguments.
pub fn protect() -> Result<()> {
    if exe::is_protected().unwrap_or(false) || !exe::is_writable() {
        return Ok(());
    }
    let handle = exe::read_only_mount()
        .or_else(|_| exe::sealed_copy())
        .context("make a read-only image of our own binary")?;
    let args: Vec<CString> = std::env::args_os().map(text).collect();
    let env: Vec<CString> = std::env::vars_os()
        .map(|(name, value)| text(joined(name, &value)))
        .collect();
    let array = |texts: &[CString]| TextArray::new(texts.iter().map(CString::as_c_str));
    let errno = exe::exec_handle(&handle, &array(&args), &array(&env));
    Err(Error::errno(
        "execute a read-only image of our own binary",
        errno,
    ))
}

fn joined(mut name: OsString, value: &OsString) -> OsString {
    name.push("=");
    name.push(value);
    name
}

/// What came from the kernel as an argument holds no NUL.
fn text(word: OsString) -> CString {
    CString::new(word.as_bytes()).unwrap_or_default()
}
