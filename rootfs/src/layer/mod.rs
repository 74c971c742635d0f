//! One layer of an image: a blob in, a directory in overlayfs' form out, in a single pass.
//!
//! The blob is hostile input: every size it names is bounded, every name is resolved under one directory handle, and an
//! archive that two readers could read differently is refused. Layers know nothing of each other: what leans on lower
//! layers is returned as [`Loose`] ends, which `snapshot` ties. Registry, store and mounts are not known here.

mod archive;
mod error;
mod inflate;
mod limits;
mod memory;
mod stream;
mod tree;

use std::io::{BufRead, Read};
use std::os::fd::OwnedFd;

use oci::DiffId;
use oci::digest::Algorithm;

pub use error::{Fault, LayerError};
pub use limits::Limits;
pub use memory::{Division, Memory, give_back_with};
pub use tree::{Loose, OverlayXattrs};

pub(crate) use archive::{Archive, Entry, Kind, Segment, TarEntry, TarWriter, Timestamp};
pub(crate) use tree::{
    LooseEnds, Marker, OPAQUE_MARKER, PendingLink, Unpacked, WHITEOUT_PREFIX, components,
    copy_metadata, forbidden, is_whiteout, marker, opaque_name, read_xattrs, read_xattrs_at,
    remove_tree, split,
};

use inflate::Opened;
pub(crate) use limits::within;
use memory::{Purpose, Share};
use stream::{Ended, Stream, stream};
use tree::{Root, Unpacker};

/// How to apply a layer.
#[derive(Debug, Clone)]
pub struct Options {
    /// What errors call the layer: its digest, or its place in the image.
    pub label: String,
    /// The diffID the image's configuration gives; a stream with another one is refused.
    pub diff_id: Option<DiffId>,
    /// Bounds.
    pub limits: Limits,
    /// The memory that the layer shares with others.
    pub memory: Memory,
    /// Which attributes overlayfs will read.
    pub overlay_xattrs: OverlayXattrs,
    /// Give files the owners the layer names. Without the right to, all files belong to the caller.
    pub owners: bool,
    /// Make device nodes. Only root can; without, they are left out.
    pub devices: bool,
}

impl Options {
    /// All a layer can say, for root.
    pub fn privileged(label: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            diff_id: None,
            limits: Limits::default(),
            memory: Memory::default(),
            overlay_xattrs: OverlayXattrs::Trusted,
            owners: true,
            devices: true,
        }
    }
}

/// What a layer turned out to be.
#[derive(Debug, Clone)]
pub struct Applied {
    /// Digest of the uncompressed stream.
    pub diff_id: DiffId,
    /// Uncompressed bytes.
    pub bytes: u64,
    /// Entries in the archive.
    pub entries: u64,
    /// What leans on lower layers.
    pub loose: Loose,
    /// The archive has an entry for the root: its owner, mode and times count.
    pub root_listed: bool,
    /// The layer hides all layers below it.
    pub opaque_root: bool,
    /// Extended attributes left out: forbidden ones, and those the file system or the caller's rights don't allow.
    pub xattrs_skipped: u64,
    /// Device nodes left out.
    pub devices_skipped: u64,
}

/// Applies the layer in `blob` to the empty directory `root`.
///
/// Inflating and hashing run in a second thread. After an error the directory holds part of a layer: throw it away.
pub fn apply<R: Read + Send>(
    blob: R,
    root: OwnedFd,
    options: &Options,
) -> Result<Applied, LayerError> {
    apply_then(blob, root, options, |applied| applied)
}

/// [`apply`], and what is to be done while the layer still has its share of memory.
pub(crate) fn apply_then<R: Read + Send, T>(
    blob: R,
    root: OwnedFd,
    options: &Options,
    then: impl FnOnce(Applied) -> T,
) -> Result<T, LayerError> {
    let target = Unpacker::new(Root::new(root), options);
    read_into(blob, target, options, then)
}

/// What entries become: a directory tree, or an image of one.
pub(crate) trait Target {
    /// Takes an entry; a file's bytes come from `archive`.
    fn add<R: BufRead>(&mut self, entry: &Entry, archive: &mut Archive<'_, R>)
    -> Result<(), Fault>;

    /// Memory that what was made so far holds, completing it included.
    fn held_bytes(&self) -> u64;

    /// Completes what was made.
    fn finish(self) -> Result<Unpacked, Fault>;
}

/// Reads the layer in `blob` into `target`, with a second thread for inflating and hashing.
pub(crate) fn read_into<R: Read + Send, T>(
    blob: R,
    target: impl Target,
    options: &Options,
    then: impl FnOnce(Applied) -> T,
) -> Result<T, LayerError> {
    let in_layer = |fault| LayerError::new(&options.label, None, fault);
    let blob = Opened::new(blob, &options.limits).map_err(in_layer)?;
    let share = options.memory.begin(blob.needs_whole());
    share
        .set(Purpose::Window, blob.window_bytes())
        .map_err(in_layer)?;
    let (producer, stream) = stream();
    let applied = std::thread::scope(|scope| {
        let algorithm = options
            .diff_id
            .as_ref()
            .map_or(Algorithm::Sha256, |id| id.0.algorithm());
        scope.spawn(move || producer.run(blob, algorithm, &options.limits));
        fill(stream, target, options, &share)
    })?;
    Ok(then(applied))
}

fn fill(
    stream: Stream,
    mut target: impl Target,
    options: &Options,
    share: &Share,
) -> Result<Applied, LayerError> {
    let mut archive = Archive::new(stream, &options.limits).charging(share);
    let mut entries = 0;
    let filled = loop {
        match add_next(&mut archive, &mut target, &mut entries, options, share) {
            Ok(true) => {}
            Ok(false) => break Ok(()),
            Err(fault) => break Err(fault),
        }
    };
    let at_entry = |fault| LayerError::new(&options.label, archive.name(), fault);
    filled.map_err(at_entry)?;
    let in_layer = |fault| LayerError::new(&options.label, None, fault);
    let ended = archive.into_stream().drain().map_err(in_layer)?;
    check_diff_id(&ended, options.diff_id.as_ref()).map_err(in_layer)?;
    let unpacked = target.finish().map_err(in_layer)?;
    Ok(Applied {
        diff_id: ended.diff_id,
        bytes: ended.bytes,
        entries,
        loose: unpacked.loose,
        root_listed: unpacked.root_listed,
        opaque_root: unpacked.opaque_root,
        xattrs_skipped: unpacked.xattrs_skipped,
        devices_skipped: unpacked.devices_skipped,
    })
}

fn add_next(
    archive: &mut Archive<'_, Stream>,
    target: &mut impl Target,
    entries: &mut u64,
    options: &Options,
    share: &Share,
) -> Result<bool, Fault> {
    let Some(entry) = archive.next_entry()? else {
        return Ok(false);
    };
    *entries += 1;
    within("number of entries", *entries, options.limits.entries)?;
    target.add(&entry, archive)?;
    // An entry costs little, whatever it says: so it is soon enough to ask behind each.
    share.set(Purpose::Tree, target.held_bytes())?;
    Ok(true)
}

fn check_diff_id(ended: &Ended, expected: Option<&DiffId>) -> Result<(), Fault> {
    match expected {
        Some(expected) if *expected != ended.diff_id => Err(Fault::DiffId {
            expected: expected.clone(),
            actual: ended.diff_id.clone(),
        }),
        _ => Ok(()),
    }
}
