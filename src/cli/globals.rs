//! The options before the subcommand, and the defaults that depend on who calls.

use super::argument::{flag, option, path, text};
use crate::container::Globals;
use crate::container::image::is_machine_root;
use crate::container::options::{LogLevel, LogOptions, LogTarget, Rootless};
use crate::error::{Error, Result};
use crate::plan::CgroupManager;
use clap::{ArgMatches, Command};
use std::path::PathBuf;

/// The command without subcommands.
pub fn command() -> Command {
    Command::new("crun-lite")
        .about("A lightweight OCI container runtime")
        .override_usage("crun-lite [OPTIONS] COMMAND [ARGUMENTS]")
        .disable_version_flag(true)
        .disable_help_subcommand(true)
        .args_override_self(true)
        .arg(flag("debug", "log what is done"))
        .arg(
            option(
                "log",
                "FILE",
                "write the log to FILE, file:FILE, journald:ID or syslog:ID",
            )
            .short('l'),
        )
        .arg(option("log-format", "FORMAT", "text or json"))
        .arg(option("log-level", "LEVEL", "error, warning or debug"))
        .arg(option("root", "DIR", "directory of the containers' state").short('r'))
        .arg(flag("systemd-cgroup", "make cgroups through systemd").short('s'))
        .arg(option(
            "cgroup-manager",
            "MANAGER",
            "cgroupfs, systemd or disabled",
        ))
        .arg(option(
            "rootless",
            "VALUE",
            "true, false or auto: bear cgroups that can't be made",
        ))
        .arg(option("criu", "PATH", "ignored; criu is found by PATH"))
        .arg(flag(
            "strict",
            "refuse what the specification forbids even where runc and crun accept it",
        ))
        .arg(
            flag("version", "print the version")
                .short('v')
                .visible_short_alias('V'),
        )
}

/// What was said of the options.
struct Said<'m>(Option<&'m ArgMatches>);

impl Said<'_> {
    fn flag(&self, name: &str) -> bool {
        self.0.is_some_and(|matches| matches.get_flag(name))
    }

    fn text(&self, name: &str) -> Result<Option<String>> {
        self.0.map_or(Ok(None), |matches| text(matches, name))
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        self.0.and_then(|matches| path(matches, name))
    }
}

/// The options that were given, with defaults for the others. Where none was, there is nothing to parse: `None`.
pub fn globals(matches: Option<&ArgMatches>) -> Result<Globals> {
    let said = Said(matches);
    let named_root = said.path("root");
    let debug = said.flag("debug");
    Ok(Globals {
        root_named: named_root.is_some(),
        root: named_root.unwrap_or_else(default_root),
        cgroup_manager: cgroup_manager(&said)?,
        debug,
        strict: said.flag("strict") || std::env::var_os("CRUN_LITE_STRICT").is_some(),
        rootless: rootless(&said)?,
        log: log_options(&said, debug)?,
    })
}

fn cgroup_manager(said: &Said<'_>) -> Result<CgroupManager> {
    match said.text("cgroup-manager")?.as_deref() {
        Some("cgroupfs") => Ok(CgroupManager::Cgroupfs),
        Some("systemd") => Ok(CgroupManager::Systemd),
        Some("disabled") => Ok(CgroupManager::Disabled),
        None if said.flag("systemd-cgroup") => Ok(CgroupManager::Systemd),
        None => Ok(CgroupManager::Cgroupfs),
        Some(other) => Err(unknown(
            "cgroup-manager",
            other,
            "cgroupfs, systemd or disabled",
        )),
    }
}

fn rootless(said: &Said<'_>) -> Result<Rootless> {
    match said.text("rootless")?.as_deref() {
        None | Some("auto") => Ok(Rootless::Auto),
        Some("true" | "1") => Ok(Rootless::True),
        Some("false" | "0") => Ok(Rootless::False),
        Some(other) => Err(unknown("rootless", other, "true, false or auto")),
    }
}

