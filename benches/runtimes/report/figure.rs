//! Numbers as a reader sees them, the same in every form of the report.

use crate::model::Unit;

/// A value with its unit, with as many digits as its size deserves.
pub fn with_unit(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Kibibytes if value >= 10_240.0 => format!("{} MiB", digits(value / 1024.0)),
        Unit::Count => digits(value),
        _ => format!("{} {}", digits(value), unit.name()),
    }
}

pub fn digits(value: f64) -> String {
    let size = value.abs();
    if size >= 100.0 || (value.fract() == 0.0 && size >= 10.0) {
        format!("{value:.0}")
    } else if size >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

/// How many times another number is ours: `12 x`.
pub fn times(factor: f64) -> String {
    format!("{} x", digits(factor))
}
