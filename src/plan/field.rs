//! A field of the configuration by its JSON path, and what can be wrong with any of them.

use crate::error::{Error, Result};
use std::ffi::CString;
use std::fmt::Display;

/// The error about one field: `process.rlimits[2].type: "RLIMIT_X" is no resource limit`.
pub(super) fn invalid(at: impl Display, problem: impl Display) -> Error {
    Error::new(format!("{at}: {problem}"))
}

/// A field's text as system calls take it.
pub(super) fn c_string(at: impl Display, text: impl Into<Vec<u8>>) -> Result<CString> {
    CString::new(text).map_err(|_| invalid(at, "holds a NUL byte"))
}

/// The number behind a name of one of the specification's enumerations.
pub(super) fn by_name<T: Copy>(
    table: &[(&str, T)],
    at: impl Display,
    name: &str,
    what: &str,
) -> Result<T> {
    let found = table.iter().find(|(known, _)| *known == name);
    found.map(|(_, value)| *value).ok_or_else(|| match name {
        "" => invalid(at, format_args!("is required: {what}")),
        _ => invalid(at, format_args!("{name:?} is not {what}")),
    })
}

/// The path of a kernel parameter below /proc/sys. As sysctl(8) has it, whichever of `.` and `/` comes first separates,
/// and the other one stands for it inside a name: `net.ipv4.conf.eth0/100.forwarding`.
pub(super) fn parameter_path(name: &str) -> String {
    match name.find(['.', '/']) {
        Some(first) if name.as_bytes()[first] == b'.' => {
            let swap = |character| match character {
                '.' => '/',
                '/' => '.',
                other => other,
            };
            name.chars().map(swap).collect()
        }
        _ => name.to_owned(),
    }
}
