//! SPEC(config-linux.md#default-devices): what every container's `/dev` holds besides its mounts. Pure lists.

/// A character device that every container gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DefaultDevice {
    /// Path in the container.
    pub path: &'static str,
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
}

const fn device(path: &'static str, major: u32, minor: u32) -> DefaultDevice {
    DefaultDevice { path, major, minor }
}

/// The devices that the runtime must supply. `/dev/console` comes with the terminal.
pub const DEFAULT_DEVICES: [DefaultDevice; 6] = [
    device("/dev/null", 1, 3),
    device("/dev/zero", 1, 5),
    device("/dev/full", 1, 7),
    device("/dev/random", 1, 8),
    device("/dev/urandom", 1, 9),
    device("/dev/tty", 5, 0),
];

/// Permission bits of the default devices.
pub const DEFAULT_DEVICE_MODE: u32 = 0o666;

/// A symlink in `/dev`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DevSymlink {
    /// Where, in the container.
    pub path: &'static str,
    /// What it says.
    pub target: &'static str,
}

const fn link(path: &'static str, target: &'static str) -> DevSymlink {
    DevSymlink { path, target }
}

/// SPEC(runtime-linux.md#dev-symbolic-links), and `/dev/ptmx` of the default devices. COMPAT(runc): `/dev/core`.
pub const DEV_SYMLINKS: [DevSymlink; 6] = [
    link("/dev/fd", "/proc/self/fd"),
    link("/dev/stdin", "/proc/self/fd/0"),
    link("/dev/stdout", "/proc/self/fd/1"),
    link("/dev/stderr", "/proc/self/fd/2"),
    link("/dev/core", "/proc/kcore"),
    link("/dev/ptmx", "pts/ptmx"),
];

/// Whether the bundle binds a `/dev` of its own, which is then left as it is. COMPAT(runc)
pub fn dev_is_bound(mounts: &[oci::runtime::Mount]) -> bool {
    mounts
        .iter()
        .any(|mount| super::is_bind(mount) && mount.destination.trim_matches('/') == "dev")
}
