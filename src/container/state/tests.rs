//! The state directory: private, locked, and forgiving of damage.

use super::*;
use crate::container::Status;
use std::os::unix::fs::PermissionsExt;

/// A root of its own for one test, removed with it.
struct Root(PathBuf);

impl Root {
    fn new(name: &str) -> Root {
        let path = std::env::temp_dir().join(format!("crun-lite-{}-{name}", std::process::id()));
        Root(path)
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn id(text: &str) -> Id {
    Id::parse(text).unwrap()
}

fn record(name: &str) -> Record {
    let pid = std::process::id() as i32;
    Record {
        id: name.into(),
        bundle: "/b".into(),
        pid,
        pid_start_ticks: crate::container::status::start_ticks(pid).unwrap(),
        phase: Phase::Created,
        ..Record::default()
    }
}

#[test]
fn a_record_survives_and_the_files_are_private() {
    let root = Root::new("roundtrip");
    let dir = StateDir::create(&root.0, &id("a")).unwrap();
    dir.write(&record("a")).unwrap();
    let again = StateDir::open(&root.0, &id("a")).unwrap();
    assert_eq!(again.read().unwrap(), record("a"));
    for (path, mode) in [
        (dir.path().to_owned(), 0o700),
        (dir.path().join(STATE), 0o600),
    ] {
        let found = fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(found & 0o777, mode);
    }
    dir.remove().unwrap();
    let gone = again.read().unwrap_err().to_string();
    assert!(gone.contains("does not exist"), "{gone}");
}

#[test]
fn an_id_is_taken_once() {
    let root = Root::new("taken");
    let _held = StateDir::create(&root.0, &id("a")).unwrap();
    let error = StateDir::create(&root.0, &id("a")).unwrap_err().to_string();
    assert_eq!(error, "container with id a already exists");
}

#[test]
fn a_missing_container_says_what_engines_look_for() {
    let root = Root::new("missing");
    let error = StateDir::open(&root.0, &id("a")).unwrap_err().to_string();
    assert_eq!(error, "container a does not exist");
    assert!(list_ids(&root.0).unwrap().is_empty());
}

#[test]
fn hostile_records_are_refused_with_a_sentence() {
    let root = Root::new("hostile");
    let dir = StateDir::create(&root.0, &id("a")).unwrap();
    let path = dir.path().join(STATE);
    let good = serde_json::to_string(&record("a")).unwrap();
    for (text, expected) in [
        (String::new(), "does not exist completely"),
        (good[..good.len() / 2].to_owned(), "is damaged"),
        (good.replace("\"id\":\"a\"", "\"id\":\"b\""), "id: it says"),
        (good.replace("\"pid\":", "\"pid\":-"), "is no process"),
        (good.replace("\"bundle\":\"/b\"", "\"bundle\":7"), "bundle:"),
        ("[".repeat(100_000), "is damaged"),
        ("\0\0\0".into(), "is damaged"),
    ] {
        fs::write(&path, text).unwrap();
        let error = dir.read().unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(error.advice().unwrap().contains("delete --force a"));
    }
}

#[test]
fn a_fifo_or_link_for_a_record_does_not_block() {
    let root = Root::new("fifo");
    let dir = StateDir::create(&root.0, &id("a")).unwrap();
    let path = dir.path().join(STATE);
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(dir.read().is_err());
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
    assert!(dir.read().is_err());
}

#[test]
fn an_incomplete_container_is_creating_while_its_creator_lives() {
    let root = Root::new("creating");
    let mut creator = StateDir::create(&root.0, &id("a")).unwrap();
    let mut half = record("a");
    half.phase = Phase::Creating;
    half.pid = 0;
    creator.write(&half).unwrap();
    let other = StateDir::open(&root.0, &id("a")).unwrap();
    assert_eq!(Status::of(&other.read().unwrap(), &other), Status::Creating);
    creator.unlock();
    assert_eq!(Status::of(&other.read().unwrap(), &other), Status::Stopped);
}

#[test]
fn created_lasts_as_long_as_the_start_socket() {
    let root = Root::new("created");
    let dir = StateDir::create(&root.0, &id("a")).unwrap();
    let mut record = record("a");
    fs::write(dir.start_socket(), "").unwrap();
    assert_eq!(Status::of(&record, &dir), Status::Created);
    fs::remove_file(dir.start_socket()).unwrap();
    assert_eq!(Status::of(&record, &dir), Status::Running);
    record.pid_start_ticks += 1;
    assert_eq!(Status::of(&record, &dir), Status::Stopped);
}

#[test]
fn whoever_waited_for_a_deleted_container_learns_it() {
    let root = Root::new("waited");
    let dir = StateDir::create(&root.0, &id("a")).unwrap();
    let path = root.0.clone();
    let waiter = std::thread::spawn(move || StateDir::open_locked(&path, &id("a")).map(|_| ()));
    while !std::fs::read_to_string("/proc/locks")
        .unwrap()
        .contains("->")
        && !waiter.is_finished()
    {
        std::thread::yield_now();
    }
    dir.remove().unwrap();
    let error = waiter.join().unwrap().unwrap_err().to_string();
    assert_eq!(error, "container a does not exist");
}

#[test]
fn listing_skips_what_is_no_container() {
    let root = Root::new("list");
    for name in ["b", "a"] {
        StateDir::create(&root.0, &id(name)).unwrap();
    }
    fs::write(root.0.join("file"), "").unwrap();
    fs::create_dir(root.0.join(".hidden")).unwrap();
    assert_eq!(list_ids(&root.0).unwrap(), [id("a"), id("b")]);
}
