//! Where diagnostics go: stderr for people, a log in logrus's text or JSON for engines.
//!
//! The rest of the binary says `log::warn!`; only `cli::run` reports an error, once. COMPAT(podman): it reads the whole
//! JSON log as one object when a command failed, so warnings are held back until it is known that none did.

use crate::container::options::{LogLevel, LogOptions, LogTarget};
use crate::container::timestamp;
use crate::error::{Context, Error, Result};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixDatagram;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

static LOGGER: OnceLock<Logger> = OnceLock::new();

struct Logger {
    sink: Sink,
    json: bool,
    level: LogLevel,
    /// Lines that wait for the command's end, or for a flush.
    held: Mutex<Vec<(LogLevel, String)>>,
}

enum Sink {
    Stderr,
    File(File),
    Journald { socket: UnixDatagram, name: String },
    Syslog { socket: UnixDatagram, name: String },
}

/// Opens the log. From here on the `log` crate's macros write to it.
pub fn start(options: &LogOptions) -> Result<()> {
    let logger = Logger {
        sink: open(&options.target)?,
        json: options.json,
        level: options.level,
        held: Mutex::default(),
    };
    let logger = LOGGER.get_or_init(|| logger);
    log::set_max_level(match options.level {
        LogLevel::Error => log::LevelFilter::Error,
        LogLevel::Warning => log::LevelFilter::Warn,
        LogLevel::Debug => log::LevelFilter::Trace,
    });
    // Only a second start in one process fails here, and then the first logger goes on.
    let _ = log::set_logger(logger);
    Ok(())
}

/// The command succeeded: what was held back is written.
pub fn finish() {
    if let Some(logger) = LOGGER.get() {
        log::Log::flush(logger);
    }
}

/// The command failed: the error goes to stderr and to the log, as the only line of a JSON log.
pub fn report(error: &Error) {
    let text = sentence(error);
    match LOGGER.get() {
        Some(logger) => {
            logger.lines().clear();
            if !matches!(logger.sink, Sink::Stderr) {
                logger.write(LogLevel::Error, &text);
                for_people(LogLevel::Error, &text);
            } else if logger.json {
                logger.write(LogLevel::Error, &text);
            } else {
                for_people(LogLevel::Error, &text);
            }
        }
        None => for_people(LogLevel::Error, &text),
    }
}

/// Message and hint, on one line whatever they quote.
fn sentence(error: &Error) -> String {
    let text = match error.advice() {
        Some(hint) => format!("{error}. Hint: {hint}"),
        None => error.to_string(),
    };
    text.replace('\n', " ")
}

fn open(target: &LogTarget) -> Result<Sink> {
    match target {
        LogTarget::Stderr => Ok(Sink::Stderr),
        LogTarget::File(path) => OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o644)
            .open(path)
            .map(Sink::File)
            .context(format_args!("open log {}", path.display())),
        LogTarget::Journald(name) => {
            let (socket, name) = (connect("/run/systemd/journal/socket")?, identifier(name));
            Ok(Sink::Journald { socket, name })
        }
        LogTarget::Syslog(name) => {
            let (socket, name) = (connect("/dev/log")?, identifier(name));
            Ok(Sink::Syslog { socket, name })
        }
    }
}

fn connect(path: &str) -> Result<UnixDatagram> {
    UnixDatagram::unbound()
        .and_then(|socket| socket.connect(path).map(|()| socket))
        .context(format_args!("connect to log socket {path}"))
}

fn identifier(name: &str) -> String {
    let name = if name.is_empty() { "crun-lite" } else { name };
    name.replace(['\n', '\0'], "_")
}

impl Logger {
    fn lines(&self) -> MutexGuard<'_, Vec<(LogLevel, String)>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A line that can't be written has nowhere to be reported.
    fn write(&self, level: LogLevel, text: &str) {
        let line = match self.json {
            true => json_line(level, text, &timestamp::now_seconds()),
            false => text_line(level, text, &timestamp::now_seconds()),
        };
        let _ = match &self.sink {
            Sink::Stderr if self.json => std::io::stderr().write_all(line.as_bytes()),
            Sink::Stderr => {
                for_people(level, text);
                Ok(())
            }
            Sink::File(file) => { file }.write_all(line.as_bytes()),
            Sink::Journald { socket, name } => {
                let entry = format!(
                    "MESSAGE={text}\nPRIORITY={}\nSYSLOG_IDENTIFIER={name}\n",
                    priority(level)
                );
                socket.send(entry.as_bytes()).map(drop)
            }
            Sink::Syslog { socket, name } => socket
                .send(format!("<{}>{name}: {text}", priority(level)).as_bytes())
                .map(drop),
        };
    }
}

impl log::Log for Logger {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        weight(metadata.level()) <= self.level
    }

    fn log(&self, record: &log::Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let level = weight(record.level());
        let text = record.args().to_string().replace('\n', " ");
        match self.json && self.level != LogLevel::Debug {
            true => self.lines().push((level, text)),
            false => self.write(level, &text),
        }
    }

    fn flush(&self) {
        for (level, text) in self.lines().drain(..) {
            self.write(level, &text);
        }
    }
}

fn weight(level: log::Level) -> LogLevel {
    match level {
        log::Level::Error => LogLevel::Error,
        log::Level::Warn => LogLevel::Warning,
        _ => LogLevel::Debug,
    }
}

fn word(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Error => "error",
        LogLevel::Warning => "warning",
        LogLevel::Debug => "debug",
    }
}

/// syslog(3)'s number.
fn priority(level: LogLevel) -> u8 {
    match level {
        LogLevel::Error => 3,
        LogLevel::Warning => 4,
        LogLevel::Debug => 7,
    }
}

fn for_people(level: LogLevel, text: &str) {
    let line = format!("crun-lite: {}: {text}\n", word(level));
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// COMPAT(runc): logrus's text form, which scripts match.
fn text_line(level: LogLevel, text: &str, time: &str) -> String {
    format!("time=\"{time}\" level={} msg={text:?}\n", word(level))
}

/// COMPAT(containerd): keys `level`, `msg` and `time`; a `time` that isn't RFC 3339 stops its decoding.
fn json_line(level: LogLevel, text: &str, time: &str) -> String {
    let line = serde_json::json!({"level": word(level), "msg": text, "time": time});
    format!("{line}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_the_forms_of_logrus() {
        let time = "2026-11-21T09:44:57Z";
        assert_eq!(
            json_line(LogLevel::Error, "a \"b\"", time),
            "{\"level\":\"error\",\"msg\":\"a \\\"b\\\"\",\"time\":\"2026-11-21T09:44:57Z\"}\n"
        );
        assert_eq!(
            text_line(LogLevel::Warning, "a \"b\"", time),
            "time=\"2026-11-21T09:44:57Z\" level=warning msg=\"a \\\"b\\\"\"\n"
        );
    }

    #[test]
    fn an_error_is_one_line() {
        let error = Error::new("mount a\nb: denied").hint("try c");
        assert_eq!(sentence(&error), "mount a b: denied. Hint: try c");
    }
}
