//! Dispatch, print one error, set the exit code.

fn main() {}
