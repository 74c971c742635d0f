//! A database filled once and cloned twenty times: one image of Debian's PostgreSQL, twenty containers of it at once,
//! each writing to its own copy. What the disk grows by is what they write.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run_image::{command, run, upper_of};
use crate::support::{Container, ImageMaker, Sandbox, cases, skip};

cases![twenty_databases_of_one_image];

const COPIES: u64 = 20;
/// What `bank-image` puts into its table: so many accounts, with so much in each.
const ACCOUNTS: u64 = 100_000;
const BALANCE: u64 = 100;
/// Accounts that a copy changes.
const CHANGED: u64 = 1000;
const SERVER: [&str; 8] = [
    "/usr/lib/postgresql/15/bin/postgres",
    "-D",
    "/var/lib/postgresql/15/main",
    "--config-file=/etc/postgresql/15/main/postgresql.conf",
    "--external-pid-file=",
    "--unix-socket-directories=/tmp",
    "--ssl=off",
    "--autovacuum=off",
];

fn twenty_databases_of_one_image(t: &Sandbox) {
    let image = ImageMaker::empty(t).archive(&bank()).write();
    command(t, &["image", "import", "-q", &image, "bank"])
        .output()
        .ok();
    command(t, &["image", "unpack", "-q", "bank"]).output().ok();
    let store = t.path.join("store");
    let before = disk_bytes(&store);
    let snapshots = store.join("overlay/snapshots");
    let copies: Vec<(u64, Container)> = (0..COPIES).map(|number| (number, server(t))).collect();
    // All of them write before any is read again.
    let written = of_each(&copies, |number, copy| {
        let change =
            format!("update account set balance = balance + {number} where number <= {CHANGED}");
        query(copy, &change)
    });
    assert!(
        written
            .iter()
            .all(|said| said == &format!("UPDATE {CHANGED}")),
        "{written:?}"
    );
    let sums = of_each(&copies, |_, copy| {
        query(copy, "select count(*), sum(balance) from account")
    });
    for (number, sum) in (0..COPIES).zip(&sums) {
        let expected = ACCOUNTS * BALANCE + number * CHANGED;
        assert_eq!(sum, &format!("{ACCOUNTS}|{expected}"), "copy {number}");
    }
    assert!(copies.iter().all(|(_, copy)| copy.status() == "running"));

    let grown = disk_bytes(&store) - before;
    let uppers: Vec<u64> = copies
        .iter()
        .map(|(_, copy)| disk_bytes(&upper_of(copy)))
        .collect();
    let own: u64 = uppers.iter().sum();
    let layer = before / 2;
    assert!(
        uppers.iter().all(|bytes| (1..layer / 4).contains(bytes)),
        "{uppers:?} of {layer}"
    );
    assert!(
        (own..own + own / 10).contains(&grown),
        "the store grew by {grown} bytes for {own} in {COPIES} copies"
    );
    of_each(&copies, |_, copy| copy.delete(&["--force"]).ok().text());
    assert_eq!(fs::read_dir(&snapshots).expect("read").count(), 0);
    assert!(disk_bytes(&store) < before + (1 << 20));
}

/// The archive of a root with a filled database, made once on a machine.
fn bank() -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/engines/scenarios/bank-image");
    let output = Command::new(script).output().expect("run bank-image");
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        skip(format!("no image of Debian's PostgreSQL: {said}"));
    }
    PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())
}

fn server(t: &Sandbox) -> Container<'_> {
    let copy = Container::named(t, &t.bundle(), t.new_id());
    let head = [
        "--image", "bank", "--name", &copy.id, "-d", "-u", "postgres",
    ];
    run(t, &[&head[..], &["--"], &SERVER].concat())
        .output()
        .ok();
    copy
}

/// What each copy says, asked all at once.
fn of_each(
    copies: &[(u64, Container)],
    ask: impl Fn(u64, &Container) -> String + Sync,
) -> Vec<String> {
    std::thread::scope(|scope| {
        let asked: Vec<_> = copies
            .iter()
            .map(|(number, copy)| scope.spawn(|| ask(*number, copy)))
            .collect();
        asked
            .into_iter()
            .map(|answer| answer.join().expect("a copy answers"))
            .collect()
    })
}

/// Waits for the server and asks it.
fn query(copy: &Container, statement: &str) -> String {
    copy.sh(&format!(
        "for n in $(seq 400); do pg_isready -q -h /tmp && break; sleep 0.1; done; psql -AtX -h /tmp -c '{statement}'"
    ))
}

/// What `du` counts: blocks, of each file once.
fn disk_bytes(root: &Path) -> u64 {
    let mut seen = BTreeMap::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(path) = waiting.pop() {
        // A server removes files while we look.
        let Ok(facts) = fs::symlink_metadata(&path) else {
            continue;
        };
        if facts.is_dir() {
            let entries = fs::read_dir(&path).into_iter().flatten().flatten();
            waiting.extend(entries.map(|entry| entry.path()));
        }
        seen.insert((facts.dev(), facts.ino()), facts.blocks() * 512);
    }
    seen.values().sum()
}
