//! Who may use whom, where unsafe code lives, and which rooms do no input and output.

use super::text::{close_of, line_of, name_at, words};
use super::{Source, demand, sources};

/// Each room of `src/` and the rooms that it may use besides itself. `error` is everybody's, `sys` nobody's debtor.
const EDGES: &[(&str, &[&str])] = &[
    ("sys", &[]),
    ("error", &[]),
    ("host", &["sys", "error"]),
    ("plan", &["host", "error"]),
    ("cgroup", &["plan", "sys", "error"]),
    ("init", &["plan", "sys", "error"]),
    (
        "container",
        &["plan", "init", "cgroup", "host", "sys", "error"],
    ),
    ("cli", &["container", "plan", "error"]),
];

/// The room of a file of `src/`: its directory, or its own name.
fn room(source: &Source) -> Option<&str> {
    let inside = source.path.strip_prefix("src/")?;
    Some(
        inside
            .split('/')
            .next()
            .unwrap_or(inside)
            .trim_end_matches(".rs"),
    )
}

/// The rooms named after `crate::`, in a path or in a group.
fn uses(code: &str) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    for at in words(code, "crate").filter(|at| code[at + 5..].starts_with("::")) {
        let next = at + 7;
        if !code[next..].starts_with('{') {
            found.push((name_at(code, next).to_owned(), line_of(code, at)));
            continue;
        }
        let end = close_of(code, next);
        let mut inside = next + 1;
        while inside < end {
            let skipped = code[inside..].len()
                - code[inside..]
                    .trim_start_matches([' ', '\n', ','].as_slice())
                    .len();
            inside += skipped;
            let name = name_at(code, inside);
            if name.is_empty() {
                break;
            }
            found.push((name.to_owned(), line_of(code, inside)));
            while inside < end && code.as_bytes()[inside] != b',' {
                if code.as_bytes()[inside] == b'{' {
                    inside = close_of(code, inside);
                }
                inside += 1;
            }
        }
    }
    found
}

#[test]
fn rooms_use_only_what_they_may() {
    let mut violations = Vec::new();
    for source in sources() {
        let Some(room) = room(&source).filter(|room| !["main", "lib"].contains(room)) else {
            continue;
        };
        let Some((_, allowed)) = EDGES.iter().find(|(name, _)| *name == room) else {
            violations.push(format!("{}: no such room", source.path));
            continue;
        };
        for (used, line) in uses(&source.product) {
            let is_room = EDGES.iter().any(|(name, _)| *name == used);
            if is_room && used != room && !allowed.contains(&used.as_str()) {
                violations.push(format!("{}:{line}: {room} uses {used}", source.path));
            }
        }
    }
    demand("edges run one way", violations);
}

/// Words that a place's product code may not hold, and why.
const FORBIDDEN: &[(&str, &[&str], &str)] = &[
    (
        "src/plan",
        &[
            "std::fs",
            "std::env",
            "std::net",
            "std::process",
            "nix::unistd",
            "nix::fcntl",
            "nix::sys",
            "nix::mount",
        ],
        "plan is pure",
    ),
    (
        "rootfs/src/mount",
        &[
            "std::fs",
            "std::env",
            "std::process",
            "nix::fcntl",
            "nix::sys",
            "nix::mount",
            "nix::unistd",
            "rustix",
        ],
        "mounts are planned, not made",
    ),
    (
        "src/init",
        &["oci::runtime::Spec", "Spec::parse"],
        "Spec never crosses into init",
    ),
    (
        "src/sys",
        &["oci::", "rootfs::"],
        "sys imports nothing of ours",
    ),
    ("src/init", &["serde_json", "clap::"], "init only executes"),
    (
        "src/cgroup",
        &["oci::runtime::Spec", "clap::"],
        "cgroup only executes",
    ),
    (
        "src/container",
        &["clap::", "println!", "print!("],
        "clap and stdout belong to cli",
    ),
    (
        "oci",
        &[
            "nix::mount",
            "rustix::mount",
            "nix::sched",
            "Command::new",
            "rootfs::",
            "crun_lite",
        ],
        "oci never learns what a mount or a process is",
    ),
    (
        "rootfs",
        &["crun_lite", "clap::"],
        "rootfs knows no runtime",
    ),
];

