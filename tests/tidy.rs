//! The house rules of docs/architecture.md and the papers' truth, as a test without dependencies.
//!
//! It reads the repository as text: which room uses which, where unsafe code and I/O live, how long files and
//! functions are, and whether what the documents list is what the code has. A rule that must be broken is broken in
//! a list here, with the reason beside it.

#[path = "tidy/papers.rs"]
mod papers;
#[path = "tidy/rooms.rs"]
mod rooms;
#[path = "tidy/shape.rs"]
mod shape;
#[path = "tidy/text.rs"]
mod text;

use std::path::{Path, PathBuf};

/// One Rust file of the repository.
struct Source {
    /// Relative to the repository, with `/`.
    path: String,
    /// As it is.
    text: String,
    /// The same with comments, strings and characters blanked, line for line.
    code: String,
    /// `code` without unit tests: blank in files of tests.
    product: String,
}

impl Source {
    fn read(root: &Path, path: &Path) -> Source {
        let text = std::fs::read_to_string(path).expect("read a source file");
        let code = text::blank(&text);
        let path = path.strip_prefix(root).expect("below the repository");
        let path = path.to_string_lossy().into_owned();
        let product = match is_test(&path) {
            true => String::new(),
            false => text::without_tests(&code),
        };
        Source {
            path,
            text,
            code,
            product,
        }
    }

    /// Whether it is in this directory, or is this file.
    fn is_in(&self, place: &str) -> bool {
        self.path == place || self.path.starts_with(&format!("{place}/"))
    }
}

/// Whether all of a file is tests.
fn is_test(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    let in_directory = parts
        .iter()
        .any(|part| *part == "tests" || *part == "examples");
    in_directory || path.ends_with("/tests.rs")
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file, in order.
fn sources() -> Vec<Source> {
    let mut paths = Vec::new();
    for place in ["src", "oci", "rootfs", "tests", "benches"] {
        walk(&root().join(place), &mut paths);
    }
    paths.sort();
    let is_rust = |path: &&PathBuf| path.extension().is_some_and(|end| end == "rs");
    paths
        .iter()
        .filter(is_rust)
        .map(|path| Source::read(root(), path))
        .collect()
}

fn walk(directory: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).expect("list a directory") {
        let path = entry.expect("read a directory").path();
        match path.is_dir() {
            true if path.file_name().is_some_and(|name| name == "target") => {}
            true => walk(&path, into),
            false => into.push(path),
        }
    }
}

/// Fails with all violations at once.
fn demand(rule: &str, violations: Vec<String>) {
    assert!(
        violations.is_empty(),
        "{rule}:\n  {}",
        violations.join("\n  ")
    );
}
