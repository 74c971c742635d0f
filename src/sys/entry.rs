//! The start of the process: execve(2) seen from the inside.
//!
//! The program has its own `main` in C's sense, because Rust's asks the kernel some twenty questions first (stack guard,
//! signal stack, `/proc/self/maps`) that a runtime which lives for milliseconds needs no answer to.

use std::ffi::{CStr, OsString, c_char, c_int};
use std::os::unix::ffi::OsStringExt;
use std::sync::atomic::{AtomicPtr, Ordering};

/// The words of our command line as the kernel laid them out; null in tests, whose `main` is Rust's.
static WORDS: AtomicPtr<*const c_char> = AtomicPtr::new(std::ptr::null_mut());

/// Makes `$program`, a `fn(Vec<OsString>) -> u8`, what this executable runs: it gets our words without the program's
/// name and returns the exit code. For a crate with `#![no_main]`.
#[macro_export]
macro_rules! entry_point {
    ($program:path) => {
        #[allow(unsafe_code)]
        mod entry {
            /// What the C library calls.
            // SAFETY: it is the one `main` of the executable, as the name promises.
            #[unsafe(no_mangle)]
            extern "C" fn main(
                count: ::std::ffi::c_int,
                words: *const *const ::std::ffi::c_char,
            ) -> ::std::ffi::c_int {
                // SAFETY: these are the arguments of C's main, which stay as they are for the life of the process.
                unsafe { $crate::sys::entry::begin(count, words, $program) }
            }

            $crate::musl_gaps!();
        }
    };
}

/// What Rust's standard library for glibc wants of a C library and musl has not (docs/decisions/0021-musl.md).
#[doc(hidden)]
#[macro_export]
macro_rules! musl_gaps {
    () => {
        /// The unwinder's index of code: none, so that a panic, which aborts, prints no backtrace.
        // SAFETY: musl has no function of this name; returning -1 means that nothing was found and written.
        #[cfg(linked_with_musl)]
        #[unsafe(no_mangle)]
        extern "C" fn _dl_find_object(
            _: *mut ::std::ffi::c_void,
            _: *mut ::std::ffi::c_void,
        ) -> ::std::ffi::c_int {
            -1
        }

        /// Asked before some symbols are believed to exist: the oldest version that Rust supports.
        // SAFETY: musl has no function of this name; the text lives for ever.
        #[cfg(linked_with_musl)]
        #[unsafe(no_mangle)]
        extern "C" fn gnu_get_libc_version() -> *const ::std::ffi::c_char {
            c"2.17".as_ptr()
        }

        /// Our own resolver has nothing to reload.
        // SAFETY: musl has no function of this name; 0 means success.
        #[cfg(linked_with_musl)]
        #[unsafe(no_mangle)]
        extern "C" fn __res_init() -> ::std::ffi::c_int {
            0
        }
    };
}

/// Runs `program` as [`entry_point`] says.
///
/// # Safety
/// `count` and `words` are those of C's `main`.
pub unsafe fn begin(
    count: c_int,
    words: *const *const c_char,
    program: fn(Vec<OsString>) -> u8,
) -> c_int {
    WORDS.store(words.cast_mut(), Ordering::Relaxed);
    open_standard_streams();
    ignore_broken_pipes();
    let words = (1..count as usize).map(|index| {
        // SAFETY: the kernel hands over `count` texts, each with its NUL.
        let word = unsafe { CStr::from_ptr(*words.add(index)) };
        OsString::from_vec(word.to_bytes().to_vec())
    });
    c_int::from(program(words.collect()))
}

/// A standard stream that the caller closed is the null device: no file of ours may take its number.
fn open_standard_streams() {
    for stream in 0..=2 {
        // SAFETY: takes no pointers.
        if unsafe { libc::fcntl(stream, libc::F_GETFD) } == -1 {
            // SAFETY: the path is NUL-terminated; the lowest free number is this stream's.
            unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR) };
        }
    }
}

/// A reader that goes away is an error of write(2), not our end.
fn ignore_broken_pipes() {
    // SAFETY: ignoring a signal runs nothing.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
}

/// The word that we were called by. Not `std::env::args_os`: musl's start-up doesn't tell it, and it reads what isn't there.
pub fn own_name() -> Option<&'static CStr> {
    let [words, _] = vectors()?;
    // SAFETY: the kernel hands over at least a null, and every word before it has its NUL and lives as long as we do.
    unsafe {
        let first = *words;
        (!first.is_null()).then(|| CStr::from_ptr(first))
    }
}

/// Our words and our environment, as execve(2) takes them; `None` where this is not the program but a test of it.
pub(super) fn vectors() -> Option<[*const *const c_char; 2]> {
    unsafe extern "C" {
        static environ: *const *const c_char;
    }
    let words = WORDS.load(Ordering::Relaxed).cast_const();
    // SAFETY: the C library sets it before `main`, and nothing here changes the environment.
    (!words.is_null()).then_some([words, unsafe { environ }])
}
