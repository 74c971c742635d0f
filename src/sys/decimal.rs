//! Numbers as text where nothing may be allocated: between `clone3` and `execve`. Async-signal-safe.
//!
//! No system call; it stands here because both this room and the child's steps need it.

/// Digits of the longest number.
pub const DIGITS: usize = 10;

/// Writes `number` at the end of `digits` and gives what it wrote.
pub fn decimal(number: u32, digits: &mut [u8; DIGITS]) -> &[u8] {
    let mut first = DIGITS;
    let mut rest = number;
    loop {
        first -= 1;
        digits[first] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            return &digits[first..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_has_its_digits() {
        for number in [0, 7, 10, 4095, 1_000_000_000, u32::MAX] {
            let mut digits = [b'x'; DIGITS];
            assert_eq!(decimal(number, &mut digits), number.to_string().as_bytes());
        }
    }
}
