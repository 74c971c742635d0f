//! Paths under a root: links, `..`, and missing parts never lead out.

use super::*;
use std::ffi::CString;
use std::os::fd::IntoRawFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

struct Tree {
    path: PathBuf,
    root: RawFd,
}

impl Drop for Tree {
    fn drop(&mut self) {
        open::close(self.root);
        let _ = std::fs::remove_dir_all(self.path.parent().expect("has a parent"));
    }
}

/// A root with links of every kind, beside a directory `outside` that must stay empty.
fn tree(name: &str) -> Tree {
    let base = std::env::temp_dir().join(format!("crun-lite-path-{name}-{}", std::process::id()));
    let path = base.join("root");
    std::fs::create_dir_all(path.join("usr/lib")).expect("makes the tree");
    std::fs::create_dir_all(base.join("outside")).expect("makes the outside");
    symlink("usr/lib", path.join("lib")).expect("links");
    symlink("/usr", path.join("absolute")).expect("links");
    symlink("../../../../outside", path.join("climbs")).expect("links");
    symlink("/run/deep/file", path.join("dangling")).expect("links");
    symlink("loop", path.join("loop")).expect("links");
    let root = std::fs::File::open(&path)
        .expect("opens the root")
        .into_raw_fd();
    Tree { path, root }
}

fn text(path: &str) -> CString {
    CString::new(path).expect("has no NUL")
}

/// Both ways to the same place: the kernel's and our walk.
fn both(tree: &Tree, path: &str, missing: Missing) -> [Result<PathBuf>; 2] {
    let kernel = open_or_make(tree.root, &text(path), missing, true);
    let walk = Walk::new(tree.root, &text(path)).and_then(|walk| walk.finish(missing, true));
    [kernel, walk].map(|found| {
        found.map(|fd| {
            let place =
                std::fs::read_link(format!("/proc/self/fd/{fd}")).expect("reads the fd's path");
            open::close(fd);
            place
        })
    })
}

#[test]
fn links_are_followed_inside_the_root() {
    let tree = tree("links");
    for (path, place) in [
        ("/", ""),
        ("lib", "usr/lib"),
        ("/absolute/lib/", "usr/lib"),
        ("absolute/../absolute/./lib", "usr/lib"),
        ("/../../usr", "usr"),
        ("lib/..", "usr"),
    ] {
        let expected = if place.is_empty() {
            tree.path.clone()
        } else {
            tree.path.join(place)
        };
        assert_eq!(
            both(&tree, path, Missing::Refuse),
            [Ok(expected.clone()), Ok(expected)],
            "{path}"
        );
    }
}

#[test]
fn loops_and_missing_paths_are_errors() {
    let tree = tree("loops");
    assert_eq!(
        both(&tree, "loop/x", Missing::Refuse),
        [const { Err(Errno::ELOOP) }; 2]
    );
    assert_eq!(
        both(&tree, "none", Missing::Refuse),
        [const { Err(Errno::ENOENT) }; 2]
    );
}

#[test]
fn what_is_made_stays_inside() {
    let tree = tree("make");
    for (path, place, missing) in [
        ("/climbs/a/b", "outside/a/b", Missing::Directory),
        ("dangling", "run/deep/file", Missing::File),
        ("lib/x/../y", "usr/lib/y", Missing::Directory),
    ] {
        let [kernel, walk] = both(&tree, path, missing);
        assert_eq!(kernel, Ok(tree.path.join(place)), "{path}");
        assert_eq!(walk, kernel, "{path}");
    }
    let outside: &Path = &tree.path.parent().expect("has a parent").join("outside");
    assert_eq!(std::fs::read_dir(outside).expect("lists").count(), 0);
}

#[test]
fn a_parent_is_made_and_its_last_name_kept() {
    let tree = tree("parent");
    let path = text("/dev/snd/seq");
    let (directory, name) = open_parent(tree.root, &path).expect("opens");
    open::close(directory);
    assert_eq!(name, c"seq");
    assert!(tree.path.join("dev/snd").is_dir());
    for path in ["noslash", "/dev/..", "/dev/"] {
        assert_eq!(
            open_parent(tree.root, &text(path)).err(),
            Some(Errno::EINVAL),
            "{path}"
        );
    }
}

#[test]
fn the_last_directory_is_used_again_and_never_for_another_path() {
    let tree = tree("above");
    let mut above = Above::default();
    let mut make = |path: &str| {
        let made = above.open_or_make(tree.root, &text(path), Missing::Directory, true);
        let fd = made.expect("opens");
        let place = std::fs::read_link(format!("/proc/self/fd/{fd}")).expect("reads the path");
        open::close(fd);
        place
            .strip_prefix(&tree.path)
            .expect("is inside")
            .to_owned()
    };
    for (path, place) in [
        ("/lib/first", "usr/lib/first"),
        ("/lib/second", "usr/lib/second"),
        ("/absolute/third", "usr/third"),
        ("/lib/second", "usr/lib/second"),
        ("/climbs/inside", "outside/inside"),
        ("/new/deep/er", "new/deep/er"),
        ("/new/deep/more", "new/deep/more"),
        ("/", ""),
    ] {
        assert_eq!(make(path), Path::new(place), "{path}");
    }
    symlink("/usr", tree.path.join("usr/lib/link")).expect("links");
    assert_eq!(make("/lib/fresh"), Path::new("usr/lib/fresh"));
    assert_eq!(make("/lib/link"), Path::new("usr"));
    above.forget();
}
