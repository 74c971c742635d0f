//! Documents that can go stale: tests they name, lists of what the code has, files they point at.

use super::text::variants;
use super::{Source, demand, root, sources};
use std::collections::BTreeSet;

fn document(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The cells of each table row below a heading row that has this column; with the row's text.
fn column<'d>(document: &'d str, title: &str) -> Vec<(&'d str, &'d str)> {
    let cells = |line: &'d str| -> Vec<&'d str> {
        line.trim()
            .trim_matches('|')
            .split(" | ")
            .map(str::trim)
            .collect()
    };
    let mut found = Vec::new();
    let mut place = None;
    for line in document.lines() {
        if !line.starts_with('|') {
            place = None;
        } else if let Some(at) = place {
            if !line.starts_with("|---") {
                found.push((line, cells(line).get(at).copied().unwrap_or_default()));
            }
        } else {
            place = cells(line).iter().position(|cell| *cell == title);
        }
    }
    found
}

/// Whether `module::test` is a function in a file, or an inline module, of that name.
fn exists(name: &str, sources: &[Source]) -> bool {
    let mut parts = name.rsplit("::");
    let test = parts.next().unwrap_or_default();
    let module = parts.find(|part| *part != "tests").unwrap_or_default();
    sources.iter().any(|source| {
        let path = source.path.trim_end_matches(".rs");
        path.split('/').any(|part| part == module) && source.code.contains(&format!("fn {test}("))
    })
}

#[test]
fn every_row_names_a_test_that_exists() {
    let sources = sources();
    let mut violations = Vec::new();
    for path in [
        "docs/conformance.md",
        "docs/kernel.md",
        "docs/security.md",
        "docs/fuzz.md",
        "docs/engines.md",
    ] {
        let text = document(path);
        let rows = column(&text, "test");
        assert!(!rows.is_empty(), "{path} has no column `test`");
        for (line, cell) in rows {
            if cell.is_empty() || cell == "–" {
                violations.push(format!("{path}: no test: {line}"));
            }
            for name in quoted(cell).filter(|name| name.contains("::")) {
                if !exists(name, &sources) {
                    violations.push(format!("{path}: {name} does not exist"));
                }
            }
        }
    }
    demand("every row names a test that exists", violations);
}

/// The first words between backticks in the rows of a table with this column.
fn listed<'d>(document: &'d str, title: &str) -> BTreeSet<&'d str> {
    let cells = column(document, title);
    cells.iter().flat_map(|(_, cell)| quoted(cell)).collect()
}

fn compare(paper: &str, said: &BTreeSet<&str>, code: &BTreeSet<&str>) -> Vec<String> {
    let missing = code
        .difference(said)
        .map(|name| format!("{paper} lacks {name}"));
    let stale = said
        .difference(code)
        .map(|name| format!("{paper} lists {name}, the code doesn't"));
    missing.chain(stale).collect()
}

fn code_of<'s>(sources: &'s [Source], path: &str) -> &'s Source {
    sources
        .iter()
        .find(|source| source.path == path)
        .expect(path)
}

#[test]
fn listed_steps_and_messages_are_the_codes() {
    let sources = sources();
    let lists = [
        ("docs/plan.md", "step", "src/plan/step.rs", "Step"),
        (
            "docs/init-protocol.md",
            "from init",
            "src/init/message.rs",
            "FromInit",
        ),
        (
            "docs/init-protocol.md",
            "to init",
            "src/init/message.rs",
            "ToInit",
        ),
    ];
    let mut violations = Vec::new();
    for (paper, title, file, name) in lists {
        let text = document(paper);
        let variants = variants(&code_of(&sources, file).code, name);
        let variants = variants.iter().map(String::as_str).collect();
        violations.extend(compare(paper, &listed(&text, title), &variants));
    }
    demand("lists in documents are the code's", violations);
}

#[test]
fn readme_lists_the_subcommands() {
    let sources = sources();
    let code = &code_of(&sources, "src/cli/mod.rs").code;
    let verbs = code
        .split("verb!(")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(name, _)| name)
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_lowercase()))
        .collect();
    let text = document("README.md");
    demand(
        "README lists the subcommands",
        compare("README.md", &listed(&text, "command"), &verbs),
    );
}

#[test]
fn advisories_and_kernel_versions_in_the_code_have_their_rows() {
    let (security, kernel) = (document("docs/security.md"), document("docs/kernel.md"));
    let mut violations = Vec::new();
    for source in sources() {
        let digits = |text: &str| -> String {
            let end = text.find(|c: char| !c.is_ascii_digit() && c != '-' && c != '.');
            text[..end.unwrap_or(text.len())]
                .trim_end_matches(['-', '.'])
                .to_owned()
        };
        for rest in source.text.split("CVE-").skip(1) {
            let id = digits(rest);
            if id.len() > 5 && !security.contains(&id) {
                violations.push(format!("{}: docs/security.md lacks CVE-{id}", source.path));
            }
        }
        for rest in source.text.split("KERNEL(").skip(1) {
            let version = digits(rest);
            if !version.is_empty() && !kernel.contains(&format!("| {version} |")) {
                violations.push(format!(
                    "{}: docs/kernel.md lacks Linux {version}",
                    source.path
                ));
            }
        }
    }
    demand("every tag in the code has its row", violations);
}

#[test]
fn documents_that_are_pointed_at_exist() {
    let mut texts: Vec<(String, String)> = sources()
        .into_iter()
        .map(|source| (source.path, source.text))
        .collect();
    let mut papers = Vec::new();
    super::walk(&root().join("docs"), &mut papers);
    papers.extend(["README.md", ".cargo/config.toml", "Cargo.toml"].map(|name| root().join(name)));
    for path in papers {
        let text = std::fs::read_to_string(&path).expect("read a document");
        texts.push((path.to_string_lossy().into_owned(), text));
    }
    let mut violations = Vec::new();
    for (place, text) in texts {
        for rest in text.split("docs/").skip(1) {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !"-_/.".contains(c));
            let name = &rest[..end.unwrap_or(rest.len())];
            let name = name.split_once(".md").map(|(stem, _)| stem);
            if let Some(stem) = name.filter(|stem| !root().join(format!("docs/{stem}.md")).exists())
            {
                violations.push(format!("{place}: docs/{stem}.md"));
            }
        }
    }
    demand("documents that are pointed at exist", violations);
}

#[test]
fn decisions_are_numbered_and_named() {
    let mut papers = Vec::new();
    super::walk(&root().join("docs/decisions"), &mut papers);
    let mut numbers = BTreeSet::new();
    let mut violations = Vec::new();
    for path in papers {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let (number, _) = name.split_once('-').unwrap_or((&name, ""));
        let text = std::fs::read_to_string(&path).expect("read a decision");
        let heading = text.trim_start_matches(['#', ' ', '0']);
        if number.len() != 4 || !heading.starts_with(number.trim_start_matches('0')) {
            violations.push(format!("{name} should open with its number"));
        }
        if !numbers.insert(number.to_owned()) {
            violations.push(format!("{name}: its number is taken"));
        }
    }
    demand("decisions are numbered and named", violations);
}
