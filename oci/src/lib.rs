//! The OCI standards as types: bytes in, verified objects out.
//!
//! [`runtime`] is the runtime specification's `config.json`. Nothing here mounts, starts processes or needs `unsafe`.

pub mod runtime;
