//! memcpy(3), memmove(3), memcmp(3), bcmp(3): in place of musl's in the program that users get.
//!
//! A start copies and compares some ten thousand times, and rarely more than a line of text. musl's copy has one way for
//! all lengths, an instruction that takes longer to begin than such a copy takes; its comparison goes byte by byte.
//! Up to [`SHORT_BYTES`] everything is loaded before anything is stored, so source and destination may overlap.

use std::arch::asm;
use std::arch::x86_64::{__m128i, _mm_loadu_si128, _mm_storeu_si128};
use std::ffi::c_int;

/// What is copied by loads and stores alone.
const SHORT_BYTES: usize = 128;

/// Copies between places that don't overlap.
///
/// # Safety
/// As memcpy(3): `from` is readable and `to` writable for `count` bytes.
#[cfg_attr(linked_with_musl, unsafe(no_mangle))]
pub unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
    // SAFETY: the caller's promise.
    unsafe {
        match count <= SHORT_BYTES {
            true => copy_short(to, from, count),
            false => copy_upwards(to, from, count),
        }
    }
    to
}

/// Copies between places that may overlap.
///
/// # Safety
/// As memmove(3): `from` is readable and `to` writable for `count` bytes.
#[cfg_attr(linked_with_musl, unsafe(no_mangle))]
pub unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
    let begins_inside = (to as usize).wrapping_sub(from as usize) < count;
    // SAFETY: the caller's promise; a destination that begins inside of the source is filled from its end.
    unsafe {
        match count <= SHORT_BYTES {
            true => copy_short(to, from, count),
            false if begins_inside => copy_downwards(to, from, count),
            false => copy_upwards(to, from, count),
        }
    }
    to
}

/// Which of two texts is greater, by their first bytes that differ.
///
/// # Safety
/// As memcmp(3): both are readable for `count` bytes.
#[cfg_attr(linked_with_musl, unsafe(no_mangle))]
pub unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, count: usize) -> c_int {
    let mut at = 0;
    // SAFETY: `at` and what is read behind it stay below `count`.
    unsafe {
        while count - at >= 8 {
            let left = a.add(at).cast::<u64>().read_unaligned();
            let right = b.add(at).cast::<u64>().read_unaligned();
            if left != right {
                return order(left.swap_bytes(), right.swap_bytes());
            }
            at += 8;
        }
        while at < count {
            let (left, right) = (*a.add(at), *b.add(at));
            if left != right {
                return order(left.into(), right.into());
            }
            at += 1;
        }
    }
    0
}

/// Whether two texts differ.
///
/// # Safety
/// As bcmp(3): both are readable for `count` bytes.
#[cfg_attr(linked_with_musl, unsafe(no_mangle))]
pub unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, count: usize) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { memcmp(a, b, count) }
}

fn order(left: u64, right: u64) -> c_int {
    if left < right { -1 } else { 1 }
}

/// Two pieces of one size, from the beginning and up to the end: they overlap where there is less than two of them.
macro_rules! both_ends {
    ($kind:ty, $to:expr, $from:expr, $count:expr) => {{
        let behind = $count - size_of::<$kind>();
        let first = $from.cast::<$kind>().read_unaligned();
        let last = $from.add(behind).cast::<$kind>().read_unaligned();
        $to.cast::<$kind>().write_unaligned(first);
        $to.add(behind).cast::<$kind>().write_unaligned(last);
    }};
}

/// Pieces of 16 bytes at these offsets.
macro_rules! vectors {
    ($to:expr, $from:expr, $($at:expr => $piece:ident),+) => {{
        $(let $piece = _mm_loadu_si128($from.add($at).cast::<__m128i>());)+
        $(_mm_storeu_si128($to.add($at).cast::<__m128i>(), $piece);)+
    }};
}

/// # Safety
/// As [`memmove`], of at most [`SHORT_BYTES`].
#[inline(always)]
unsafe fn copy_short(to: *mut u8, from: *const u8, count: usize) {
    // SAFETY: every piece begins and ends inside of `count` bytes.
    unsafe {
        match count {
            0 => {}
            1 => *to = *from,
            2..4 => both_ends!(u16, to, from, count),
            4..8 => both_ends!(u32, to, from, count),
            8..=16 => both_ends!(u64, to, from, count),
            17..=32 => vectors!(to, from, 0 => a, count - 16 => b),
            33..=64 => vectors!(to, from, 0 => a, 16 => b, count - 32 => c, count - 16 => d),
            _ => vectors!(
                to, from, 0 => a, 16 => b, 32 => c, 48 => d,
                count - 64 => e, count - 48 => f, count - 32 => g, count - 16 => h
            ),
        }
    }
}

