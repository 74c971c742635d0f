//! The command line: finds the subcommand, parses its arguments, calls its file's `run`.
//!
//! The only room that knows clap, stdout and exit codes. A command builds the parser of its one subcommand; only help,
//! completion and manual pages build them all.

mod argument;
mod checkpoint;
mod completion;
mod create;
mod delete;
mod demo;
mod events;
mod exec;
mod features;
mod globals;
mod help;
mod image;
mod image_run;
mod install;
mod kill;
mod list;
mod log;
mod man;
mod matching;
mod mounts;
mod offer;
mod pause;
mod plan;
mod ps;
mod restore;
mod resume;
mod run;
mod spec;
mod start;
mod state;
mod update;
mod version;
mod words;

use crate::container::{self, Globals};
use crate::error::{Error, Result};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgMatches, Command};
use std::ffi::OsString;
use std::io::Write;
use words::Stop;

/// The exit code of a failed command.
const FAILURE: u8 = 1;
/// COMPAT(runc): the exit code when `exec` failed before its process ran.
const EXEC_FAILURE: u8 = 255;
/// COMPAT(runc): the exit code for a subcommand that doesn't exist.
const UNKNOWN_COMMAND: u8 = 3;

/// What a command ends with, 0 for success; the standard library's hides its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitCode(u8);

impl ExitCode {
    /// All is well.
    pub const SUCCESS: ExitCode = ExitCode(0);
}

/// The commands whose processes could lay hands on our binary.
const MAKES_PROCESSES: [Option<&str>; 3] = [Some("create"), Some("run"), Some("exec")];

/// One subcommand.
struct Verb {
    name: &'static str,
    command: fn() -> Command,
    /// The same with no more options than a command line needs, where that saves time.
    brief: fn(&[OsString]) -> Option<Command>,
    run: fn(&Globals, &ArgMatches) -> Result<ExitCode>,
    /// Where its command line stops being ours.
    stop: Stop,
    /// The exit code when it fails.
    failure: u8,
}

macro_rules! verb {
    ($name:ident) => {
        Verb {
            name: stringify!($name),
            command: $name::command,
            brief: |_| None,
            run: $name::run,
            stop: Stop::Never,
            failure: FAILURE,
        }
    };
}

const VERBS: &[Verb] = &[
    verb!(checkpoint),
    verb!(completion),
    Verb {
        brief: create::brief,
        ..verb!(create)
    },
    verb!(delete),
    verb!(demo),
    verb!(events),
    Verb {
        stop: Stop::Before(1),
        failure: EXEC_FAILURE,
        brief: exec::brief,
        ..verb!(exec)
    },
    verb!(features),
    verb!(image),
    verb!(install),
    verb!(kill),
    verb!(list),
    verb!(man),
    verb!(mounts),
    verb!(pause),
    verb!(plan),
    Verb {
        stop: Stop::Behind(0),
        ..verb!(ps)
    },
    verb!(restore),
    verb!(resume),
    Verb {
        brief: run::brief,
        ..verb!(run)
    },
    verb!(spec),
    verb!(start),
    verb!(state),
    verb!(update),
];

/// The same subcommands of a container that is made from an image: with options of their own, which no command line of a
/// bundle pays for.
const IMAGE_VERBS: &[Verb] = &[
    Verb {
        name: "create",
        command: image_run::create_command,
        brief: image_run::create_command_for,
        run: image_run::create,
        stop: Stop::Before(0),
        failure: FAILURE,
    },
    Verb {
        name: "run",
        command: image_run::run_command,
        brief: image_run::run_command_for,
        run: image_run::run,
        stop: Stop::Before(0),
        failure: FAILURE,
    },
];

/// A failed command: what to say, and the exit code.
struct Failed {
    error: Error,
    code: u8,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Failed {
            error,
            code: FAILURE,
        }
    }
}

/// Runs one command line, without the program's name. Every error is reported here and nowhere else.
pub fn run(words: Vec<OsString>) -> u8 {
    let is_front = container::front::is_meant();
    if !is_front
        && words
            .iter()
            .any(|word| MAKES_PROCESSES.contains(&word.to_str()))
    {
        // The earlier, the less is done twice. Where it fails, the command itself tries again and says why.
        let _ = container::own_binary::protect();
        container::trace::begin_if_asked(&words);
    }
    let done = match is_front {
        true => container::front::run(words)
            .map(exit_code)
            .map_err(Failed::from),
        false => dispatch(words),
    };
    match done {
        Ok(ExitCode(code)) => {
            log::finish();
            code
        }
        Err(failed) => {
            log::report(&failed.error);
            // Everything is undone and told: a signal that asked us to end does so now.
            container::deliver_signals();
            failed.code
        }
    }
}

