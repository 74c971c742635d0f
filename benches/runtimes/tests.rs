//! Tests of the harness's pure parts, and of the page in a real browser.
//!
//! The report under test is written here by hand, with the cases that go wrong:
//! a failure, a note, a peer that dwarfs the others, markup in a name.

// The harness measures with what a test of its reports leaves unused.
#![allow(dead_code)]

mod budget;
mod bundle;
mod cpio;
mod daemon;
mod gate;
mod ground;
mod interrupt;
mod machine;
mod measure;
mod model;
mod options;
mod peers;
mod process;
mod report;
mod sample;
mod seccomp_profile;
mod stats;
mod survey;
mod trace;

mod tests {
    mod browser;
    mod budget;
    mod fixture;
    mod gate;
    mod instructions;
    mod readme;
    mod reports;
    mod shim;
    mod stats;
    mod survey;
    mod trace;
}