fn log_options(said: &Said<'_>, debug: bool) -> Result<LogOptions> {
    let json = match said.text("log-format")?.as_deref() {
        None | Some("text") => false,
        Some("json") => true,
        Some(other) => return Err(unknown("log-format", other, "text or json")),
    };
    let level = match said.text("log-level")?.as_deref() {
        _ if debug => LogLevel::Debug,
        None | Some("warning" | "warn" | "info") => LogLevel::Warning,
        Some("error" | "fatal" | "panic") => LogLevel::Error,
        Some("debug" | "trace") => LogLevel::Debug,
        Some(other) => return Err(unknown("log-level", other, "error, warning or debug")),
    };
    let target = said
        .text("log")?
        .map_or(LogTarget::Stderr, |text| log_target(&text));
    Ok(LogOptions {
        target,
        json,
        level,
    })
}

/// COMPAT(crun): a scheme may say what the text is; COMPAT(runc): a plain text is a path.
fn log_target(text: &str) -> LogTarget {
    match text.split_once(':') {
        Some(("file", path)) => LogTarget::File(path.into()),
        Some(("journald", name)) => LogTarget::Journald(name.into()),
        Some(("syslog", name)) => LogTarget::Syslog(name.into()),
        _ => LogTarget::File(text.into()),
    }
}

fn unknown(name: &str, value: &str, known: &str) -> Error {
    Error::new(format!("--{name}: unknown value {value:?}, want {known}"))
}

/// COMPAT(runc): the session's directory for whoever isn't the machine's root, `/run/crun-lite` otherwise.
///
/// Podman runs a rootless user's runtime as id 0 of a user namespace, where /run can't be written: `USER` tells,
/// and where it is unset (cron, setpriv) such a namespace is a session's.
fn default_root() -> PathBuf {
    let session = std::env::var_os("XDG_RUNTIME_DIR").filter(|dir| !dir.is_empty());
    match session {
        Some(dir) if is_session_user() => PathBuf::from(dir).join("crun-lite"),
        _ => PathBuf::from("/run/crun-lite"),
    }
}

fn is_session_user() -> bool {
    match std::env::var_os("USER").is_some_and(|user| user == "root") {
        true => !nix::unistd::geteuid().is_root(),
        false => !is_machine_root(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Globals> {
        let line = std::iter::once("crun-lite").chain(words.iter().copied());
        globals(Some(&command().try_get_matches_from(line).unwrap()))
    }

    #[test]
    fn the_scheme_of_crun_and_the_path_of_runc_name_a_log() {
        for (text, target) in [
            ("/a:b/log", LogTarget::File("/a:b/log".into())),
            ("file:/a", LogTarget::File("/a".into())),
            ("journald:me", LogTarget::Journald("me".into())),
            ("syslog:me", LogTarget::Syslog("me".into())),
        ] {
            assert_eq!(log_target(text), target);
        }
    }

    #[test]
    fn defaults_and_every_option() {
        let globals = parse(&[]).unwrap();
        assert!(!globals.root_named && !globals.debug && !globals.log.json);
        let globals = parse(&[
            "--debug",
            "--log=/l",
            "--log-format=json",
            "--log-level=error",
            "--root=/r",
            "--systemd-cgroup",
            "--rootless=true",
            "--criu=/c",
            "--strict",
        ])
        .unwrap();
        assert_eq!(globals.root, PathBuf::from("/r"));
        assert_eq!(globals.cgroup_manager, CgroupManager::Systemd);
        assert_eq!(globals.log.level, LogLevel::Debug);
        assert!(globals.root_named && globals.strict && globals.log.json);
        assert_eq!(globals.rootless, Rootless::True);
    }

    #[test]
    fn unknown_values_are_named() {
        for word in [
            "--rootless=x",
            "--log-format=x",
            "--log-level=x",
            "--cgroup-manager=x",
        ] {
            let error = parse(&[word]).unwrap_err().to_string();
            assert!(error.contains("unknown value \"x\""), "{error}");
        }
    }
}
