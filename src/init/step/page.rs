//! The options of mount(2) as one text, for kernels whose fsconfig(2) is missing or can't say them all. It lies on the
//! stack, since nothing may be allocated here.
//!
//! The kernel takes one page with the NUL at its end: what doesn't fit is E2BIG. What the options mean is the callers'.

use crate::sys;
use crate::sys::decimal::{DIGITS, decimal};
use nix::errno::Errno;
use rootfs::mount::FsOption;
use std::ffi::CStr;
use std::os::fd::RawFd;

const PAGE_BYTES: usize = 4096;

/// Text so far; behind it there are NULs.
pub struct Page {
    bytes: [u8; PAGE_BYTES],
    length: usize,
}

impl Page {
    /// Without options.
    pub fn new() -> Page {
        Page {
            bytes: [0; PAGE_BYTES],
            length: 0,
        }
    }

    /// `options`, joined by commas.
    pub fn of(options: &[FsOption]) -> sys::Result<Page> {
        let mut page = Page::new();
        page.push_options(options)?;
        Ok(page)
    }

    /// Adds options behind those that are there.
    pub fn push_options(&mut self, options: &[FsOption]) -> sys::Result<()> {
        options.iter().try_for_each(|option| {
            let value = option.value.as_deref().map(CStr::to_bytes);
            self.push_option(option.key.to_bytes(), value)
        })
    }

    /// Adds `key` or `key=value`.
    pub fn push_option(&mut self, key: &[u8], value: Option<&[u8]>) -> sys::Result<()> {
        if self.length > 0 {
            self.push(b",")?;
        }
        self.push(key)?;
        match value {
            Some(value) => self.push(b"=").and_then(|()| self.push(value)),
            None => Ok(()),
        }
    }

    /// Adds a part of an option.
    pub fn push(&mut self, text: &[u8]) -> sys::Result<()> {
        let end = self.length + text.len();
        // The last byte stays the NUL that it is.
        if end >= PAGE_BYTES {
            return Err(Errno::E2BIG);
        }
        self.bytes[self.length..end].copy_from_slice(text);
        self.length = end;
        Ok(())
    }

    /// Adds the number of a descriptor.
    pub fn push_number(&mut self, fd: RawFd) -> sys::Result<()> {
        self.push(decimal(fd.unsigned_abs(), &mut [0; DIGITS]))
    }

    /// As mount(2) takes it; nothing when there are no options.
    pub fn text(&self) -> Option<&CStr> {
        CStr::from_bytes_until_nul(&self.bytes)
            .ok()
            .filter(|text| !text.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_joined_by_commas() {
        let mut page = Page::new();
        assert_eq!(page.text(), None);
        page.push_option(b"size", Some(b"64k")).expect("fits");
        page.push_option(b"noswap", None).expect("fits");
        assert_eq!(page.text(), Some(c"size=64k,noswap"));
    }

    #[test]
    fn five_hundred_layers_fit_into_a_page() {
        let mut page = Page::new();
        page.push(b"lowerdir=").expect("fits");
        for layer in 0..500 {
            page.push_number(layer).expect("fits");
            page.push(b":").expect("fits");
        }
        let text = page.text().expect("there is some").to_bytes();
        assert!(text.starts_with(b"lowerdir=0:1:2:"));
        assert!(text.ends_with(b":499:"));
        assert_eq!(page.push(&[b'x'; PAGE_BYTES]), Err(Errno::E2BIG));
    }
}
