//! RFC 3339 times in UTC, as state files and log lines carry them. Knows the Gregorian calendar, nothing else.

use std::time::{SystemTime, UNIX_EPOCH};

const SECONDS_A_DAY: u64 = 86_400;

/// The present, to the nanosecond: `2026-11-21T09:34:20.123456789Z`.
pub fn now() -> String {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let nanos = format!("{:09}", since_epoch.subsec_nanos());
    let digits = nanos.trim_end_matches('0');
    // COMPAT(runc): RFC3339Nano drops trailing zeros, and the dot with the last of them.
    let dot = if digits.is_empty() { "" } else { "." };
    format!("{}{dot}{digits}Z", to_second(since_epoch.as_secs()))
}

/// The present, to the second: `2026-11-21T09:34:20Z`.
pub fn now_seconds() -> String {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    format!("{}Z", to_second(since_epoch.as_secs()))
}

fn to_second(unix_seconds: u64) -> String {
    let (year, month, day) = civil(unix_seconds / SECONDS_A_DAY);
    let second = unix_seconds % SECONDS_A_DAY;
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

/// Year, month and day of a day counted from 1970-01-01.
///
/// Counted in eras of 400 years that begin on 1 March, so that a leap day is the last of its year.
fn civil(days: u64) -> (u64, u64, u64) {
    let from_year_zero = days + 719_468;
    let era = from_year_zero / 146_097;
    let day_of_era = from_year_zero % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calendar_holds() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00"),
            (951_782_400, "2000-02-29T00:00:00"),
            (951_868_799, "2000-02-29T23:59:59"),
            (1_709_164_800, "2024-02-29T00:00:00"),
            (1_735_689_599, "2024-12-31T23:59:59"),
            (4_107_542_400, "2100-03-01T00:00:00"),
        ] {
            assert_eq!(to_second(seconds), text);
        }
    }

    #[test]
    fn now_is_rfc3339() {
        let now = now();
        assert!(now.ends_with('Z') && now.as_bytes()[10] == b'T', "{now}");
    }
}
