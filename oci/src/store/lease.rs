//! A running pull's claim on blobs that no name leads to yet.
//!
//! A claim lasts as long as its file is locked, that is as long as the process lives.

use super::Store;
use super::lock::{Owned, try_own, try_own_existing, unique_name};
use crate::digest::Digest;
use crate::error::{Context, Error, Kind, Result};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// Keeps blobs from garbage collection until dropped.
#[derive(Debug)]
pub struct Lease {
    store: Store,
    file: Mutex<File>,
    path: PathBuf,
}

impl Store {
    /// A claim on nothing yet.
    pub fn lease(&self) -> Result<Lease> {
        let path = self.root().join("leases").join(unique_name());
        match try_own(&path)? {
            Owned::Yes(file) => Ok(Lease {
                store: self.clone(),
                file: Mutex::new(file),
                path,
            }),
            Owned::No => Err(Error::new(Kind::Busy, format!("lock {}", path.display()))),
        }
    }

    /// What living processes claim; dead ones' leases are removed. The caller holds the store exclusively.
    pub(super) fn leased(&self) -> Result<Vec<Digest>> {
        let dir = self.root().join("leases");
        let mut claimed = Vec::new();
        for entry in fs::read_dir(&dir).context(format_args!("read {}", dir.display()))? {
            let path = entry
                .context(format_args!("read {}", dir.display()))?
                .path();
            match try_own_existing(&path)? {
                None => {}
                Some(Owned::Yes(_)) => {
                    fs::remove_file(&path).context(format_args!("remove {}", path.display()))?;
                }
                Some(Owned::No) => claimed.extend(read(&path)?),
            }
        }
        Ok(claimed)
    }
}

fn read(path: &std::path::Path) -> Result<Vec<Digest>> {
    let mut text = String::new();
    File::open(path)
        .and_then(|mut file| file.read_to_string(&mut text))
        .context(format_args!("read {}", path.display()))?;
    text.lines().map(str::parse).collect()
}

impl Lease {
    /// Claims blobs. Only what is looked for *after* this is safe.
    pub fn add<'a>(&self, digests: impl IntoIterator<Item = &'a Digest>) -> Result<()> {
        let lines: String = digests
            .into_iter()
            .map(|digest| format!("{digest}\n"))
            .collect();
        // Shared: many pulls may claim at once, but none while gc sweeps.
        let _lock = self.store.lock_shared()?;
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(lines.as_bytes())
            .context(format_args!("write {}", self.path.display()))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // What stays behind is unlocked and gc removes it.
        let _ = fs::remove_file(&self.path);
    }
}
