//! Pure: brings a command line into the one form that clap gets, `--long=value`.
//!
//! The peers' parsers disagree with clap's: Go's takes `-pid-file X` and `--detach=false`, and any word as an option's
//! value; argp's takes clusters. Engines use all of it. What isn't recognised passes unchanged, for clap to refuse.

use clap::{Arg, Command};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// Where a command line stops being ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Options are accepted anywhere.
    Never,
    /// At the positional word with this index, which is not ours.
    Before(usize),
    /// Right behind the positional word with this index.
    Behind(usize),
}

/// Splits `words` at `stop` into ours, in normal form, and the rest, untouched.
pub fn normalise(
    command: &Command,
    words: Vec<OsString>,
    stop: Stop,
) -> (Vec<OsString>, Vec<OsString>) {
    let mut words = words.into_iter();
    let mut ours = Vec::new();
    let mut positionals = 0;
    let mut options_ended = false;
    while let Some(word) = words.next() {
        if word == "--" && !options_ended {
            if stop == Stop::Before(positionals) {
                return (ours, words.collect());
            }
            options_ended = true;
            ours.push(word);
            continue;
        }
        if is_option(&word) && !options_ended {
            match rewrite(command, &word, &mut words) {
                Some(rewritten) => ours.extend(rewritten),
                None => ours.push(word),
            }
            continue;
        }
        if stop == Stop::Before(positionals) {
            return (ours, std::iter::once(word).chain(words).collect());
        }
        ours.push(word);
        if stop == Stop::Behind(positionals) {
            break;
        }
        positionals += 1;
    }
    (ours, words.collect())
}

fn is_option(word: &OsStr) -> bool {
    word.len() > 1 && word.as_bytes()[0] == b'-'
}

/// The normal form of one option word, its value taken from `following` where it needs one.
fn rewrite(
    command: &Command,
    word: &OsStr,
    following: &mut impl Iterator<Item = OsString>,
) -> Option<Vec<OsString>> {
    let text = word.to_str()?;
    let name = text.trim_start_matches('-');
    if matches!(text, "-?" | "--usage" | "-help") {
        return Some(vec!["--help".into()]);
    }
    let (name, value) = match name.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (name, None),
    };
    let long = name.len() > 1 || text.starts_with("--");
    match command
        .get_arguments()
        .find(|arg| long && is_named(arg, name))
    {
        Some(arg) => Some(spell(arg, value.map(OsString::from), following)),
        None if !text.starts_with("--") => cluster(command, &text[1..], following),
        None => None,
    }
}

fn is_named(arg: &Arg, name: &str) -> bool {
    arg.get_long() == Some(name)
        || arg
            .get_all_aliases()
            .is_some_and(|aliases| aliases.contains(&name))
}

/// `-tu0`, `-b=DIR`, `-bDIR`: single letters, the last of which may have a value.
fn cluster(
    command: &Command,
    letters: &str,
    following: &mut impl Iterator<Item = OsString>,
) -> Option<Vec<OsString>> {
    let mut found = Vec::new();
    for (at, letter) in letters.char_indices() {
        let arg = command
            .get_arguments()
            .find(|arg| arg.get_short() == Some(letter))?;
        let rest = &letters[at + letter.len_utf8()..];
        if takes_value(arg) {
            found.push((
                arg,
                (!rest.is_empty()).then(|| rest.trim_start_matches('=')),
            ));
            break;
        }
        if let Some(value) = rest.strip_prefix('=') {
            found.push((arg, Some(value)));
            break;
        }
        found.push((arg, None));
    }
    Some(
        found
            .into_iter()
            .flat_map(|(arg, value)| spell(arg, value.map(OsString::from), following))
            .collect(),
    )
}

/// `--long=value` for an option, `--long` or nothing for a flag.
fn spell(
    arg: &Arg,
    value: Option<OsString>,
    following: &mut impl Iterator<Item = OsString>,
) -> Vec<OsString> {
    let mut word = OsString::from("--");
    word.push(arg.get_long().unwrap_or_default());
    if takes_value(arg) {
        // Without a value the bare option goes to clap, whose error names it.
        if let Some(value) = value.or_else(|| following.next()) {
            word.push("=");
            word.push(value);
        }
        return vec![word];
    }
    match value {
        Some(value) if is_false(&value) => Vec::new(),
        Some(value) if !is_true(&value) => {
            word.push("=");
            word.push(value);
            vec![word]
        }
        _ => vec![word],
    }
}

fn takes_value(arg: &Arg) -> bool {
    arg.get_action().takes_values()
}

fn is_true(value: &OsStr) -> bool {
    ["1", "t", "T", "true", "TRUE", "True"]
        .iter()
        .any(|text| value == *text)
}

fn is_false(value: &OsStr) -> bool {
    ["0", "f", "F", "false", "FALSE", "False"]
        .iter()
        .any(|text| value == *text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::argument::{flag, option};

    fn command() -> Command {
        Command::new("x")
            .arg(option("bundle", "DIR", "").short('b'))
            .arg(option("pid-file", "FILE", ""))
            .arg(option("env", "NAME=VALUE", "").short('e'))
            .arg(flag("no-subreaper", ""))
            .arg(flag("detach", "").short('d'))
            .arg(flag("tty", "").short('t'))
    }

    fn check(line: &str, stop: Stop, ours: &str, rest: &str) {
        let words = line.split_whitespace().map(OsString::from).collect();
        let (found, left) = normalise(&command(), words, stop);
        let join = |words: Vec<OsString>| words.join(OsStr::new(" ")).into_string().unwrap();
        assert_eq!(
            (join(found).as_str(), join(left).as_str()),
            (ours, rest),
            "{line}"
        );
    }

    #[test]
    fn every_spelling_of_the_peers_becomes_one() {
        for (line, normal) in [
            ("--bundle D c1", "--bundle=D c1"),
            ("c1 --bundle=D", "c1 --bundle=D"),
            ("-bundle D c1", "--bundle=D c1"),
            ("-bundle=D", "--bundle=D"),
            ("-b D", "--bundle=D"),
            ("-bD", "--bundle=D"),
            ("-b=D", "--bundle=D"),
            ("-no-subreaper -pid-file X", "--no-subreaper --pid-file=X"),
            ("-dt", "--detach --tty"),
            ("-dtb D", "--detach --tty --bundle=D"),
            ("--detach=true -tty=false --no-subreaper=0", "--detach"),
            ("--detach=maybe", "--detach=maybe"),
            ("-b -x", "--bundle=-x"),
            ("--pid-file --detach", "--pid-file=--detach"),
            ("-e A=B=C", "--env=A=B=C"),
            ("--bundle", "--bundle"),
            ("--bogus -xyz -x", "--bogus -xyz -x"),
            ("-? --usage -help", "--help --help --help"),
            ("c1 -- --bundle D", "c1 -- --bundle D"),
            ("-", "-"),
        ] {
            check(line, Stop::Never, normal, "");
        }
    }

    #[test]
    fn a_container_command_is_left_alone() {
        let exec = Stop::Before(1);
        check("-d c1 -t sh -b x", exec, "--detach c1 --tty", "sh -b x");
        check("c1 sh -- -d", exec, "c1", "sh -- -d");
        check("c1 -- -d", exec, "c1", "-d");
        check("-d -- c1 -d", exec, "--detach -- c1", "-d");
        check("-d c1", exec, "--detach c1", "");
        check("-b D c1 -d x", Stop::Behind(0), "--bundle=D c1", "-d x");
        check("-d create -b D", Stop::Before(0), "--detach", "create -b D");
    }
}
