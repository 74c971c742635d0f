//! Lists as people write them: bit masks as `0-3,7`, command lines with their blanks visible.

use rootfs::mount::Shown;
use std::ffi::CString;
use std::fmt::{self, Display, Formatter};

/// The set bits of a mask in words, lowest first.
pub(super) struct Listed<'a>(pub &'a [u64]);

impl Display for Listed<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let is_set = |bit: usize| {
            self.0
                .get(bit / 64)
                .is_some_and(|word| word >> (bit % 64) & 1 == 1)
        };
        let (mut bit, mut separator) = (0, "");
        while bit < self.0.len() * 64 {
            let first = bit;
            while is_set(bit) {
                bit += 1;
            }
            match bit - first {
                0 => bit += 1,
                1 => write!(f, "{separator}{first}")?,
                _ => write!(f, "{separator}{first}-{}", bit - 1)?,
            }
            if bit > first && is_set(first) {
                separator = ",";
            }
        }
        Ok(())
    }
}

/// A command line; an argument that is empty or holds blanks or quotes is quoted.
pub(super) struct Texts<'a>(pub &'a [CString]);

impl Display for Texts<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, text) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { " " };
            let lossy = text.to_string_lossy();
            match lossy.is_empty() || lossy.contains([' ', '"', '\'', '\\']) {
                true => write!(f, "{separator}{lossy:?}")?,
                false => write!(f, "{separator}{}", Shown(text))?,
            }
        }
        Ok(())
    }
}
