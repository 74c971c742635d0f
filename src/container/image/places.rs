//! The lowest layer of every container of an image: the directories and files that init mounts on.
//!
//! An image without them would get them in each container's own directory: `/etc` copied up, three files made, all of it
//! removed again. Here they are once for the whole store. Below all layers, it shows only where the image has nothing.

use super::home::Home;
use crate::error::{Context, Result};
use rootfs::snapshot::{Lower, OverlayMount};
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

const DIRECTORIES: [&str; 4] = ["dev", "etc", "proc", "sys"];
const FILES: [&str; 3] = ["etc/hosts", "etc/hostname", "etc/resolv.conf"];
/// overlayfs stacks 500; the image comes first.
const MAX_LOWERS: usize = 500;

/// Puts the layer below all others.
pub(super) fn add(home: &Home, overlay: &mut OverlayMount) -> Result<()> {
    if overlay.lowers.len() < MAX_LOWERS {
        let directory = home.places();
        if !directory.is_dir() {
            make(&directory).context(format_args!("make {}", directory.display()))?;
        }
        overlay.lowers.push(Lower::Directory(directory));
    }
    Ok(())
}

/// Whole or not at all, and by several at once.
fn make(directory: &Path) -> io::Result<()> {
    let fresh = directory.with_file_name(format!("places.{}", std::process::id()));
    make_directory(&fresh)?;
    for name in DIRECTORIES {
        make_directory(&fresh.join(name))?;
    }
    for name in FILES {
        let mut how = fs::OpenOptions::new();
        how.write(true).create_new(true).mode(0o644);
        how.open(fresh.join(name))?;
    }
    match fs::rename(&fresh, directory) {
        Err(_) if directory.is_dir() => fs::remove_dir_all(&fresh),
        renamed => renamed,
    }
}

fn make_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o755).create(path)
}
