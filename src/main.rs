//! The program: hands its words to [`crun_lite::cli`] and ends with the exit code that comes back.

use std::process::ExitCode;

fn main() -> ExitCode {
    crun_lite::cli::run(std::env::args_os().skip(1).collect())
}
