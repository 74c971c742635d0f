//! What every document of an image must keep to before it is read: its bytes, and how many values they make.
//!
//! Three bytes (`{},`) become a structure of more than a hundred: a document within the first bound may still fill memory.

use crate::error::{Error, Kind, Result};

/// A document up to this size costs little whatever it holds, in bytes.
const SMALL_BYTES: usize = 64 << 10;

/// Real documents have hundreds of values, and long texts.
const MAX_VALUES: usize = 100_000;

/// Refuses a document that is not worth its memory; `name` is what it is called in the error.
pub(crate) fn check(bytes: &[u8], name: &str, max_bytes: u64) -> Result<()> {
    let refuse = |why: String| Err(Error::new(Kind::TooLarge, format!("{name} of {why}")));
    if bytes.len() as u64 > max_bytes {
        return refuse(format!("{} bytes is larger than {max_bytes}", bytes.len()));
    }
    match bytes.len() > SMALL_BYTES && commas(bytes) > MAX_VALUES {
        true => refuse(format!("more than {MAX_VALUES} values")),
        false => Ok(()),
    }
}

/// Commas between values; those in texts don't count.
fn commas(json: &[u8]) -> usize {
    let (mut count, mut in_text, mut escaped) = (0, false, false);
    for &byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_text,
            b'"' => in_text = !in_text,
            b',' if !in_text => count += 1,
            _ => {}
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_in_texts_are_text() {
        assert_eq!(commas(br#"{"a,b": ",\",", "c": [1, 2]}"#), 2);
    }

    #[test]
    fn many_values_are_refused_and_long_texts_are_not() {
        let limit = 8 << 20;
        let many = format!("[{}{{}}]", "{},".repeat(MAX_VALUES + 1));
        let error = check(many.as_bytes(), "image config", limit).expect_err("is refused");
        assert_eq!(error.kind(), Kind::TooLarge);
        assert!(error.to_string().contains("values"), "{error}");
        let text = format!("[\"{}\"]", ",".repeat(2 * MAX_VALUES));
        assert!(check(text.as_bytes(), "image config", limit).is_ok());
        assert!(check(b"[1,2,3]", "image config", 4).is_err());
    }
}
