//! `image commit`: a container's changes as a new layer, on top of its image, under a new name.

use super::author::Author;
use super::home::Home;
use crate::container::options::Globals;
use crate::container::pause::{pause, resume};
use crate::container::{Id, Record, StateDir, Status};
use crate::error::{Context, Error, Result};
use oci::Digest;
use oci::build::Change;
use oci::runtime::Spec;
use rootfs::snapshot::Compression;

/// How a container becomes an image.
#[derive(Debug, Clone)]
pub struct CommitOptions {
    /// The new image's name.
    pub name: String,
    /// What is changed in its configuration.
    pub change: Change,
    /// How its layer is packed.
    pub compression: Compression,
    /// Whether a running container is frozen meanwhile: otherwise a file may be caught half written.
    pub pause: bool,
}

/// Makes an image of what a container has changed. Gives the manifest's digest.
pub fn commit(globals: &Globals, id: &Id, options: &CommitOptions) -> Result<Digest> {
    let commit = || {
        let dir = StateDir::open(&globals.root, id)?;
        let record = dir.read()?;
        let running = Status::of(&record, &dir) == Status::Running;
        let frozen = match running && options.pause {
            true => Some(Frozen::new(globals, id)?),
            false => None,
        };
        let digest = write(&record, &dir.config()?, options);
        drop(frozen);
        digest
    };
    commit().context(format_args!("commit {id}"))
}

/// Thaws the container when dropped.
struct Frozen<'f> {
    globals: &'f Globals,
    id: &'f Id,
}

impl<'f> Frozen<'f> {
    fn new(globals: &'f Globals, id: &'f Id) -> Result<Frozen<'f>> {
        pause(globals, id)?;
        Ok(Frozen { globals, id })
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        if let Err(error) = resume(self.globals, self.id) {
            log::warn!("{error}");
        }
    }
}

fn write(record: &Record, spec: &Spec, options: &CommitOptions) -> Result<Digest> {
    let Some(image) = &record.image else {
        return Err(Error::new("it was made from a bundle, not from an image")
            .hint("only containers of `run --image` and `create --image` can be committed"));
    };
    let home = Home::open(&image.store)?;
    let pins = home.store.pins()?;
    let pin = pins.into_iter().find(|(name, _)| *name == image.snapshot);
    let Some((_, manifest)) = pin else {
        return Err(Error::new(
            "it stands on a directory of the host, not on an image",
        ));
    };
    let parent = home.open_manifest(&manifest)?;
    let args = spec.process.as_ref().map(|process| process.args.join(" "));
    let mut author = Author::new(&home.store)?;
    // A mount made its place in the container's directory: that is no change of the container's.
    let volumes = image.volumes.iter().filter_map(|volume| volume.to_str());
    let mounts = spec.mounts.iter().map(|mount| mount.destination.as_str());
    let places = mounts.chain(volumes).map(|place| place.trim_matches('/'));
    let places: Vec<&str> = places.collect();
    author.layer(options.compression, &args.unwrap_or_default(), |out| {
        home.snapshots
            .commit_without(&image.snapshot, options.compression, &places, out)
    })?;
    author.publish(Some(&parent), &options.change, &options.name)
}
