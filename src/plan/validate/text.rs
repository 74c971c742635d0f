//! No text of the configuration may hold a NUL: every one may end up in a system call, which would see only a part.
//!
//! The usual case, none anywhere, must cost next to nothing: whoever read the configuration has seen whether there can be
//! one. One that we made ourselves is written to a writer that only looks.

use super::{Findings, Subject};
use serde_json::Value;
use std::io::{self, Write};

/// How JSON writes a NUL.
const ESCAPE: &[u8] = br"\u0000";

pub(super) fn no_nul(subject: &Subject<'_>, findings: &mut Findings) {
    if subject.spec.is_free_of_nul {
        return;
    }
    let mut scanner = Scanner { found: false };
    if serde_json::to_writer(&mut scanner, subject.spec).is_ok() && !scanner.found {
        return;
    }
    let place = serde_json::to_value(subject.spec)
        .ok()
        .and_then(|value| place(&value));
    if let Some(place) = place {
        findings.refuse(place.trim_start_matches('.'), "holds a NUL byte");
    }
}

/// Notices an escaped NUL. Escapes come in writes of their own; an escaped backslash may raise a false alarm.
struct Scanner {
    found: bool,
}

impl Write for Scanner {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.found |= bytes.windows(ESCAPE.len()).any(|window| window == ESCAPE);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The JSON path of the first text with a NUL.
fn place(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => text.contains('\0').then(String::new),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(index, item)| Some(format!("[{index}]{}", place(item)?))),
        Value::Object(fields) => {
            fields
                .iter()
                .find_map(|(name, field)| match name.contains('\0') {
                    true => Some(format!(".{}", name.escape_default())),
                    false => Some(format!(".{name}{}", place(field)?)),
                })
        }
        _ => None,
    }
}
