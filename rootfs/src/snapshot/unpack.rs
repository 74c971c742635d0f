//! Unpacking an image's layers: independent of each other, two at a time, each into a work directory, all published at once.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use oci::{ChainId, DiffId};

use super::Chain;
use super::error::{Result, SnapshotError, errno, system};
use super::lock::Claim;
use super::lower::Form;
use super::seam::tie;
use super::store::{
    IMAGE, LayerRecord, Snapshots, lock_path, make_private, open_dir, remove_dir, write_json,
};
use crate::erofs;
use crate::layer::{self, Applied, Limits, Memory};

/// Where a layer's bytes come from, for a layer that may have to be unpacked.
pub struct LayerBlob<'a> {
    /// What the image's configuration calls it.
    pub diff_id: DiffId,
    /// Opens the compressed blob. Called at most once, from another thread.
    pub open: Box<dyn Fn() -> io::Result<Box<dyn Read + Send + 'a>> + Sync + 'a>,
}

/// How to unpack.
#[derive(Debug, Clone)]
pub struct UnpackOptions {
    /// Bounds on each layer.
    pub limits: Limits,
    /// What all of them share.
    pub memory: Memory,
    /// Give files the owners the layers name.
    pub owners: bool,
    /// Make device nodes.
    pub devices: bool,
    /// What they become.
    pub form: Form,
    /// Layers at a time; each takes two threads.
    pub jobs: usize,
}

impl Default for UnpackOptions {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            memory: Memory::default(),
            owners: true,
            devices: true,
            form: Form::Directory,
            jobs: 2,
        }
    }
}

/// A layer that is ready to be published.
struct Ready {
    work: PathBuf,
    diff_id: DiffId,
    claim: Claim,
}

