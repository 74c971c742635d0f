//! Namespaces by path: are they what the configuration says they are?

use crate::error::{Context, Error, Result};
use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;

/// SPEC(config-linux.md#namespaces): a path that is not of the type is an error.
pub fn check_type(file: &File, flag: u64, path: &Path) -> Result<()> {
    let found = crate::sys::clone::namespace_type(file.as_fd())
        .context(format_args!("{}: not a namespace", path.display()))?;
    if found == flag {
        return Ok(());
    }
    let names = crate::init::spawn::namespace_names;
    Err(Error::new(format!(
        "{}: a {} namespace where a {} namespace was asked for",
        path.display(),
        names(found),
        names(flag)
    )))
}
