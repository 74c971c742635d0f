//! The lowest layer of every container of an image: the directories and files that init mounts on.
//!
//! An image without them would get them in each container's own directory: `/etc` copied up, three files made, all of it
//! removed again. Here they are once for the whole store. Below all layers, it shows only where the image has nothing.

use super::home::Home;
use crate::error::{Context, Result};
use rootfs::snapshot::{Lower, OverlayMount};
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const DIRECTORIES: [&str; 4] = ["dev", "etc", "proc", "sys"];
const FILES: [&str; 3] = ["etc/hosts", "etc/hostname", "etc/resolv.conf"];
/// The last of them that is made: with it the layer is whole.
const LAST: &str = FILES[FILES.len() - 1];
/// overlayfs stacks 500; the image comes first.
const MAX_LOWERS: usize = 500;

/// Puts the layer below all others.
pub(super) fn add(home: &Home, overlay: &mut OverlayMount) -> Result<()> {
    if overlay.lowers.len() < MAX_LOWERS {
        let directory = home.places();
        if !directory.join(LAST).is_file() {
            make(&directory).context(format_args!("make {}", directory.display()))?;
        }
        overlay.lowers.push(Lower::Directory(directory));
    }
    Ok(())
}

/// By several at once, and over what a killed one left.
fn make(directory: &Path) -> io::Result<()> {
    let directories = DIRECTORIES.iter().map(|name| directory.join(name));
    for path in std::iter::once(directory.to_owned()).chain(directories) {
        made(fs::create_dir(&path))?;
        show_to_all(&path, 0o755)?;
    }
    for name in FILES {
        let path = directory.join(name);
        made(fs::File::create_new(&path).map(drop))?;
        show_to_all(&path, 0o644)?;
    }
    Ok(())
}

/// Whatever the caller's umask is.
fn show_to_all(path: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(mode))
}

fn made(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        done => done,
    }
}
