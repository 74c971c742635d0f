//! Which field of a JSON document a parser stopped at: line and column to `linux.resources.memory.limit`.
//!
//! A scan of the text up to there, without types: a parser that tracks the path itself would be generated a second time
//! for every type, for the sake of a message.

/// Where the scan is inside of an object or array.
enum Frame {
    /// The last key read, until its value ends.
    Object(Option<String>),
    /// The element that the scan is in; `None` between two.
    Array { next: usize, inside: bool },
}

/// The JSON path of what lies at `line` and `column`, counted from 1 and in bytes, as serde_json does; `.` is the document.
pub fn path_at(json: &[u8], line: usize, column: usize) -> String {
    let before = json
        .split_inclusive(|&byte| byte == b'\n')
        .take(line.saturating_sub(1))
        .map(<[u8]>::len)
        .sum::<usize>();
    // The byte at the column ends the culprit, or is the first that doesn't fit: what it opens or closes doesn't count.
    let end = (before + column.saturating_sub(1)).min(json.len());
    shown(&frames(json, end))
}

fn frames(json: &[u8], end: usize) -> Vec<Frame> {
    let mut frames: Vec<Frame> = Vec::new();
    let mut at = 0;
    while at < end {
        match json[at] {
            b'"' => {
                let length = text_length(&json[at..]);
                if let Some(Frame::Object(key @ None)) = frames.last_mut() {
                    *key = serde_json::from_slice(&json[at..at + length]).ok();
                }
                enter(&mut frames);
                at += length;
                continue;
            }
            b'{' => {
                enter(&mut frames);
                frames.push(Frame::Object(None));
            }
            b'[' => {
                enter(&mut frames);
                frames.push(Frame::Array {
                    next: 0,
                    inside: false,
                });
            }
            b'}' | b']' => {
                frames.pop();
            }
            b',' => match frames.last_mut() {
                Some(Frame::Object(key)) => *key = None,
                Some(Frame::Array { next, inside }) => (*next, *inside) = (*next + 1, false),
                None => {}
            },
            b':' | b' ' | b'\t' | b'\r' | b'\n' => {}
            _ => enter(&mut frames),
        }
        at += 1;
    }
    // A value of one byte, or the first byte of one.
    if json
        .get(end)
        .is_some_and(|byte| !b",:]} \t\r\n".contains(byte))
    {
        enter(&mut frames);
    }
    frames
}

/// A value begins or goes on.
fn enter(frames: &mut [Frame]) {
    if let Some(Frame::Array { inside, .. }) = frames.last_mut() {
        *inside = true;
    }
}

/// Bytes of the text that begins here, quotes included; all that is left where it doesn't end.
fn text_length(json: &[u8]) -> usize {
    let mut escaped = false;
    let end = json.iter().skip(1).position(|&byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    end.map_or(json.len(), |at| at + 2)
}

fn shown(frames: &[Frame]) -> String {
    let mut path = String::new();
    for frame in frames {
        match frame {
            Frame::Object(Some(key)) if path.is_empty() => path.push_str(key),
            Frame::Object(Some(key)) => path.extend([".", key]),
            Frame::Array { next, inside: true } => path.push_str(&format!("[{next}]")),
            Frame::Object(None) | Frame::Array { .. } => {}
        }
    }
    match path.is_empty() {
        true => ".".into(),
        false => path,
    }
}

#[cfg(test)]
mod tests {
    use crate::runtime::{Hook, Spec, parse};

    fn at<T: serde::de::DeserializeOwned + std::fmt::Debug>(json: &str) -> String {
        parse::<T>(json.as_bytes()).expect_err(json).at
    }

    #[test]
    fn the_field_at_fault_is_named() {
        for (json, path) in [
            (
                r#"{"linux":{"resources":{"memory":{"limit":"1G"}}}}"#,
                "linux.resources.memory.limit",
            ),
            (r#"{"hostname":5}"#, "hostname"),
            (r#"{"hostname":{}}"#, "hostname"),
            (r#"{"hostname" : [ "a" ] }"#, "hostname"),
            (r#"{"process":{"args":["a",7]}}"#, "process.args[1]"),
            (r#"{"process":{"args":["a",true,"b"]}}"#, "process.args[1]"),
            (r#"{"process":{"args":"sh"}}"#, "process.args"),
            (
                "{\n \"mounts\": [\n  {\"options\": []},\n  {\"options\": [\"ro\", null]}]}",
                "mounts[1].options[1]",
            ),
            (
                r#"{"linux":{"devices":[{"major":1},{"major":-1.5}]}}"#,
                "linux.devices[1].major",
            ),
            (r#"{"annotations":{"a\"b":1}}"#, "annotations.a\"b"),
            (
                r#"{"process":{"user":{"uid":4294967296}}}"#,
                "process.user.uid",
            ),
            (r#"{"root":"rootfs"}"#, "root"),
            (r#"{"hostname":"a","hostname":"b"}"#, "hostname"),
            ("", "."),
            ("{} {}", "."),
        ] {
            assert_eq!(at::<Spec>(json), path, "{json}");
        }
        assert_eq!(at::<Vec<Hook>>(r#"[{},{"path":1}]"#), "[1].path");
    }

    #[test]
    fn a_cut_document_is_an_error_everywhere() {
        let json = br#"{"process":{"args":["a\"","\u00e4"],"user":{"uid":1}},"mounts":[{"options":["ro"]}]}"#;
        for end in 0..json.len() {
            assert!(parse::<Spec>(&json[..end]).is_err());
        }
    }
}
