//! What every suite that starts real containers shares: a harness that runs cases in parallel, a sandbox per case,
//! bundles, and the sockets a caller of a runtime listens on.
//!
//! The suites judge a runtime by what the specification and `cli-and-engines.md` demand, never by what a peer does.
//! `RUNTIME=/usr/bin/runc cargo test --test cli` points them at another runtime.

// Each suite is a crate of its own and uses its part of this module.
#![allow(dead_code, unused_imports, unused_macros)]

pub mod bundle;
pub mod container;
pub mod debian;
pub mod differences;
pub mod harness;
pub mod host;
pub mod idle_process;
pub mod image;
pub mod listeners;
pub mod rootfs;
pub mod runtime;
pub mod sandbox;

pub use bundle::Bundle;
pub use container::Container;
pub use harness::{Case, skip};
pub use image::ImageMaker;
pub use runtime::Output;
pub use sandbox::Sandbox;
pub use serde_json::{Value, json};

/// Names the test functions of a file, so that a forgotten one is a dead-code warning.
macro_rules! cases {
    ($($case:ident),* $(,)?) => {
        pub const CASES: &[crate::support::Case] = &[$(crate::support::Case { name: stringify!($case), body: $case }),*];
    };
}
pub(crate) use cases;
