//! The state file: what another program, a full disk or an older version left there.

use crun_lite::container::{Id, Phase, Record, StateDir};
use proptest::prelude::*;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A state directory of its own for one input, and the path of its record.
fn with_record(check: impl FnOnce(&StateDir, &PathBuf)) {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let root = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("fuzz-{}-{number}", std::process::id()));
    let id: Id = Id::parse("web1").expect("an id");
    let dir = StateDir::create(&root, &id).expect("make a state directory");
    let record = Record {
        oci_version: "1.3.0".into(),
        id: "web1".into(),
        bundle: "/bundle".into(),
        rootfs: "/bundle/rootfs".into(),
        pid: 4711,
        pid_start_ticks: 1,
        phase: Phase::Created,
        created: "2026-11-21T10:00:00.000000000Z".into(),
        ..Record::default()
    };
    dir.write(&record).expect("write a record");
    let path = dir.path().join("state.json");
    check(&dir, &path);
    fs::remove_dir_all(&root).expect("remove the state directory");
}

/// Reads what is there: a plausible record, or one line of error.
fn read(dir: &StateDir) {
    match dir.read() {
        Ok(record) => assert_eq!(record.id, "web1"),
        Err(error) => assert_eq!(error.to_string().lines().count(), 1, "{error}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        with_record(|dir, path| {
            fs::write(path, &bytes).expect("damage the record");
            read(dir);
        });
    }

    #[test]
    fn a_damaged_record_is_read_or_refused(cut in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        with_record(|dir, path| {
            let mut bytes = fs::read(path).expect("read the record");
            let place = at.index(bytes.len());
            bytes[place] = byte;
            fs::write(path, &bytes).expect("damage the record");
            read(dir);
            bytes.truncate(cut.index(bytes.len()));
            fs::write(path, &bytes).expect("cut the record");
            read(dir);
        });
    }
}
