//! The ways tar writes a number, a string and a time into bytes. Pure.

use super::entry::Timestamp;
use crate::layer::error::Fault;

pub(super) fn malformed(text: impl Into<String>) -> Fault {
    Fault::Malformed(text.into())
}

/// Bytes up to the first NUL.
pub(super) fn string(field: &[u8]) -> &[u8] {
    let end = field.iter().position(|&b| b == 0).unwrap_or(field.len());
    &field[..end]
}

/// A header's number: octal text, or two's complement in base 256 when the top bit is set.
pub(super) fn number(what: &str, field: &[u8]) -> Result<i64, Fault> {
    match field.first() {
        Some(first) if first & 0x80 != 0 => base256(field),
        _ => octal(field),
    }
    .ok_or_else(|| malformed(format!("{what} is not a number")))
}

/// A header's number that may not be negative.
pub(super) fn size(what: &str, field: &[u8]) -> Result<u64, Fault> {
    u64::try_from(number(what, field)?).map_err(|_| malformed(format!("{what} is negative")))
}

fn octal(field: &[u8]) -> Option<i64> {
    let blank = |b: &u8| matches!(b, b' ' | 0);
    let start = field.iter().position(|&b| b != b' ').unwrap_or(field.len());
    let digits = &field[start..];
    let end = digits.iter().position(blank).unwrap_or(digits.len());
    // What follows a terminator is ignored by some readers and refused by others.
    if !digits[end..].iter().all(blank) {
        return None;
    }
    digits[..end].iter().try_fold(0i64, |sum, &digit| {
        matches!(digit, b'0'..=b'7').then_some(())?;
        sum.checked_mul(8)?.checked_add(i64::from(digit - b'0'))
    })
}

fn base256(field: &[u8]) -> Option<i64> {
    let negative = field[0] & 0x40 != 0;
    let first = if negative { field[0] } else { field[0] & 0x7f };
    let start = if negative { -1i128 } else { 0 };
    let rest = field[1..].iter();
    let value = rest.fold(start << 8 | i128::from(first), |sum, &byte| {
        sum << 8 | i128::from(byte)
    });
    i64::try_from(value).ok()
}

/// A PAX record's unsigned decimal.
pub(super) fn decimal(what: &str, text: &[u8]) -> Result<u64, Fault> {
    let wrong = || malformed(format!("{what} is not a number"));
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return Err(wrong());
    }
    std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(wrong)
}

/// A PAX record's time: `[-]SECONDS[.FRACTION]`, more than nine digits of a fraction cut off.
pub(super) fn time(text: &[u8]) -> Result<Timestamp, Fault> {
    let wrong = || malformed("a time is not a number");
    let (negative, digits) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let point = digits
        .iter()
        .position(|&b| b == b'.')
        .unwrap_or(digits.len());
    let whole = i64::try_from(decimal("a time", &digits[..point])?).map_err(|_| wrong())?;
    let fraction = digits.get(point + 1..).unwrap_or_default();
    if !fraction.iter().all(u8::is_ascii_digit) {
        return Err(wrong());
    }
    let nanos = (0..9).fold(0u32, |sum, i| {
        sum * 10 + u32::from(fraction.get(i).map_or(0, |digit| digit - b'0'))
    });
    Ok(match (negative, nanos) {
        (false, _) => Timestamp {
            seconds: whole,
            nanos,
        },
        (true, 0) => Timestamp {
            seconds: -whole,
            nanos: 0,
        },
        // Time runs upwards within a second: -1.25 is two seconds down and three quarters up.
        (true, _) => Timestamp {
            seconds: -whole - 1,
            nanos: 1_000_000_000 - nanos,
        },
    })
}

/// A user or group id. -1 is no id: chown(2) would read it as "leave alone".
pub(super) fn id(what: &str, value: u64) -> Result<u32, Fault> {
    match u32::try_from(value) {
        Ok(id) if id != u32::MAX => Ok(id),
        _ => Err(malformed(format!("{what} {value} is out of range"))),
    }
}
