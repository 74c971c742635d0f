//! The disk fills up in the middle: a clear error, nothing half-visible, and the same command works once there is space.
//!
//! In a mount namespace of its own, so that no mount is left whatever happens.

use oci::descriptor::Blob;
use oci::store::{Begin, Store};
use std::process::Command;

#[test]
fn a_full_disk_is_survived() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let script =
        r#"mount -t tmpfs -o size=1m none "$0" || exit 77; exec "$1" --exact inside --nocapture"#;
    let test = std::env::current_exe().expect("is known");
    let output = Command::new("unshare")
        .args(["-m", "sh", "-c", script])
        .arg(dir.path())
        .arg(test)
        .env("DISK", dir.path())
        .output();
    match output {
        Ok(output) if output.status.code() != Some(77) && !is_denied(&output.stderr) => {
            let said = String::from_utf8_lossy(&output.stdout).into_owned()
                + &String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{said}");
        }
        _ => eprintln!("skipped: needs the right to mount"),
    }
}

fn is_denied(stderr: &[u8]) -> bool {
    String::from_utf8_lossy(stderr).contains("unshare failed")
}

/// Not a test of its own: what the other starts on a small file system.
#[test]
fn inside() {
    let Ok(disk) = std::env::var("DISK") else {
        return;
    };
    let store = Store::open(format!("{disk}/store")).expect("opens");
    let bytes: Vec<u8> = (0..3_000_000u32)
        .map(|n| (n >> 7) as u8 ^ n as u8)
        .collect();
    let blob = Blob::of_bytes(&bytes);
    let begin = || match store.ingest(&blob).expect("starts") {
        Begin::Started(ingest) => ingest,
        other => panic!("{other:?}"),
    };
    let error = begin()
        .receive(&bytes[..])
        .and_then(|receiver| receiver.commit())
        .expect_err("the disk is full");
    assert!(
        error.to_string().contains("no space left on device"),
        "{error}"
    );
    assert!(
        error
            .advice()
            .is_some_and(|hint| hint.contains("free some space")),
        "{error:?}"
    );
    assert!(!store.has(&blob));
    assert!(store.put(&[7; 1 << 20]).is_err());
    assert!(store.images().expect("is whole").is_empty());

    let remounted = Command::new("mount")
        .args(["-o", "remount,size=8m", &disk])
        .status();
    assert!(remounted.expect("mount").success());
    let ingest = begin();
    let kept = ingest.offset() as usize;
    assert!(kept > 0, "what came is kept");
    ingest
        .receive(&bytes[kept..])
        .and_then(|receiver| receiver.commit())
        .expect("goes on");
    assert_eq!(store.read_blob(&blob, 1 << 30).expect("reads"), bytes);
}
