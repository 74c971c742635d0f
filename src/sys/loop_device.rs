//! loop(4): a file as a block device, that goes away by itself with its last user.

use super::Result;
use nix::errno::Errno;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

const LOOP_GET_STATUS64: u64 = 0x4C05;
const LOOP_CONFIGURE: u64 = 0x4C0A;
const LOOP_CTL_GET_FREE: u64 = 0x4C82;
const READ_ONLY: u32 = 1;
const AUTOCLEAR: u32 = 4;
const DIRECT_IO: u32 = 16;
const NAME_BYTES: usize = 64;
/// How often another process may be faster than we.
const ATTEMPTS: usize = 100;

/// The kernel's `struct loop_info64`.
#[repr(C)]
#[derive(Clone, Copy)]
struct LoopInfo {
    device: u64,
    inode: u64,
    rdevice: u64,
    offset: u64,
    size_limit: u64,
    number: u32,
    encryption: [u32; 2],
    flags: u32,
    file_name: [u8; NAME_BYTES],
    crypt_name: [u8; NAME_BYTES],
    key: [u8; 32],
    init: [u64; 2],
}

const EMPTY: LoopInfo = LoopInfo {
    device: 0,
    inode: 0,
    rdevice: 0,
    offset: 0,
    size_limit: 0,
    number: 0,
    encryption: [0; 2],
    flags: 0,
    file_name: [0; NAME_BYTES],
    crypt_name: [0; NAME_BYTES],
    key: [0; 32],
    init: [0; 2],
};

/// The kernel's `struct loop_config`.
#[repr(C)]
struct LoopConfig {
    fd: u32,
    block_bytes: u32,
    info: LoopInfo,
    reserved: [u64; 8],
}

/// A device, kept while this lives and as long as anything is mounted from it.
#[derive(Debug)]
pub struct LoopDevice {
    /// N of /dev/loopN.
    pub number: u32,
    _file: File,
}

impl LoopDevice {
    /// /dev/loopN when it shows this very file, read-only and only as long as it is used.
    pub fn of_file(number: u32, device: u64, inode: u64) -> Option<LoopDevice> {
        let file = open(number).ok()?;
        let mut info = EMPTY;
        // SAFETY: LOOP_GET_STATUS64 writes one loop_info64.
        unsafe {
            syscall!(
                SYS_ioctl,
                file.as_raw_fd(),
                LOOP_GET_STATUS64,
                &raw mut info
            )
        }
        .ok()?;
        let right = info.flags & (READ_ONLY | AUTOCLEAR) == READ_ONLY | AUTOCLEAR
            && (info.device, info.inode, info.offset) == (device, inode, 0);
        right.then_some(LoopDevice {
            number,
            _file: file,
        })
    }

    /// A free device that shows `backing`, called `name` in lists. KERNEL(5.8): configured in one call, so that nobody
    /// who is killed leaves half of one.
    pub fn new(backing: BorrowedFd<'_>, name: &[u8]) -> Result<LoopDevice> {
        let control = File::open("/dev/loop-control").map_err(errno)?;
        let mut info = EMPTY;
        let shown = &name[name.len().saturating_sub(NAME_BYTES - 1)..];
        info.file_name[..shown.len()].copy_from_slice(shown);
        info.flags = READ_ONLY | AUTOCLEAR | DIRECT_IO;
        for _ in 0..ATTEMPTS {
            // SAFETY: takes no pointers.
            let number =
                unsafe { syscall!(SYS_ioctl, control.as_raw_fd(), LOOP_CTL_GET_FREE, 0) }? as u32;
            let file = open(number)?;
            match configure(&file, backing, info) {
                // Another process took it between the two calls.
                Err(Errno::EBUSY) => {}
                Err(Errno::EINVAL) if info.flags & DIRECT_IO != 0 => info.flags &= !DIRECT_IO,
                Err(errno) => return Err(errno),
                Ok(()) => {
                    return Ok(LoopDevice {
                        number,
                        _file: file,
                    });
                }
            }
        }
        Err(Errno::EBUSY)
    }
}

fn configure(device: &File, backing: BorrowedFd<'_>, info: LoopInfo) -> Result<()> {
    let config = LoopConfig {
        fd: backing.as_raw_fd() as u32,
        // EROFS' own; and direct I/O wants no less than the disk below has.
        block_bytes: 4096,
        info,
        reserved: [0; 8],
    };
    let device = device.as_fd().as_raw_fd();
    // SAFETY: LOOP_CONFIGURE reads one loop_config.
    unsafe { syscall!(SYS_ioctl, device, LOOP_CONFIGURE, &raw const config) }.map(drop)
}

fn open(number: u32) -> Result<File> {
    File::open(format!("/dev/loop{number}")).map_err(errno)
}

fn errno(error: std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))
}
