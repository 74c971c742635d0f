//! System calls: the only unsafe code of the project, one file a man-page section.
//!
//! Two storeys: a documented, typed function over a one-to-three-line raw call. Functions that run in a container's
//! init between `clone3` and `execve` allocate nothing and take no lock; their docs say *async-signal-safe*.
#![allow(unsafe_code)]
