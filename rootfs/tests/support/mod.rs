//! What the tests of layers and snapshots share: archives written by hand, trees read back, layouts for umoci.

#![allow(
    dead_code,
    clippy::unwrap_used,
    missing_docs,
    reason = "each test binary uses a part of it"
)]

pub mod oci_layout;
pub mod tar;
pub mod tree;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use rootfs::erofs;
use rootfs::layer::{self, Applied, LayerError, Options};
use tempfile::TempDir;

/// A directory of its own, and an empty one in it to unpack to, with something beside it that must stay.
pub struct Ground {
    dir: TempDir,
}

impl Ground {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("fs")).unwrap();
        fs::create_dir(dir.path().join("victim")).unwrap();
        fs::write(dir.path().join("victim/file"), "precious").unwrap();
        Self { dir }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn fs(&self) -> PathBuf {
        self.dir.path().join("fs")
    }

    pub fn apply(&self, blob: &[u8]) -> Result<Applied, LayerError> {
        self.apply_with(blob, |_| {})
    }

    pub fn apply_with(
        &self,
        blob: &[u8],
        change: impl FnOnce(&mut Options),
    ) -> Result<Applied, LayerError> {
        let mut options = Options::privileged("test");
        change(&mut options);
        let applied = layer::apply(blob, File::open(self.fs()).unwrap().into(), &options);
        assert_same_as_image(blob, &options, &applied);
        applied
    }

    /// Everything outside `fs` is as it was.
    pub fn assert_victim_whole(&self) {
        assert_eq!(
            fs::read(self.dir.path().join("victim/file")).unwrap(),
            b"precious"
        );
        let names = |path: PathBuf| {
            let mut names: Vec<_> = fs::read_dir(path)
                .unwrap()
                .map(|e| e.unwrap().file_name())
                .collect();
            names.sort();
            names
        };
        assert_eq!(names(self.dir.path().to_owned()), ["fs", "victim"]);
        assert_eq!(names(self.dir.path().join("victim")), ["file"]);
        use std::os::unix::fs::MetadataExt;
        assert_eq!(
            fs::metadata(self.dir.path().join("victim/file"))
                .unwrap()
                .nlink(),
            1
        );
    }
}

/// What a directory takes an image takes, what a directory refuses an image refuses, and it is sound.
fn assert_same_as_image(blob: &[u8], options: &Options, applied: &Result<Applied, LayerError>) {
    // Elsewhere something stands in the target's way, or is put there meanwhile: an image has no such thing.
    if !matches!(env!("CARGO_CRATE_NAME"), "formats" | "endless") {
        return;
    }
    let image = tempfile::NamedTempFile::new().unwrap();
    let spool = tempfile::tempfile().unwrap();
    let written = erofs::write(blob, image.reopen().unwrap(), spool, options);
    match (applied, written) {
        (Ok(directory), Ok(image)) => {
            assert_eq!(directory.diff_id, image.diff_id);
            assert_eq!(directory.loose, image.loose);
            assert_eq!(
                (directory.root_listed, directory.opaque_root),
                (image.root_listed, image.opaque_root)
            );
        }
        (Err(directory), Err(image)) => assert_eq!(
            std::mem::discriminant(directory.fault()),
            std::mem::discriminant(image.fault()),
            "{directory}\n{image}"
        ),
        (directory, image) => panic!("as a directory: {directory:?}\nas an image: {image:?}"),
    }
    // Some tests try thousands of archives.
    static CHECKED: AtomicUsize = AtomicUsize::new(0);
    if applied.is_ok()
        && CHECKED.fetch_add(1, Ordering::Relaxed) < 50
        && let Ok(output) = Command::new("fsck.erofs").arg(image.path()).output()
    {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
    }
}

/// Owners, devices and trusted attributes need root; without it such a test says so and passes.
pub fn is_root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        eprintln!("skipped: needs root");
    }
    root
}
