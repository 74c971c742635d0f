//! Sizes, names, headers, and words that mean unfinished work.

use super::text::functions;
use super::{demand, root, sources};
use std::process::Command;

/// Longest file and function, in lines.
const FILE_LINES: usize = 600;
const FUNCTION_LINES: usize = 80;
const MAIN_LINES: usize = 80;

/// Functions that are tables: one line an entry, nothing to split.
const TABLES: &[&str] = &[
    "rootfs/src/mount/tests.rs::an_operation_is_a_sentence",
    "src/plan/display/tests.rs::steps_are_sentences",
    "src/plan/validate/tests.rs::a_setting_without_its_namespace_would_reach_the_host",
    "src/plan/validate/tests.rs::what_peers_accept_is_a_warning_unless_strict",
    "src/plan/validate/tests/refused.rs::a_forbidden_value_is_refused_by_its_json_path",
    "tests/config/bad_seccomp.rs::seccomp",
    "tests/config/seccomp.rs::allow_only",
];

#[test]
fn files_open_with_their_purpose() {
    let opens = |text: &str| {
        text.lines()
            .next()
            .is_some_and(|line| line.starts_with("//! "))
    };
    let violations = sources()
        .iter()
        .filter(|source| !opens(&source.text))
        .map(|source| source.path.clone())
        .collect();
    demand("each file opens with `//!`: what it owns", violations);
}

#[test]
fn files_and_functions_are_short() {
    let mut violations = Vec::new();
    for source in sources() {
        let limit = match source.path.as_str() {
            "src/main.rs" => MAIN_LINES,
            _ => FILE_LINES,
        };
        let lines = source.text.lines().count();
        if lines > limit {
            violations.push(format!("{}: {lines} lines", source.path));
        }
        for (name, line, lines) in functions(&source.code) {
            let place = format!("{}::{name}", source.path);
            if lines > FUNCTION_LINES && !TABLES.contains(&place.as_str()) {
                violations.push(format!("{}:{line}: {name} has {lines} lines", source.path));
            }
        }
    }
    demand("files <= 600 lines, functions <= 80", violations);
}

#[test]
fn names_say_what_things_are() {
    let empty = [
        "util", "utils", "common", "helper", "helpers", "misc", "manager", "handler",
    ];
    let violations = sources()
        .iter()
        .filter(|source| {
            let mut parts = source.path.split(['/', '_', '.']);
            parts.any(|part| empty.contains(&part))
        })
        .map(|source| source.path.clone())
        .collect();
    demand("no file is named after nothing in particular", violations);
}

#[test]
fn nothing_is_left_for_later() {
    // Pieced together, so that this file doesn't find itself.
    let words = [
        ["todo", "!("],
        ["unimplemented", "!("],
        ["TO", "DO"],
        ["FIX", "ME"],
        ["XX", "X"],
        ["#[ign", "ore"],
    ];
    let mut violations = Vec::new();
    for source in sources() {
        for (number, line) in source.text.lines().enumerate() {
            // Runs of X are placeholders of mkstemp and of digests.
            let line = line.replace("XXXX", "");
            let found = words.iter().map(|parts| parts.concat());
            for word in found.filter(|word| line.contains(word.as_str())) {
                violations.push(format!("{}:{}: {word}", source.path, number + 1));
            }
        }
    }
    demand(
        "nothing is left for later, no test is switched off",
        violations,
    );
}

/// What the top level holds, besides what git and cargo put there.
const TOP_LEVEL: &[&str] = &[
    ".cargo",
    ".ci",
    ".gitignore",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "benches",
    "docs",
    "oci",
    "rootfs",
    "src",
    "tests",
];

#[test]
fn the_top_level_is_as_listed() {
    let listed = Command::new("git")
        .args(["ls-tree", "--name-only", "HEAD"])
        .current_dir(root())
        .output();
    let present: Vec<String> = match listed {
        Ok(output) if output.status.success() => {
            let text = String::from_utf8_lossy(&output.stdout);
            text.lines().map(str::to_owned).collect()
        }
        // A source archive, or a clone that git doesn't trust.
        _ => std::fs::read_dir(root())
            .expect("list the repository")
            .map(|entry| entry.expect("read the repository").file_name())
            .map(|name| name.to_string_lossy().into_owned())
            .filter(|name| ![".git", "target"].contains(&name.as_str()))
            .collect(),
    };
    let unknown = present
        .iter()
        .filter(|name| !TOP_LEVEL.contains(&name.as_str()))
        .map(|name| format!("{name} has no place here"));
    let missing = TOP_LEVEL
        .iter()
        .filter(|name| !root().join(name).exists())
        .map(|name| format!("{name} is missing"));
    demand(
        "the top level is as listed",
        unknown.chain(missing).collect(),
    );
}
