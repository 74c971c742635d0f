//! Single operations from single fields: a device, a hook, a propagation, the notify socket's mount.
//!
//! Pure, like all of this room; which of them a start has, and in which order, is decided above.

use super::super::{DeviceOp, HookOp, LowerOp, Options, OverlayOp, Step};
use crate::error::{Error, Result};
use crate::plan::field::c_string;
use oci::runtime::{Device, Hook};
use rootfs::mount::dev::DEFAULT_DEVICE_MODE;
use rootfs::mount::{FsOption, MountOp, Mounted};
use rootfs::snapshot::{OverlayMount, Parameter};
use std::ffi::{CStr, CString};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Variables that the runtime adds: socket activation and the notify socket. COMPAT(runc)
pub(super) fn runtime_environment(options: &Options) -> Vec<String> {
    let mut variables = Vec::new();
    if options.listen_fds > 0 {
        variables.push(format!("LISTEN_FDS={}", options.listen_fds));
        variables.push("LISTEN_PID=1".into());
    }
    if options.notify_dir.is_some() {
        variables.push(format!("NOTIFY_SOCKET={NOTIFY_DIRECTORY}/notify.sock"));
    }
    variables
}

/// Where the container finds its notify socket. COMPAT(runc)
const NOTIFY_DIRECTORY: &str = "/run/notify";

pub(super) fn notify_mount(directory: &Path) -> Result<MountOp> {
    let mut op = bind_op(Path::new(NOTIFY_DIRECTORY), directory)?;
    op.attributes.set = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV | libc::MOUNT_ATTR_NOEXEC;
    Ok(op)
}

/// Where a step mounts something; nothing for steps that don't, and for those that change a mount which is there.
pub(super) fn mount_point(step: &Step) -> Option<&CStr> {
    match step {
        Step::Mount(op) | Step::AttachPrepared { mount: op, .. } => match op.what {
            Mounted::Remount { .. } => None,
            _ => Some(&op.destination),
        },
        _ => None,
    }
}

/// A directory of the host, as it is.
pub(super) fn bind_op(destination: &Path, source: &Path) -> Result<MountOp> {
    Ok(MountOp {
        destination: c_string("a bind's destination", destination.as_os_str().as_bytes())?,
        what: Mounted::Bind {
            source: c_string("a bind's source", source.as_os_str().as_bytes())?,
            recursive: true,
            no_follow: false,
            copy_symlink: false,
        },
        attributes: rootfs::mount::Attributes::default(),
        recursive_attributes: rootfs::mount::Attributes::default(),
        propagation: Vec::new(),
        idmap: None,
        copy_up: false,
        keep_mode: false,
        no_follow_destination: false,
        fallback_bind: None,
        readonly_later: false,
    })
}

impl OverlayOp {
    /// The overlay of an image, mounted on `place`.
    pub fn new(overlay: &OverlayMount, place: CString) -> Result<OverlayOp> {
        let path = |path: &Path| c_string("the image's layers", path.as_os_str().as_bytes());
        let upper = match (&overlay.upper, &overlay.work) {
            (Some(upper), Some(work)) => Some((path(upper)?, path(work)?)),
            _ => None,
        };
        let option = |parameter| {
            let (key, value) = match parameter {
                Parameter::Text(key, value) => (key, Some(value)),
                Parameter::Flag(key) => (key, None),
            };
            let at = "the image's mount options";
            Ok(FsOption {
                key: c_string(at, key.as_bytes())?,
                value: value
                    .map(|value| c_string(at, value.as_bytes()))
                    .transpose()?,
            })
        };
        Ok(OverlayOp {
            place,
            lowers: overlay
                .lowers
                .iter()
                .map(|lower| match lower.mount() {
                    Some(mount) => Ok(LowerOp::Mounted(mount.as_raw_fd())),
                    None => path(lower.name()).map(LowerOp::Directory),
                })
                .collect::<Result<_>>()?,
            upper,
            options: overlay.settings().map(option).collect::<Result<_>>()?,
        })
    }
}

/// `shared`, `rslave`, …: the flag, and whether it is recursive.
pub(super) fn propagation(name: &str) -> Option<(u64, bool)> {
    let (name, recursive) = match name.strip_prefix('r') {
        Some(rest) => (rest, true),
        None => (name, false),
    };
    let flag = match name {
        "shared" => libc::MS_SHARED,
        "slave" => libc::MS_SLAVE,
        "private" => libc::MS_PRIVATE,
        "unbindable" => libc::MS_UNBINDABLE,
        _ => return None,
    };
    Some((flag, recursive))
}

pub(super) fn device_op(index: usize, device: &Device, bind: bool) -> Result<DeviceOp> {
    let at = format!("linux.devices[{index}]");
    let kind = match device.kind.as_str() {
        "c" | "u" => libc::S_IFCHR,
        "b" => libc::S_IFBLK,
        "p" => libc::S_IFIFO,
        other => {
            return Err(Error::new(format!(
                "{at}.type: {other:?} is none of c, b, u, p"
            )));
        }
    };
    let number = |field: &str, value: i64| {
        u32::try_from(value)
            .map_err(|_| Error::new(format!("{at}.{field}: {value} is no device number")))
    };
    let fifo = kind == libc::S_IFIFO;
    Ok(DeviceOp {
        // COMPAT(crun): a slash at the end names no directory here.
        path: c_string(&at, device.path.trim_end_matches('/').as_bytes())?,
        mode: kind | device.file_mode.unwrap_or(DEFAULT_DEVICE_MODE) & 0o7777,
        major: if fifo {
            0
        } else {
            number("major", device.major)?
        },
        minor: if fifo {
            0
        } else {
            number("minor", device.minor)?
        },
        uid: device.uid.unwrap_or(0),
        gid: device.gid.unwrap_or(0),
        keep_existing: false,
        bind: bind && !fifo,
        prepared: None,
    })
}

/// Hooks of one kind, ready to run.
pub fn hook_ops(at: &str, hooks: &[Hook]) -> Result<Vec<HookOp>> {
    let texts = |index: usize, field: &str, values: &[String]| {
        let each = values
            .iter()
            .map(|value| c_string(format_args!("{at}[{index}].{field}"), value.as_bytes()));
        each.collect::<Result<Vec<_>>>()
    };
    let ops = hooks.iter().enumerate().map(|(index, hook)| {
        let path = c_string(format_args!("{at}[{index}].path"), hook.path.as_bytes())?;
        let mut args = texts(index, "args", &hook.args)?;
        if args.is_empty() {
            // COMPAT(runc, crun): no program gets along without its own name.
            args.push(path.clone());
        }
        Ok(HookOp {
            path,
            args,
            env: hook
                .env
                .as_ref()
                .map(|env| texts(index, "env", env))
                .transpose()?,
            timeout_ms: hook
                .timeout
                .map(|seconds| seconds.max(0).unsigned_abs().saturating_mul(1000)),
        })
    });
    ops.collect()
}
