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
        layer::apply(blob, File::open(self.fs()).unwrap().into(), &options)
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

/// Owners, devices and trusted attributes need root; without it such a test says so and passes.
pub fn is_root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        eprintln!("skipped: needs root");
    }
    root
}