impl Snapshots {
    /// Unpacks those of the layers, the lowest first, that are not here yet.
    pub fn unpack(&self, layers: &[LayerBlob<'_>], options: &UnpackOptions) -> Result<Chain> {
        let _gate = self.gate()?;
        let mut wanted: Vec<&LayerBlob<'_>> = Vec::new();
        for blob in layers {
            let listed = wanted.iter().any(|earlier| earlier.diff_id == blob.diff_id);
            if !listed && !self.layer_dir(&blob.diff_id).is_dir() {
                wanted.push(blob);
            }
        }
        // Every process claims in the same order, so no two wait for each other.
        wanted.sort_by(|a, b| a.diff_id.cmp(&b.diff_id));
        self.unpack_all(&wanted, options)?;
        let diff_ids: Vec<DiffId> = layers.iter().map(|blob| blob.diff_id.clone()).collect();
        self.tie_all(&diff_ids)?;
        self.chain(&diff_ids)
    }

    fn unpack_all(&self, wanted: &[&LayerBlob<'_>], options: &UnpackOptions) -> Result<()> {
        let claims = wanted
            .iter()
            .map(|blob| {
                self.claim(&blob.diff_id)
                    .map(|claim| Mutex::new(Some(claim)))
            })
            .collect::<Result<Vec<_>>>()?;
        let (next, ready, failed) = (
            AtomicUsize::new(0),
            Mutex::new(Vec::new()),
            Mutex::new(None),
        );
        let worker = || {
            while let (at, true) = take_next(&next, wanted.len(), &failed) {
                let claim = claims[at].lock().ok().and_then(|mut claim| claim.take());
                match claim.map(|claim| self.unpack_one(wanted[at], claim, options)) {
                    Some(Ok(made)) => keep(&ready, |ready| ready.extend(made)),
                    Some(Err(error)) => {
                        keep(&failed, |failed| *failed = failed.take().or(Some(error)))
                    }
                    None => {}
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..options.jobs.min(wanted.len()) {
                scope.spawn(worker);
            }
            worker();
        });
        let ready = ready.into_inner().unwrap_or_default();
        self.publish(ready)?;
        failed.into_inner().unwrap_or_default().map_or(Ok(()), Err)
    }

    fn claim(&self, diff_id: &DiffId) -> Result<Claim> {
        Claim::wait(&lock_path(&self.layer_work(diff_id)))
    }

    fn layer_work(&self, diff_id: &DiffId) -> PathBuf {
        self.root
            .join("work")
            .join(format!("layer-{}", diff_id.0.hex()))
    }

    /// Nothing when another process was faster.
    fn unpack_one(
        &self,
        blob: &LayerBlob<'_>,
        claim: Claim,
        options: &UnpackOptions,
    ) -> Result<Option<Ready>> {
        if self.layer_dir(&blob.diff_id).is_dir() {
            return Ok(None);
        }
        let work = self.layer_work(&blob.diff_id);
        remove_dir(&work)?;
        let filled = self.fill(&work, blob, options);
        if let Err(error) = filled {
            remove_dir(&work)?;
            return Err(error);
        }
        Ok(Some(Ready {
            work,
            diff_id: blob.diff_id.clone(),
            claim,
        }))
    }

    fn fill(&self, work: &Path, blob: &LayerBlob<'_>, options: &UnpackOptions) -> Result<()> {
        let layer = blob.diff_id.to_string();
        let reader = (blob.open)().map_err(|error| SnapshotError::Blob {
            layer: layer.clone(),
            error,
        })?;
        let form = options.form;
        let options = layer::Options {
            label: layer,
            diff_id: Some(blob.diff_id.clone()),
            limits: options.limits.clone(),
            memory: options.memory.clone(),
            overlay_xattrs: self.overlay_xattrs,
            owners: options.owners,
            devices: options.devices,
        };
        match form {
            Form::Directory => fill_directory(work, reader, &options),
            Form::Erofs => fill_image(work, reader, &options),
        }
    }

    /// One sync for all of them, then the names: after a power cut a layer is whole or not there.
    fn publish(&self, ready: Vec<Ready>) -> Result<()> {
        let Some(first) = ready.first() else {
            return Ok(());
        };
        rustix::fs::syncfs(open_dir(&first.work)?).map_err(errno("sync", &self.root))?;
        for layer in ready {
            let path = self.layer_dir(&layer.diff_id);
            fs::rename(&layer.work, &path).map_err(system("publish", &path))?;
            drop(layer.claim);
        }
        Ok(())
    }

    /// Makes the seams of a chain, from below.
    fn tie_all(&self, diff_ids: &[DiffId]) -> Result<()> {
        for (at, chain_id) in ChainId::chain(diff_ids).iter().enumerate() {
            let path = self.seam_dir(chain_id);
            if !self.layer_record(&diff_ids[at])?.has_loose_ends || path.is_dir() {
                continue;
            }
            let work = self
                .root
                .join("work")
                .join(format!("seam-{}", chain_id.0.hex()));
            let _claim = Claim::wait(&lock_path(&work))?;
            if path.is_dir() {
                continue;
            }
            remove_dir(&work)?;
            let made = self
                .make_seam(&diff_ids[..=at], &work)
                .and_then(|()| fs::rename(&work, &path).map_err(system("publish", &path)));
            if let Err(error) = made {
                remove_dir(&work)?;
                return Err(error);
            }
        }
        Ok(())
    }

    /// Makes the seam of the topmost of these layers in `work`.
    fn make_seam(&self, diff_ids: &[DiffId], work: &Path) -> Result<()> {
        let Some((id, below)) = diff_ids.split_last() else {
            return Ok(());
        };
        let seam = work.join("fs");
        make_private(&seam)?;
        let below = if self.layer_record(id)?.opaque_root {
            Vec::new()
        } else {
            self.lowers(below)?
        };
        let layer = self.lower(self.layer_file(id, &self.layer_record(id)?))?;
        tie(id, &self.loose_ends(id)?, &layer, &below, &seam)?;
        // Often there is nothing to say: below is nothing of that name. The directory alone tells that it was asked.
        let _ = fs::remove_dir(&seam);
        rustix::fs::syncfs(open_dir(work)?).map_err(errno("sync", &self.root))
    }
}

fn fill_directory(work: &Path, blob: impl Read + Send, options: &layer::Options) -> Result<()> {
    let fs = work.join("fs");
    make_private(&fs)?;
    let root = open_dir(&fs)?;
    rustix::fs::fchmod(&root, rustix::fs::Mode::from_raw_mode(0o755))
        .map_err(errno("chmod", &fs))?;
    let record = |applied| write_record(work, &applied, Form::Directory);
    layer::apply_then(blob, root.into(), options, record)?
}

fn fill_image(work: &Path, blob: impl Read + Send, options: &layer::Options) -> Result<()> {
    make_private(work)?;
    let (path, spool_path) = (work.join(IMAGE), work.join("spool"));
    let create = |path: &Path| {
        let mut how = fs::OpenOptions::new();
        how.read(true).write(true).create_new(true).mode(0o600);
        how.open(path).map_err(system("create", path))
    };
    let (image, spool) = (create(&path)?, create(&spool_path)?);
    fs::remove_file(&spool_path).map_err(system("remove", &spool_path))?;
    let record = |applied| write_record(work, &applied, Form::Erofs);
    erofs::write_then(blob, (image, spool), options, record)?
}

fn write_record(work: &Path, applied: &Applied, form: Form) -> Result<()> {
    if !applied.loose.is_empty() {
        let path = work.join("loose");
        let written = fs::File::create(&path).and_then(|file| applied.loose.write_to(file));
        written.map_err(system("write", &path))?;
    }
    let record = LayerRecord {
        bytes: applied.bytes,
        entries: applied.entries,
        root_listed: applied.root_listed,
        opaque_root: applied.opaque_root,
        has_loose_ends: !applied.loose.is_empty(),
        erofs: form == Form::Erofs,
    };
    write_json(&work.join("layer.json"), &record)
}

/// The next index, and whether there is one: none once something failed.
fn take_next(
    next: &AtomicUsize,
    count: usize,
    failed: &Mutex<Option<SnapshotError>>,
) -> (usize, bool) {
    let at = next.fetch_add(1, Ordering::Relaxed);
    (
        at,
        at < count && failed.lock().is_ok_and(|failed| failed.is_none()),
    )
}

fn keep<T>(shared: &Mutex<T>, change: impl FnOnce(&mut T)) {
    if let Ok(mut value) = shared.lock() {
        change(&mut value);
    }
}