#[test]
fn rooms_keep_to_their_business() {
    let mut violations = Vec::new();
    for source in sources() {
        for (place, forbidden, why) in FORBIDDEN {
            if !source.is_in(place) {
                continue;
            }
            for word in *forbidden {
                for (at, _) in source.product.match_indices(word) {
                    let line = line_of(&source.product, at);
                    violations.push(format!("{}:{line}: {word}: {why}", source.path));
                }
            }
        }
    }
    demand("each room keeps to its business", violations);
}

/// The parts of `oci` that read and write; all others turn bytes into objects.
const OCI_IO: &[&str] = &[
    "oci/src/store",
    "oci/src/archive",
    "oci/src/registry",
    "oci/src/transfer",
];

#[test]
fn oci_reads_and_writes_only_where_it_says() {
    let mut violations = Vec::new();
    for source in sources() {
        let does_io = OCI_IO.iter().any(|place| source.is_in(place));
        if !source.is_in("oci/src") || does_io {
            continue;
        }
        for word in [
            "std::fs",
            "TcpStream",
            "UdpSocket",
            "env::var",
            "process::Command",
        ] {
            if source.product.contains(word) {
                violations.push(format!("{}: {word}", source.path));
            }
        }
    }
    demand(
        "oci does I/O in store, archive, registry and transfer",
        violations,
    );
}

#[test]
fn unsafe_code_is_in_sys_and_says_why() {
    let mut violations = Vec::new();
    for source in sources() {
        let lines: Vec<&str> = source.text.lines().collect();
        for at in words(&source.code, "unsafe") {
            let line = line_of(&source.code, at);
            if !source.is_in("src/sys") {
                violations.push(format!("{}:{line}: outside src/sys", source.path));
            }
            let before = &lines[line.saturating_sub(12)..line];
            let says_why = |text: &&str| text.contains("SAFETY:") || text.contains("# Safety");
            if !before.iter().any(says_why) {
                violations.push(format!("{}:{line}: no SAFETY comment", source.path));
            }
        }
        if source.code.contains("allow(unsafe_code)") && !source.is_in("src/sys") {
            violations.push(format!("{}: allows unsafe code", source.path));
        }
        if source.code.contains("undocumented_unsafe_blocks") {
            violations.push(format!("{}: lifts a lint", source.path));
        }
    }
    demand("unsafe code is in src/sys, with its reasons", violations);
}

#[test]
fn the_lints_stand() {
    let manifest = |path: &str| std::fs::read_to_string(super::root().join(path)).expect(path);
    let mut violations = Vec::new();
    let wanted = [
        ("Cargo.toml", "unsafe_code = \"deny\""),
        ("Cargo.toml", "undocumented_unsafe_blocks = \"deny\""),
        ("Cargo.toml", "unwrap_used = \"deny\""),
        ("oci/Cargo.toml", "unsafe_code = \"forbid\""),
        ("oci/Cargo.toml", "missing_docs = \"deny\""),
        ("rootfs/Cargo.toml", "unsafe_code = \"forbid\""),
        ("rootfs/Cargo.toml", "missing_docs = \"deny\""),
    ];
    for (path, lint) in wanted {
        if !manifest(path).contains(lint) {
            violations.push(format!("{path}: {lint}"));
        }
    }
    demand("the lints stand", violations);
}

#[test]
fn words_come_from_sys_entry() {
    let mut violations = Vec::new();
    for source in sources() {
        let product = ["src", "oci/src", "rootfs/src"]
            .iter()
            .any(|room| source.is_in(room));
        if product && source.code.contains("env::args") {
            violations.push(format!(
                "{}: std::env::args is empty with musl",
                source.path
            ));
        }
    }
    demand("the command line is read in src/sys/entry.rs", violations);
}
