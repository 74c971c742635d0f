//! Inputs that somebody else wrote, bent in every way: reading them gives a value or an error, never a panic.
//!
//! `docs/fuzz.md` lists what is fuzzed where; `config.json` to plan is in `tests/plan/mutation.rs`.

mod frames;
mod options;
mod records;
