//! The pure parts: mount options as text.

use std::path::PathBuf;

use super::{Lower, OverlayMount};

fn overlay(lowers: &[&str]) -> OverlayMount {
    OverlayMount {
        lowers: lowers
            .iter()
            .map(|path| Lower::Directory(PathBuf::from(path)))
            .collect(),
        upper: Some(PathBuf::from("/s/u,p:p")),
        work: Some(PathBuf::from("/s/work")),
        userxattr: false,
        volatile: false,
    }
}

/// mount(2) splits at commas, and overlayfs splits its lower directories at colons.
#[test]
fn separators_in_paths_are_escaped() {
    let options = overlay(&["/a:b", "/c,d", r"/e\f"]).options();
    let text = options.and_then(|options| options.into_string().ok());
    assert_eq!(
        text.as_deref(),
        Some(
            r"lowerdir=/a\:b:/c\,d:/e\\f,upperdir=/s/u\,p:p,workdir=/s/work,index=off,redirect_dir=off,metacopy=off"
        )
    );
}

#[test]
fn too_many_layers_for_a_page_are_no_text() {
    let long = format!("/{}", "l".repeat(80));
    assert!(overlay(&vec![long.as_str(); 40]).options().is_some());
    assert!(overlay(&vec![long.as_str(); 60]).options().is_none());
    assert_eq!(
        overlay(&vec![long.as_str(); 60]).parameters().len(),
        60 + 2 + 3
    );
}
