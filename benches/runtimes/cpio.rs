//! Packs a directory as an initramfs: the `newc` form of cpio, uncompressed.
//!
//! Directories, regular files and symbolic links; that is all the benchmark's
//! root file system has.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

pub fn write(directory: &Path, archive: &Path) -> Result<(), String> {
    let mut bytes = Vec::new();
    add_children(directory, Path::new(""), &mut bytes)
        .map_err(|error| format!("pack {}: {error}", directory.display()))?;
    entry(&mut bytes, b"TRAILER!!!", 0, &[]);
    fs::write(archive, bytes).map_err(|error| format!("write {}: {error}", archive.display()))
}

fn add_children(root: &Path, inside: &Path, bytes: &mut Vec<u8>) -> std::io::Result<()> {
    for child in fs::read_dir(root.join(inside))? {
        let name = inside.join(child?.file_name());
        let path = root.join(&name);
        let data = fs::symlink_metadata(&path)?;
        let content = if data.is_symlink() {
            fs::read_link(&path)?.as_os_str().as_bytes().to_vec()
        } else if data.is_file() {
            fs::read(&path)?
        } else {
            Vec::new()
        };
        entry(bytes, name.as_os_str().as_bytes(), data.mode(), &content);
        if data.is_dir() {
            add_children(root, &name, bytes)?;
        }
    }
    Ok(())
}

/// Thirteen numbers of eight hexadecimal digits, the name, the content; each padded to four bytes.
fn entry(bytes: &mut Vec<u8>, name: &[u8], mode: u32, content: &[u8]) {
    let (name_length, content_length) = (name.len() + 1, content.len());
    let header = format!(
        "070701{:08x}{mode:08x}{:08x}{:08x}{:08x}{:08x}{content_length:08x}{:08x}{:08x}{:08x}{:08x}{name_length:08x}{:08x}",
        0, 0, 0, 1, 0, 0, 0, 0, 0, 0
    );
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend_from_slice(name);
    bytes.push(0);
    pad(bytes);
    bytes.extend_from_slice(content);
    pad(bytes);
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}