/// # Safety
/// As [`memmove`], of more than 8 bytes, where `to` does not begin inside of the source.
unsafe fn copy_upwards(to: *mut u8, from: *const u8, count: usize) {
    // SAFETY: the words lie inside of `count` bytes; the rest was loaded before any of them was stored.
    unsafe {
        let last = from.add(count - 8).cast::<u64>().read_unaligned();
        asm!(
            "rep movsq",
            inout("rcx") count / 8 => _,
            inout("rdi") to => _,
            inout("rsi") from => _,
            options(nostack, preserves_flags)
        );
        to.add(count - 8).cast::<u64>().write_unaligned(last);
    }
}

/// # Safety
/// As [`memmove`], of more than 8 bytes.
unsafe fn copy_downwards(to: *mut u8, from: *const u8, count: usize) {
    // SAFETY: the words lie inside of `count` bytes, counted from the end; the rest was loaded before. The direction flag
    // is clear again at the end, as the ABI wants it.
    unsafe {
        let first = from.cast::<u64>().read_unaligned();
        asm!(
            "std",
            "rep movsq",
            "cld",
            inout("rcx") count / 8 => _,
            inout("rdi") to.add(count - 8) => _,
            inout("rsi") from.add(count - 8) => _,
            options(nostack)
        );
        to.cast::<u64>().write_unaligned(first);
    }
}

#[cfg(test)]
mod tests {
    use super::{bcmp, memcmp, memcpy, memmove};

    const LENGTHS: std::ops::Range<usize> = 0..300;

    fn text(bytes: usize) -> Vec<u8> {
        (0..bytes).map(|n| (n * 7 + n / 251) as u8).collect()
    }

    #[test]
    fn every_length_is_copied_and_nothing_beside_it() {
        for count in LENGTHS {
            for shift in 0..9 {
                let from = text(count + shift);
                let mut to = vec![0xee; count + 32];
                // SAFETY: both are long enough.
                unsafe { memcpy(to[16..].as_mut_ptr(), from[shift..].as_ptr(), count) };
                assert_eq!(to[16..16 + count], from[shift..]);
                assert!(to[..16].iter().chain(&to[16 + count..]).all(|&b| b == 0xee));
            }
        }
    }

    #[test]
    fn overlapping_places_are_moved_either_way() {
        for count in LENGTHS {
            for (from, to) in [
                (0, 1),
                (1, 0),
                (0, 8),
                (8, 0),
                (3, 50),
                (50, 3),
                (0, 299),
                (9, 9),
            ] {
                let mut found = text(count + 300);
                let mut expected = found.clone();
                expected.copy_within(from..from + count, to);
                let start = found.as_mut_ptr();
                // SAFETY: both lie inside of the vector.
                unsafe { memmove(start.add(to), start.add(from), count) };
                assert_eq!(found, expected, "{count} bytes from {from} to {to}");
            }
        }
    }

    #[test]
    fn the_first_difference_decides() {
        for count in LENGTHS {
            let a = text(count);
            for at in 0..count {
                let mut b = a.clone();
                b[at] = b[at].wrapping_add(1);
                // What comes behind counts for nothing.
                if at + 1 < count {
                    b[at + 1] = b[at + 1].wrapping_sub(1);
                }
                // SAFETY: both are `count` bytes long.
                let (found, differs) = unsafe {
                    let (a, b) = (a.as_ptr(), b.as_ptr());
                    (memcmp(a, b, count), bcmp(a, b, count))
                };
                assert_eq!(found.cmp(&0), a[at].cmp(&b[at]), "{count} bytes, {at}");
                assert_ne!(differs, 0);
            }
            // SAFETY: as above.
            assert_eq!(unsafe { memcmp(a.as_ptr(), a.clone().as_ptr(), count) }, 0);
        }
    }
}
