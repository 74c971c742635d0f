//! No text of the configuration may hold a NUL: every one may end up in a system call, which would see only a part.

use super::{Findings, Subject};
use serde_json::Value;

pub(super) fn no_nul(subject: &Subject<'_>, findings: &mut Findings) {
    if !subject.spec.holds_nul() {
        return;
    }
    let place = serde_json::to_value(subject.spec)
        .ok()
        .and_then(|value| place(&value));
    if let Some(place) = place {
        findings.refuse(place.trim_start_matches('.'), "holds a NUL byte");
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
