//! Runtime-spec mounts as inert mount operations.
