//! The command lines of both peers parse, each option with its meaning.

use super::*;

/// Command lines of runc's and crun's that must parse, one a line; the first word is the subcommand.
const LINES: &str = include_str!("tests/lines.txt");

fn parse_line(line: &str) -> Result<Option<ArgMatches>> {
    let mut words = line.split_whitespace().map(OsString::from);
    let name = words.next().unwrap();
    let verb = find(&name).ok().expect("known command");
    verb.parse(words.collect())
}

#[test]
fn every_option_of_both_peers_parses() {
    for line in LINES.lines().filter(|line| !line.is_empty()) {
        match parse_line(line) {
            Ok(Some(_)) => {}
            Ok(None) => panic!("{line}: help"),
            Err(error) => panic!("{line}: {error}"),
        }
    }
}

#[test]
fn errors_are_one_sentence() {
    for (line, expected) in [
        ("state", "required"),
        ("state a b", "unexpected argument 'b'"),
        ("state --bogus a", "unexpected argument '--bogus'"),
        (
            "restore --lsm-mount-context",
            "flag needs an argument: --lsm-mount-context",
        ),
        ("restore --lsm-mount-context", "requires an argument"),
        ("list -f", "flag needs an argument: --format"),
    ] {
        let error = parse_line(line).unwrap_err().to_string();
        assert!(error.contains(expected), "{line}: {error}");
        assert!(!error.contains('\n') && !error.contains("Usage"), "{error}");
    }
}

#[test]
fn the_whole_tree_is_consistent() {
    help::whole_tree().debug_assert();
    for verb in VERBS {
        verb.command().debug_assert();
        assert_eq!(verb.command().get_name(), verb.name);
    }
}

#[test]
fn an_unknown_command_has_a_code_of_its_own() {
    let failed = find(&"foo".into()).err().unwrap();
    assert_eq!(failed.code, UNKNOWN_COMMAND);
    assert!(failed.error.to_string().contains("No help topic for 'foo'"));
}
