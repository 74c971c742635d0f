//! A signal as people write it: by number, or by name with or without `SIG`.

use crate::error::{Error, Result};
use nix::sys::signal::Signal as Named;

/// The first and the last real-time signal as programs see them: the C libraries keep 32 and 33 for themselves.
const RTMIN: i32 = 34;
const RTMAX: i32 = 64;

/// A signal's number, 1 to 64, or 0, which only asks whether the process is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signal(i32);

impl Signal {
    /// `SIGTERM`.
    pub const TERM: Signal = Signal(15);
    /// `SIGKILL`.
    pub const KILL: Signal = Signal(9);

    /// Reads `9`, `KILL`, `sigkill`, `SIGRTMIN+3` or `RTMAX-1`.
    pub fn parse(text: &str) -> Result<Signal> {
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        let number = match upper.parse() {
            Ok(number) => Some(number),
            Err(_) => real_time(name).or_else(|| named(name)),
        };
        number
            .filter(|number| (0..=RTMAX).contains(number))
            .map(Signal)
            .ok_or_else(|| Error::new(format!("unknown signal {text:?}")))
    }

    /// The number.
    pub fn number(self) -> i32 {
        self.0
    }
}

fn named(name: &str) -> Option<i32> {
    // Two names for one number, which the table holds once.
    let name = match name {
        "POLL" => "IO",
        "IOT" => "ABRT",
        "CLD" => "CHLD",
        name => name,
    };
    format!("SIG{name}").parse::<Named>().ok().map(|s| s as i32)
}

fn real_time(name: &str) -> Option<i32> {
    if let Some(offset) = name.strip_prefix("RTMIN") {
        return match offset {
            "" => Some(RTMIN),
            offset => Some(RTMIN + offset.strip_prefix('+')?.parse::<u8>().ok()? as i32),
        };
    }
    match name.strip_prefix("RTMAX")? {
        "" => Some(RTMAX),
        offset => {
            let number = RTMAX - offset.strip_prefix('-')?.parse::<u8>().ok()? as i32;
            (number >= RTMIN).then_some(number)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        for (text, number) in [
            ("0", 0),
            ("9", 9),
            ("KILL", 9),
            ("SIGKILL", 9),
            ("sigterm", 15),
            ("Hup", 1),
            ("SIGIO", 29),
            ("POLL", 29),
            ("CLD", 17),
            ("STKFLT", 16),
            ("SYS", 31),
            ("RTMIN", 34),
            ("SIGRTMIN+3", 37),
            ("SIGRTMAX-1", 63),
            ("64", 64),
        ] {
            assert_eq!(Signal::parse(text).unwrap().number(), number, "{text}");
        }
        for text in [
            "", "-1", "-5", "65", "SIG", "FOO", "RTMIN+31", "RTMAX-31", "RTMIN-1", "9 ",
        ] {
            assert!(Signal::parse(text).is_err(), "{text:?}");
        }
    }
}