fn dispatch(words: Vec<OsString>) -> Result<ExitCode, Failed> {
    let begins_with_option = |word: &OsString| word.as_encoded_bytes().starts_with(b"-");
    let (matches, mut rest) = match words.first().is_some_and(begins_with_option) {
        false => (None, words),
        true => {
            let command = globals::command();
            let (ours, rest) = words::normalise(&command, words, Stop::Before(0));
            if ours.iter().any(|word| word == "--help" || word == "-h") {
                return Ok(help::print_all()?);
            }
            (Some(parse(command, ours)?), rest)
        }
    };
    if matches
        .as_ref()
        .is_some_and(|matches| matches.get_flag("version"))
    {
        return Ok(version::print_version()?);
    }
    let globals = globals::globals(matches.as_ref())?;
    log::start(&globals.log)?;
    if rest.is_empty() {
        return Ok(help::print_all()?);
    }
    let name = rest.remove(0);
    if name == "help" {
        return help::print_one(rest.first());
    }
    let of_image = image_run::is_meant(&rest).then(|| find_image_verb(&name));
    let verb = match of_image.flatten() {
        Some(verb) => verb,
        None => find(&name)?,
    };
    verb.call(&globals, rest)
}

fn find(name: &OsString) -> Result<&'static Verb, Failed> {
    VERBS.iter().find(|verb| name == verb.name).ok_or_else(|| {
        let name = name.to_string_lossy();
        Failed {
            error: Error::new(format!(
                "No help topic for '{name}': unknown command {name:?}"
            )),
            code: UNKNOWN_COMMAND,
        }
    })
}

fn find_image_verb(name: &OsString) -> Option<&'static Verb> {
    IMAGE_VERBS.iter().find(|verb| name == verb.name)
}

impl Verb {
    fn call(&self, globals: &Globals, words: Vec<OsString>) -> Result<ExitCode, Failed> {
        let Some(matches) = self.parse(words)? else {
            return Ok(ExitCode::SUCCESS);
        };
        (self.run)(globals, &matches).map_err(|error| Failed {
            error,
            code: self.failure,
        })
    }

    /// `None` when help was asked for, and printed.
    fn parse(&self, words: Vec<OsString>) -> Result<Option<ArgMatches>> {
        let brief = (self.brief)(&words).map(|command| self.named(command));
        let command = brief.unwrap_or_else(|| self.command());
        let (mut ours, rest) = words::normalise(&command, words, self.stop);
        if !rest.is_empty() {
            // One `--` is enough, wherever it is: a second one would be the container's first word.
            if !ours.iter().any(|word| word == "--") {
                ours.push("--".into());
            }
            ours.extend(rest);
        }
        match command.try_get_matches_from(program_name(self.name).chain(ours)) {
            Ok(matches) => Ok(Some(matches)),
            Err(error) if error.kind() == ErrorKind::DisplayHelp => {
                print(&error.to_string()).map(|()| None)
            }
            Err(error) => Err(explain(&error)),
        }
    }

    fn command(&self) -> Command {
        self.named((self.command)())
    }

    fn named(&self, command: Command) -> Command {
        command
            .bin_name(format!("crun-lite {}", self.name))
            .args_override_self(true)
            .disable_version_flag(true)
    }
}

fn program_name(name: &str) -> impl Iterator<Item = OsString> {
    std::iter::once(OsString::from(name))
}

fn parse(command: Command, words: Vec<OsString>) -> Result<ArgMatches> {
    command
        .try_get_matches_from(program_name("crun-lite").chain(words))
        .map_err(|error| explain(&error))
}

/// clap's message without its usage lines.
fn explain(error: &clap::Error) -> Error {
    // COMPAT(podman): it asks whether pods can be restored by looking for runc's or crun's sentence.
    if let Some(name) = missing_value(error) {
        return Error::new(format!(
            "flag needs an argument: {name} (option '{name}' requires an argument)"
        ));
    }
    let rendered = error.to_string();
    let paragraph: Vec<&str> = rendered
        .lines()
        .take_while(|line| !line.is_empty())
        .map(str::trim)
        .collect();
    let text = paragraph.join(" ");
    Error::new(text.strip_prefix("error: ").unwrap_or(&text))
}

fn missing_value(error: &clap::Error) -> Option<String> {
    let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    let empty = match error.get(ContextKind::InvalidValue) {
        None => true,
        Some(ContextValue::String(value)) => value.is_empty(),
        Some(_) => false,
    };
    let option = argument.split(' ').next().unwrap_or(argument);
    (error.kind() == ErrorKind::InvalidValue && empty).then(|| option.to_owned())
}

/// The container's exit code as ours.
fn exit_code(code: i32) -> ExitCode {
    ExitCode(code as u8)
}

/// All of `text` to stdout, or an error: a reader that went away is one.
fn print(text: &str) -> Result<()> {
    use crate::error::Context;
    let mut stdout = std::io::stdout().lock();
    stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
        .context("write to stdout")
}

/// A value as indented JSON, with a line end.
fn print_json(value: &impl serde::Serialize) -> Result<()> {
    match serde_json::to_string_pretty(value) {
        Ok(text) => print(&format!("{text}\n")),
        Err(error) => Err(Error::new(format!("write JSON: {error}"))),
    }
}

#[cfg(test)]
mod tests;
