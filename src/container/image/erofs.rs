//! A layer that is an EROFS image, mounted: straight from its file, else through a loop device. Attached nowhere: the
//! mount ends with its handle and the containers that stand on it, and the loop device with the mount.

use crate::error::{Error, Result};
use crate::sys::loop_device::LoopDevice;
use crate::sys::mount::{create_instance, mount_instance, open_context, set_option};
use crate::sys::open;
use nix::errno::Errno;
use nix::sys::stat::{major, minor};
use std::ffi::{CStr, CString};
use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Beside an image: the loop device that showed it last.
const HINT: &str = "loop";
/// `loop`: through a loop device even where a file would do. Containers share it, and with it what is cached.
const HOW: &str = "CRUN_LITE_EROFS";
const OTHER_BACK_END: &str = "unpack with --snapshotter overlay (CRUN_LITE_SNAPSHOTTER)";

/// Mounts an image read-only.
pub fn mount_erofs(path: &Path) -> Result<OwnedFd, Box<dyn std::error::Error + Send + Sync>> {
    Ok(mount(path)?)
}

fn mount(path: &Path) -> Result<OwnedFd> {
    let file =
        File::open(path).map_err(|error| Error::io(format!("open {}", path.display()), &error))?;
    if std::env::var_os(HOW).is_none_or(|how| how != "loop") {
        let source = CString::new(format!("/proc/self/fd/{}", file.as_raw_fd()));
        match make_mount(&source.unwrap_or_default()) {
            // KERNEL(6.12): before, or on a file system that can't serve pages (tmpfs), it wants a block device.
            Err((_, Errno::ENOTBLK)) => {}
            made => return made.map_err(explain),
        }
    }
    let device = loop_device(path, &file)?;
    let source = CString::new(format!("/dev/loop{}", device.number)).unwrap_or_default();
    make_mount(&source).map_err(explain)
}

/// The call that failed, and why.
type Failed = (&'static str, Errno);

fn make_mount(source: &CStr) -> Result<OwnedFd, Failed> {
    const READ_ONLY: u64 = libc::MOUNT_ATTR_RDONLY;
    let context = open_context(c"erofs").map_err(|errno| ("fsopen erofs", errno))?;
    let context = open::own(context);
    let number = context.as_raw_fd();
    let set = |key, value| {
        set_option(number, key, value).map_err(|errno| ("set an option of erofs", errno))
    };
    set(c"source", Some(source))?;
    set(c"ro", None)?;
    create_instance(number).map_err(|errno| ("create an instance of erofs", errno))?;
    let mount = mount_instance(number, READ_ONLY).map_err(|errno| ("fsmount erofs", errno))?;
    Ok(open::own(mount))
}

fn explain((operation, errno): Failed) -> Error {
    let error = Error::errno(operation, errno);
    match errno {
        Errno::ENODEV => error.hint(format!(
            "this kernel has no EROFS: modprobe erofs, or {OTHER_BACK_END}"
        )),
        Errno::ENOSYS => error.hint(format!(
            "a filter hides fsopen(2), or Linux is older than 5.4: {OTHER_BACK_END}"
        )),
        Errno::EPERM => error.hint(format!(
            "only the machine's root mounts EROFS: {OTHER_BACK_END}"
        )),
        Errno::EINVAL | Errno::EUCLEAN => {
            error.hint("the image is damaged: remove its directory, and it is made anew")
        }
        _ => error,
    }
}

/// The device that shows this image to other containers already, so that they share its cache; else a new one.
fn loop_device(path: &Path, file: &File) -> Result<LoopDevice> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let failed = |error: std::io::Error| Error::io(format!("lock {}", directory.display()), &error);
    // Not the image's own: a loop device keeps what it is given, and with it the lock.
    let lock = File::open(directory).map_err(failed)?;
    lock.lock().map_err(failed)?;
    let facts = file
        .metadata()
        .map_err(|error| Error::io(format!("stat {}", path.display()), &error))?;
    let hint = directory.join(HINT);
    let known = fs::read_to_string(&hint)
        .ok()
        .and_then(|text| text.parse().ok());
    if let Some(device) =
        known.and_then(|number| LoopDevice::of_file(number, encoded(facts.dev()), facts.ino()))
    {
        return Ok(device);
    }
    let device = LoopDevice::new(file.as_fd(), path.as_os_str().as_bytes()).map_err(no_loop)?;
    // Only a hint: what it says is looked at before it is believed.
    let _ = fs::write(&hint, device.number.to_string());
    Ok(device)
}

/// A device number as loop(4) tells it.
fn encoded(device: u64) -> u64 {
    let (major, minor) = (major(device), minor(device));
    (minor & 0xff) | (major << 8) | ((minor & !0xff) << 12)
}

fn no_loop(errno: Errno) -> Error {
    let error = Error::errno("get a loop device", errno);
    match errno {
        Errno::ENOENT | Errno::ENXIO | Errno::ENODEV => error.hint(format!(
            "EROFS straight from a file needs Linux 6.12 with CONFIG_EROFS_FS_BACKED_BY_FILE, and there is no \
             /dev/loop-control here: modprobe loop, or {OTHER_BACK_END}"
        )),
        Errno::EINVAL => error.hint(format!(
            "LOOP_CONFIGURE needs Linux 5.8: {OTHER_BACK_END}"
        )),
        _ => error.hint(format!("EROFS straight from a file needs Linux 6.12; without it: {OTHER_BACK_END}")),
    }
}
