//! The OCI standards as types: bytes in, verified objects out.
//!
//! [`runtime`] is the runtime specification's `config.json`; [`bundle`] makes one from an image. [`digest`], [`verify`],
//! [`descriptor`], [`manifest`], [`image_config`], [`platform`] and [`mod@reference`] are the image specification, pure.
//! [`store`] is where images live, [`registry`] and [`archive`] where they come from, [`transfer`] the way; only they do I/O.
//! Nothing here mounts, starts processes or needs `unsafe`.

pub mod archive;
pub mod build;
pub mod bundle;
pub mod descriptor;
pub mod digest;
mod document;
pub mod error;
pub mod image_config;
pub mod manifest;
pub mod platform;
pub mod progress;
pub mod reference;
pub mod registry;
pub mod runtime;
pub mod store;
pub mod transfer;
pub mod verify;

pub use digest::{ChainId, DiffId, Digest};
pub use error::{Error, Kind, Result};
pub use oci_spec::image as spec;
