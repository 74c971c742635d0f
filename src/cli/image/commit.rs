//! `image commit`: a container's changes as a new image.

use super::home;
use crate::cli::argument::{flag, option, options, positional, text, texts};
use crate::cli::{ExitCode, print};
use crate::container::image::{CommitOptions, commit, compression};
use crate::container::{Globals, Id};
use crate::error::{Error, Result};
use clap::{Arg, ArgMatches, Command};
use oci::build::Change;
use serde_json::{Map, Value, json};

pub fn command() -> Command {
    Command::new("commit")
        .about("make an image of what a container has changed")
        .arg(
            Arg::new("container")
                .value_name("CONTAINER")
                .help("a container of an image, running or ended")
                .required(true),
        )
        .arg(
            Arg::new("name")
                .value_name("NAME")
                .help("the new image's name in the store")
                .required(true),
        )
        .arg(options(
            "change",
            "'FIELD VALUE'",
            "CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME or WORKDIR, as in a Dockerfile",
        )
        .short('c'))
        .arg(option("author", "TEXT", "who made it").short('a'))
        .arg(option("message", "TEXT", "for the image's history").short('m'))
        .arg(option("compression", "HOW", "none or gzip (default: gzip)"))
        .arg(flag("no-pause", "don't freeze a running container meanwhile"))
}

pub fn run(globals: &Globals, matches: &ArgMatches) -> Result<ExitCode> {
    let id = Id::parse(&positional(matches, "container").unwrap_or_default())?;
    let how = text(matches, "compression")?;
    // Opened for its message: a store that can't be used is told before anything is packed.
    home(matches)?;
    let options = CommitOptions {
        name: positional(matches, "name").unwrap_or_default(),
        change: Change {
            author: text(matches, "author")?,
            comment: text(matches, "message")?,
            config: changes(&texts(matches, "change")?)?,
            ..Change::default()
        },
        compression: compression(how.as_deref().unwrap_or("gzip"))?,
        pause: !matches.get_flag("no-pause"),
    };
    let digest = commit(globals, &id, &options)?;
    print(&format!("{digest}\n"))?;
    Ok(ExitCode::SUCCESS)
}

/// The instructions of a Dockerfile that are about the configuration.
fn changes(instructions: &[String]) -> Result<Map<String, Value>> {
    let mut config = Map::new();
    for text in instructions {
        let (name, value) = text.split_once([' ', '=']).unwrap_or((text, ""));
        let value = value.trim();
        let set = |config: &mut Map<String, Value>, field: &str, value: Value| {
            config.insert(field.to_owned(), value);
        };
        let pair = || {
            let pair = value.split_once('=');
            pair.ok_or_else(|| Error::new(format!("--change {text:?}: want NAME=VALUE")))
        };
        match name.to_ascii_uppercase().as_str() {
            "CMD" => set(&mut config, "Cmd", command_line(value)?),
            "ENTRYPOINT" => set(&mut config, "Entrypoint", command_line(value)?),
            "USER" => set(&mut config, "User", json!(value)),
            "WORKDIR" => set(&mut config, "WorkingDir", json!(value)),
            "STOPSIGNAL" => set(&mut config, "StopSignal", json!(value)),
            "ENV" => add(&mut config, "Env", pair()?.0, json!(value)),
            "LABEL" => add(&mut config, "Labels", pair()?.0, json!(pair()?.1)),
            "EXPOSE" => add(&mut config, "ExposedPorts", value, json!({})),
            "VOLUME" => add(&mut config, "Volumes", value, json!({})),
            _ => {
                return Err(Error::new(format!("--change {text:?}: unknown instruction"))
                    .hint("want CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME or WORKDIR"));
            }
        }
    }
    Ok(config)
}

/// Collected by name here, laid over the parent's later.
fn add(config: &mut Map<String, Value>, field: &str, name: &str, value: Value) {
    let entry = config.entry(field).or_insert_with(|| json!({}));
    entry[name] = value;
}

/// `["a", "b"]`, or words for a shell.
fn command_line(text: &str) -> Result<Value> {
    match text.starts_with('[') {
        false if text.is_empty() => Ok(Value::Null),
        false => Ok(json!(["/bin/sh", "-c", text])),
        true => serde_json::from_str::<Vec<String>>(text)
            .map(|words| json!(words))
            .map_err(|error| Error::new(format!("--change {text:?}: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_become_fields() {
        let made = |texts: &[&str]| {
            let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
            changes(&texts).map(Value::Object)
        };
        let config = made(&[
            r#"CMD ["a", "b c"]"#,
            "entrypoint run it",
            "ENV A=1=2",
            "ENV B=3",
            "LABEL colour=blue",
            "EXPOSE 80/tcp",
            "USER web",
        ])
        .unwrap();
        assert_eq!(
            config,
            json!({"Cmd": ["a", "b c"], "Entrypoint": ["/bin/sh", "-c", "run it"],
                "Env": {"A": "A=1=2", "B": "B=3"}, "Labels": {"colour": "blue"},
                "ExposedPorts": {"80/tcp": {}}, "User": "web"})
        );
        assert_eq!(made(&["CMD"]).unwrap(), json!({"Cmd": null}));
        for bad in ["FROM x", "ENV A", "CMD [1]"] {
            assert!(made(&[bad]).is_err(), "{bad}");
        }
    }
}
