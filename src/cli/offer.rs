//! Options as a table, and the pick of those that a command line can mean.
//!
//! Building an option for clap costs more than reading one, and an engine's `create` uses three of a dozen. Where a word
//! is none of the table's, all are built: an error and a page of help speak of all. docs/performance.md

use super::argument::{flag, option, options};
use clap::{Arg, ArgAction, Command};
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

/// An option that a command offers.
#[derive(Debug, Clone, Copy)]
pub struct Offer {
    name: &'static str,
    alias: Option<&'static str>,
    letter: Option<char>,
    shape: Shape,
    help: &'static str,
}

/// What follows an option's name.
#[derive(Debug, Clone, Copy)]
enum Shape {
    Flag,
    Switch,
    Value(&'static str),
    Values(&'static str),
}

impl Offer {
    /// `--name`, said or not.
    pub const fn flag(name: &'static str, help: &'static str) -> Offer {
        Offer {
            name,
            alias: None,
            letter: None,
            shape: Shape::Flag,
            help,
        }
    }

    /// `--name=false`, which is true when nothing is said.
    pub const fn switch(name: &'static str, help: &'static str) -> Offer {
        Offer {
            shape: Shape::Switch,
            ..Offer::flag(name, help)
        }
    }

    /// `--name VALUE`; the last one counts.
    pub const fn option(name: &'static str, value: &'static str, help: &'static str) -> Offer {
        Offer {
            shape: Shape::Value(value),
            ..Offer::flag(name, help)
        }
    }

    /// `--name VALUE`, each of which counts.
    pub const fn options(name: &'static str, value: &'static str, help: &'static str) -> Offer {
        Offer {
            shape: Shape::Values(value),
            ..Offer::flag(name, help)
        }
    }

    /// The same by one letter, `-l`.
    pub const fn short(self, letter: char) -> Offer {
        Offer {
            letter: Some(letter),
            ..self
        }
    }

    /// The same by another name, which no help tells.
    pub const fn alias(self, name: &'static str) -> Offer {
        Offer {
            alias: Some(name),
            ..self
        }
    }

    fn is(&self, said: Said<'_>) -> bool {
        match said {
            Said::Name(name) => {
                let alias = self.alias.map(str::as_bytes);
                self.name.as_bytes() == name || alias == Some(name)
            }
            Said::Letter(letter) => self.letter == Some(char::from(letter)),
        }
    }

    fn build(&self) -> Arg {
        let mut arg = match self.shape {
            Shape::Flag => flag(self.name, self.help),
            Shape::Switch => flag(self.name, self.help)
                .action(ArgAction::Set)
                .value_parser(clap::value_parser!(bool))
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("true")
                .default_value("true"),
            Shape::Value(value) => option(self.name, value, self.help),
            Shape::Values(value) => options(self.name, value, self.help),
        };
        if let Some(letter) = self.letter {
            arg = arg.short(letter);
        }
        match self.alias {
            Some(alias) => arg.alias(alias),
            None => arg,
        }
    }
}

/// The command with all that the tables offer.
pub fn with_all(command: Command, tables: &[&[Offer]]) -> Command {
    command.args(tables.iter().copied().flatten().map(Offer::build))
}

/// The command with what these words can mean; nothing when one of them means none of the tables'.
pub fn with_meant(command: Command, tables: &[&[Offer]], words: &[OsString]) -> Option<Command> {
    let mut meant: Vec<&Offer> = Vec::new();
    let known = each_option(words, &mut |said| {
        let mut offers = tables.iter().copied().flatten();
        let offer = offers.find(|offer| offer.is(said));
        if let Some(offer) = offer
            && !meant.iter().any(|other| other.name == offer.name)
        {
            meant.push(offer);
        }
        offer.is_some()
    });
    known.then(|| command.args(meant.into_iter().map(Offer::build)))
}

/// How a word calls an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said<'w> {
    /// `--name`, `-name` or `--name=VALUE`.
    Name(&'w [u8]),
    /// One of `-abc`.
    Letter(u8),
}

/// Whether `is_known` knows every option that these words can mean, up to `--`.
fn each_option(words: &[OsString], is_known: &mut dyn FnMut(Said<'_>) -> bool) -> bool {
    let options = words
        .iter()
        .map(|word| word.as_bytes())
        .take_while(|word| *word != b"--")
        .filter(|word| word.starts_with(b"-"));
    for word in options {
        let dashes = word.iter().take_while(|byte| **byte == b'-').count();
        let name = word[dashes..].split(|byte| *byte == b'=').next();
        let name = name.unwrap_or_default();
        if name.is_empty() {
            return false;
        }
        let letters = dashes == 1;
        if !(is_known(Said::Name(name))
            || letters && name.iter().all(|letter| is_known(Said::Letter(*letter))))
        {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &[Offer] = &[
        Offer::option("bundle", "DIR", "a bundle").short('b'),
        Offer::flag("detach", "don't wait").short('d'),
    ];
    const SHARED: &[Offer] = &[
        Offer::options("env", "NAME=VALUE", "a variable").short('e'),
        Offer::option("network", "WHICH", "whose network").alias("net"),
        Offer::switch("tls-verify", "verify certificates"),
    ];

    #[test]
    fn words_choose_what_is_built() {
        let built = |text: &str| {
            let words: Vec<_> = text.split(' ').map(OsString::from).collect();
            let command = with_meant(Command::new("run"), &[OWN, SHARED], &words)?;
            let names = command.get_arguments().map(|arg| arg.get_id().to_string());
            Some(names.collect::<Vec<_>>().join(" "))
        };
        let meant = |text| built(text).unwrap_or_else(|| "all".to_owned());
        assert_eq!(meant("name"), "");
        assert_eq!(meant("--bundle /b name"), "bundle");
        assert_eq!(meant("-bundle=/b -d name"), "bundle detach");
        assert_eq!(meant("-de A=1 -e B=2"), "detach env");
        assert_eq!(meant("--net=host --network none"), "network");
        assert_eq!(meant("name -- --colour -x"), "");
        for other in ["--help", "-h", "-b/b", "--colour", "-", "--=x", "-dx"] {
            assert_eq!(meant(other), "all", "{other}");
        }
        let all = with_all(Command::new("run"), &[OWN, SHARED]);
        assert_eq!(all.get_arguments().count(), 5);
    }

    #[test]
    fn a_switch_is_on_until_it_is_turned_off() {
        for (line, on) in [
            ("x", true),
            ("x --tls-verify", true),
            ("x --tls-verify=false", false),
        ] {
            let command = with_all(Command::new("x"), &[SHARED]);
            let matches = command.get_matches_from(line.split(' '));
            assert_eq!(matches.get_one("tls-verify"), Some(&on), "{line}");
        }
    }
}
