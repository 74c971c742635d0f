//! `--pid-file`: complete or absent, so that whoever watches it never reads half a number.

use crate::error::{Context, Result};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

/// Writes `pid` beside the file and renames it into place. The directory may be one where others write, such as /tmp:
/// no link of theirs is followed.
pub fn write(file: &Path, pid: i32) -> Result<()> {
    let name = file
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let beside = file.with_file_name(format!(".{name}.{}", std::process::id()));
    // What an ended process of our number left behind.
    let _ = fs::remove_file(&beside);
    File::create_new(&beside)
        .and_then(|mut made| {
            made.write_all(pid.to_string().as_bytes())
                .and_then(|()| fs::rename(&beside, file))
                .inspect_err(|_| drop(fs::remove_file(&beside)))
        })
        .context(format_args!("write pid file {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_waits_beside_it_is_not_followed() {
        let dir = std::env::temp_dir().join(format!("crun-lite-pid-file-{}", std::process::id()));
        fs::create_dir(&dir).unwrap();
        let (file, victim) = (dir.join("pid"), dir.join("victim"));
        fs::write(&victim, "precious").unwrap();
        let beside = dir.join(format!(".pid.{}", std::process::id()));
        std::os::unix::fs::symlink(&victim, &beside).unwrap();
        write(&file, 42).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "42");
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
        fs::remove_dir_all(&dir).unwrap();
    }
}
