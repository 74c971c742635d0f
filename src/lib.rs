//! crun-lite: a lightweight OCI container runtime.
//!
//! Dependencies between the rooms point one way (`tests/tidy.rs` holds them to it):
//! `cli -> container -> {plan, init, cgroup, host}`, `plan -> {rootfs, oci}`, `init, cgroup -> {plan's types, sys}`, `host -> sys`.
//! The specification is interpreted once, by [`plan`], into inert data; [`init`] only executes it.

// A test that unwraps fails where it should.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod cgroup;
pub mod cli;
pub mod container;
pub mod error;
pub mod host;
pub mod init;
pub mod plan;
pub mod sys;
