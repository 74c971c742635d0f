//! Removing layers that nothing needs any more, and snapshots that were never finished. No layer is removed that a
//! snapshot stands on.

use std::collections::HashSet;
use std::fs;

use oci::{ChainId, DiffId};

use super::error::{Result, SnapshotError, system};
use super::lock::{Claim, Gate};
use super::store::{Snapshots, lock_path, remove_dir};

/// What was removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removed {
    /// Layers, by the hexadecimal digits of their diffID.
    pub layers: Vec<String>,
    /// Bytes of the layers' files.
    pub bytes: u64,
    /// Seams, by the hexadecimal digits of their ChainID.
    pub seams: Vec<String>,
}

impl Snapshots {
    /// Removes every layer that is in none of `chains` and under no snapshot. Waits for those who use layers just now.
    pub fn collect_garbage<'a>(
        &self,
        chains: impl IntoIterator<Item = &'a [DiffId]>,
    ) -> Result<Removed> {
        let _gate = Gate::exclusive(&self.root.join("lock"))?;
        let mut needed = HashSet::new();
        let mut need = |diff_ids: &[DiffId]| {
            needed.extend(diff_ids.iter().map(|id| id.0.hex().to_owned()));
            needed.extend(
                ChainId::chain(diff_ids)
                    .iter()
                    .map(|id| format!("seam {}", id.0.hex())),
            );
        };
        chains.into_iter().for_each(&mut need);
        for id in self.list()? {
            match self.snapshot_record(&id) {
                Ok(record) => need(&record.diff_ids),
                // Whoever makes a snapshot keeps us out until its record is there: this one's maker was killed.
                Err(SnapshotError::Missing(_) | SnapshotError::Damaged(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let unneeded = |name: &str| !needed.contains(name);
        Ok(Removed {
            bytes: self.layer_bytes(unneeded)?,
            seams: self.sweep("seams/sha256", |name| {
                needed.contains(&format!("seam {name}"))
            })?,
            layers: [
                self.sweep("layers/sha256", |name| needed.contains(name))?,
                self.sweep("layers/sha512", |name| needed.contains(name))?,
            ]
            .concat(),
        })
    }

    /// Removes snapshots that nothing says whose they are: their makers were killed, or a power cut came before their
    /// records were on the disk. Says which; nothing while somebody [holds](Snapshots::hold) the layers, who may be
    /// making one.
    pub fn remove_half_made(&self) -> Result<Option<Vec<String>>> {
        let Some(_gate) = Gate::exclusive_now(&self.root.join("lock"))? else {
            return Ok(None);
        };
        let mut removed = Vec::new();
        for id in self.list()? {
            let record = self.snapshot_record(&id);
            if !matches!(
                record,
                Err(SnapshotError::Missing(_) | SnapshotError::Damaged(_))
            ) {
                continue;
            }
            match self.remove_writable(&id) {
                // Another command was about to remove it.
                Err(SnapshotError::Missing(_)) => {}
                done => done.map(|()| removed.push(id))?,
            }
        }
        Ok(Some(removed))
    }

    /// What the layers that are about to go said of their size.
    fn layer_bytes(&self, unneeded: impl Fn(&str) -> bool) -> Result<u64> {
        let dir = self.root.join("layers/sha256");
        let mut bytes = 0;
        for entry in fs::read_dir(&dir).map_err(system("read", &dir))? {
            let name = entry.map_err(system("read", &dir))?.file_name();
            let name = name.to_string_lossy();
            let id = format!("sha256:{name}").parse().map(DiffId);
            if let Ok(id) = id
                && unneeded(&name)
            {
                bytes += self.layer_record(&id).map_or(0, |record| record.bytes);
            }
        }
        Ok(bytes)
    }

    fn sweep(&self, below: &str, needed: impl Fn(&str) -> bool) -> Result<Vec<String>> {
        let dir = self.root.join(below);
        let mut removed = Vec::new();
        for entry in fs::read_dir(&dir).map_err(system("read", &dir))? {
            let name = entry
                .map_err(system("read", &dir))?
                .file_name()
                .to_string_lossy()
                .into_owned();
            if needed(&name) {
                continue;
            }
            // By rename first: half a layer is never seen under its name.
            let (path, work) = (dir.join(&name), self.work_name("removed"));
            let _claim = Claim::wait(&lock_path(&work))?;
            fs::rename(&path, &work).map_err(system("remove", &path))?;
            remove_dir(&work)?;
            removed.push(name);
        }
        removed.sort();
        Ok(removed)
    }
}
