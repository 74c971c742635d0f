//! The program: hands its words to [`crun_lite::cli`] and ends with the exit code that comes back.
#![no_main]

crun_lite::entry_point!(crun_lite::cli::run);
