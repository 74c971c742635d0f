//! `--pid-file`: complete or absent, so that whoever watches it never reads half a number.

use crate::error::{Context, Result};
use std::path::Path;

/// Writes `pid` beside the file and renames it into place.
pub fn write(file: &Path, pid: i32) -> Result<()> {
    let name = file
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let beside = file.with_file_name(format!(".{name}.{}", std::process::id()));
    std::fs::write(&beside, pid.to_string())
        .and_then(|()| std::fs::rename(&beside, file))
        .inspect_err(|_| drop(std::fs::remove_file(&beside)))
        .context(format_args!("write pid file {}", file.display()))
}
