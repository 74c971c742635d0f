//! openat2(2), mkdirat(2), mknodat(2) and relatives: file-system objects by directory handle.
//!
//! Everything here is async-signal-safe. Fds are close-on-exec. `RESOLVE_IN_ROOT` makes a directory the root of a
//! path's resolution, so no link inside it leads out.

use super::Result;
use nix::errno::Errno;
use std::ffi::CStr;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// The kernel's `struct open_how`.
#[repr(C)]
struct OpenHow {
    flags: u64,
    mode: u64,
    resolve: u64,
}

/// openat2(2) below `root`, which bounds `..`, absolute links and absolute paths; no magic links. KERNEL(5.6).
///
/// The kernel gives EAGAIN when a concurrent rename makes it unsure; it is asked again a bounded number of times.
pub fn open_in_root(root: RawFd, path: &CStr, flags: i32, mode: u32) -> Result<RawFd> {
    open_how(
        root,
        path,
        flags,
        mode,
        libc::RESOLVE_IN_ROOT | libc::RESOLVE_NO_MAGICLINKS,
    )
}

/// openat2(2) with `RESOLVE_*` flags.
pub fn open_how(dir: RawFd, path: &CStr, flags: i32, mode: u32, resolve: u64) -> Result<RawFd> {
    let how = OpenHow {
        flags: (flags | libc::O_CLOEXEC) as u32 as u64,
        mode: mode as u64,
        resolve,
    };
    let mut tries = 0;
    loop {
        // SAFETY: path is NUL-terminated, how outlives the call.
        match unsafe {
            syscall!(
                SYS_openat2,
                dir,
                path.as_ptr(),
                &raw const how,
                size_of::<OpenHow>()
            )
        } {
            Err(Errno::EAGAIN) if tries < 128 => tries += 1,
            Err(Errno::EINTR) => {}
            other => return other.map(|fd| fd as RawFd),
        }
    }
}

/// openat(2).
pub fn open_at(dir: RawFd, path: &CStr, flags: i32, mode: u32) -> Result<RawFd> {
    // SAFETY: path is NUL-terminated.
    unsafe {
        syscall!(
            SYS_openat,
            dir,
            path.as_ptr(),
            flags | libc::O_CLOEXEC,
            mode
        )
    }
    .map(|fd| fd as RawFd)
}

/// mkdirat(2).
pub fn make_directory(dir: RawFd, name: &CStr, mode: u32) -> Result<()> {
    // SAFETY: name is NUL-terminated.
    unsafe { syscall!(SYS_mkdirat, dir, name.as_ptr(), mode) }.map(drop)
}

/// mknodat(2); `mode` holds the type and the permission bits.
pub fn make_node(dir: RawFd, name: &CStr, mode: u32, major: u32, minor: u32) -> Result<()> {
    // SAFETY: name is NUL-terminated.
    unsafe {
        syscall!(
            SYS_mknodat,
            dir,
            name.as_ptr(),
            mode,
            libc::makedev(major, minor)
        )
    }
    .map(drop)
}

/// symlinkat(2).
pub fn make_symlink(target: &CStr, dir: RawFd, name: &CStr) -> Result<()> {
    // SAFETY: both texts are NUL-terminated.
    unsafe { syscall!(SYS_symlinkat, target.as_ptr(), dir, name.as_ptr()) }.map(drop)
}

/// readlinkat(2) into a caller's buffer; an empty `path` reads the link that `dir` itself is.
pub fn read_link<'b>(dir: RawFd, path: &CStr, buffer: &'b mut [u8]) -> Result<&'b [u8]> {
    // SAFETY: path is NUL-terminated, the buffer is valid for its length.
    let length = unsafe {
        syscall!(
            SYS_readlinkat,
            dir,
            path.as_ptr(),
            buffer.as_mut_ptr(),
            buffer.len()
        )
    }?;
    Ok(&buffer[..length as usize])
}

/// unlinkat(2).
pub fn unlink(dir: RawFd, name: &CStr, flags: i32) -> Result<()> {
    // SAFETY: name is NUL-terminated.
    unsafe { syscall!(SYS_unlinkat, dir, name.as_ptr(), flags) }.map(drop)
}

/// fchownat(2) of the object that an `O_PATH` fd refers to.
pub fn change_owner(fd: RawFd, uid: u32, gid: u32) -> Result<()> {
    // SAFETY: an empty path with AT_EMPTY_PATH means the fd itself.
    unsafe {
        syscall!(
            SYS_fchownat,
            fd,
            c"".as_ptr(),
            uid,
            gid,
            libc::AT_EMPTY_PATH
        )
    }
    .map(drop)
}

/// fchmod(2).
pub fn change_mode(fd: RawFd, mode: u32) -> Result<()> {
    // SAFETY: takes no pointers.
    unsafe { syscall!(SYS_fchmod, fd, mode) }.map(drop)
}

/// fstat(2).
pub fn stat(fd: RawFd) -> Result<libc::stat> {
    // SAFETY: stat is plain data for which zeroes are valid, and valid for writing.
    unsafe {
        let mut stat: libc::stat = std::mem::zeroed();
        Errno::result(libc::fstatat(
            fd,
            c"".as_ptr(),
            &raw mut stat,
            libc::AT_EMPTY_PATH,
        ))?;
        Ok(stat)
    }
}

/// fstatfs(2), the `f_type` of it: which file system an fd lies on.
pub fn file_system_type(fd: RawFd) -> Result<i64> {
    // SAFETY: statfs is plain data for which zeroes are valid, and valid for writing.
    unsafe {
        let mut stat: libc::statfs = std::mem::zeroed();
        Errno::result(libc::fstatfs(fd, &raw mut stat))?;
        Ok(stat.f_type)
    }
}

/// faccessat(2) as the effective user: 0 or EACCES, ENOENT, …
pub fn access(dir: RawFd, path: &CStr, mode: i32) -> Result<()> {
    // SAFETY: path is NUL-terminated.
    unsafe { syscall!(SYS_faccessat2, dir, path.as_ptr(), mode, libc::AT_EACCESS) }.map(drop)
}

/// read(2), restarted when interrupted.
pub fn read(fd: RawFd, buffer: &mut [u8]) -> Result<usize> {
    loop {
        // SAFETY: the buffer is valid for its length.
        match unsafe { syscall!(SYS_read, fd, buffer.as_mut_ptr(), buffer.len()) } {
            Err(Errno::EINTR) => {}
            other => return other.map(|count| count as usize),
        }
    }
}

/// A small file of a kernel's file system, whole; asking for its size first would be a wasted call, since it is 0.
pub fn read_small(path: impl AsRef<std::path::Path>) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    /// What nearly all of them fit in.
    const LIKELY_BYTES: usize = 4 << 10;
    let mut content = Vec::with_capacity(LIKELY_BYTES);
    // `take` keeps the standard library from asking.
    let mut file = std::fs::File::open(path)?.take(u64::MAX);
    file.read_to_end(&mut content)?;
    Ok(content)
}

/// [`read_small`] of a text.
pub fn read_text(path: impl AsRef<std::path::Path>) -> std::io::Result<String> {
    let content = read_small(path)?;
    String::from_utf8(content)
        .map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidData, error))
}

/// write(2) of all bytes, restarted when interrupted.
pub fn write_all(fd: RawFd, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        // SAFETY: the bytes are valid for their length.
        match unsafe { syscall!(SYS_write, fd, bytes.as_ptr(), bytes.len()) } {
            Err(Errno::EINTR) => {}
            Ok(0) => return Err(Errno::EIO),
            Ok(count) => bytes = &bytes[count as usize..],
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// close(2) of an fd that this process owns by number.
pub fn close(fd: RawFd) {
    // SAFETY: takes no pointers; the caller gives the fd up.
    let _ = unsafe { syscall!(SYS_close, fd) };
}

/// dup3(2) without close-on-exec.
pub fn duplicate_onto(from: RawFd, to: RawFd) -> Result<()> {
    if from == to {
        return keep_on_exec(from);
    }
    // SAFETY: takes no pointers.
    unsafe { syscall!(SYS_dup3, from, to, 0) }.map(drop)
}

/// Points the standard streams at /dev/null: the caller's pipes and terminal are free.
pub fn silence_standard_streams() -> Result<()> {
    silence_standard_input()?;
    duplicate_onto(0, 1)?;
    duplicate_onto(0, 2)
}

/// Points standard input at /dev/null.
pub fn silence_standard_input() -> Result<()> {
    let null = open_at(libc::AT_FDCWD, c"/dev/null", libc::O_RDWR, 0)?;
    let done = duplicate_onto(null, 0);
    if null != 0 {
        close(null);
    }
    done
}

/// fcntl(2): clears close-on-exec.
pub fn keep_on_exec(fd: RawFd) -> Result<()> {
    // SAFETY: takes no pointers.
    unsafe { syscall!(SYS_fcntl, fd, libc::F_SETFD, 0) }.map(drop)
}

/// Closes every fd from 3 on but these, which are in order. One that stays open in a waiting init, such as the state
/// directory's with its lock, would outlive a runtime that is killed.
pub fn close_all_but(kept: &[RawFd]) {
    let mut first: libc::c_uint = 3;
    for &fd in kept {
        let fd = fd as libc::c_uint;
        if fd > first {
            let _ = close_range(first, fd - 1);
        }
        first = first.max(fd.saturating_add(1));
    }
    let _ = close_range(first, libc::c_uint::MAX);
}

/// close_range(2) with `CLOSE_RANGE_CLOEXEC`: every fd from `first` on is closed by `execve`. KERNEL(5.11).
pub fn close_on_exec_from(first: u32) -> Result<()> {
    // SAFETY: takes no pointers.
    unsafe { syscall!(SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) }.map(drop)
}

/// close_range(2): closes every fd from `first` to `last`. KERNEL(5.9); before, one by one.
pub fn close_range(first: u32, last: u32) -> Result<()> {
    // SAFETY: takes no pointers.
    match unsafe { syscall!(SYS_close_range, first, last, 0) } {
        Err(Errno::ENOSYS) => {
            close_one_by_one(first, last);
            Ok(())
        }
        other => other.map(drop),
    }
}

#[cold]
fn close_one_by_one(first: u32, last: u32) {
    (first..=last.min(HIGHEST_FD as u32)).for_each(|fd| close(fd as RawFd));
}

/// fchdir(2).
pub fn enter(fd: RawFd) -> Result<()> {
    // SAFETY: takes no pointers.
    unsafe { syscall!(SYS_fchdir, fd) }.map(drop)
}

/// chdir(2).
pub fn enter_path(path: &CStr) -> Result<()> {
    // SAFETY: path is NUL-terminated.
    unsafe { syscall!(SYS_chdir, path.as_ptr()) }.map(drop)
}

/// getcwd(2) into a caller's buffer, without the final NUL. Outside the root the kernel says `(unreachable)/…`.
pub fn working_directory(buffer: &mut [u8]) -> Result<&[u8]> {
    // SAFETY: the buffer is valid for its length.
    let length = unsafe { syscall!(SYS_getcwd, buffer.as_mut_ptr(), buffer.len()) }? as usize;
    Ok(&buffer[..length.saturating_sub(1)])
}

/// chroot(2).
pub fn change_root(path: &CStr) -> Result<()> {
    // SAFETY: path is NUL-terminated.
    unsafe { syscall!(SYS_chroot, path.as_ptr()) }.map(drop)
}

/// memfd_create(2), then filled and rewound: a file that a hook can read from the beginning as its standard input.
pub fn memory_file(name: &CStr, content: &[u8]) -> Result<RawFd> {
    // SAFETY: name is NUL-terminated.
    let fd = unsafe { syscall!(SYS_memfd_create, name.as_ptr(), libc::MFD_CLOEXEC) }? as RawFd;
    // SAFETY: takes no pointers.
    write_all(fd, content)
        .and_then(|()| unsafe { syscall!(SYS_lseek, fd, 0, libc::SEEK_SET) }.map(|_| fd))
}

/// lseek(2) to the end.
pub fn seek_end(fd: RawFd) -> Result<()> {
    // SAFETY: takes no pointers.
    unsafe { syscall!(SYS_lseek, fd, 0, libc::SEEK_END) }.map(drop)
}

/// lseek(2) to the beginning.
pub fn rewind(fd: RawFd) -> Result<()> {
    // SAFETY: takes no pointers.
    unsafe { syscall!(SYS_lseek, fd, 0, libc::SEEK_SET) }.map(drop)
}

/// An fd that the caller owns by number, as a type; the caller keeps it open while the borrow lives.
pub fn borrow<'f>(fd: RawFd) -> BorrowedFd<'f> {
    // SAFETY: never -1 here; callers hand in fds they own and close later.
    unsafe { BorrowedFd::borrow_raw(fd) }
}

/// Takes charge of an fd that a call here has just returned and that nobody else owns.
pub fn own(fd: RawFd) -> OwnedFd {
    // SAFETY: by the contract above.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Where kernels without close_range(2) stop looking for open fds.
const HIGHEST_FD: RawFd = 4096;

/// KERNEL(<5.11): what [`close_on_exec_from`] does, for the fds that exist by number up to the soft limit's usual size.
#[cold]
pub fn close_on_exec_one_by_one() {
    for fd in 3..HIGHEST_FD {
        // SAFETY: takes no pointers; a number that is not open gives EBADF.
        let _ = unsafe { syscall!(SYS_fcntl, fd, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
}

/// The kernel's `struct linux_dirent64`, up to its name.
const ENTRY_HEADER_BYTES: usize = 19;

/// getdents64(2): calls `each` with every name but `.` and `..`, and its `DT_*` type. Async-signal-safe.
pub fn each_entry(directory: RawFd, each: &mut dyn FnMut(&CStr, u8) -> Result<()>) -> Result<()> {
    let mut buffer = [0u8; 4096];
    loop {
        // SAFETY: the buffer is valid for its length.
        let length =
            unsafe { syscall!(SYS_getdents64, directory, buffer.as_mut_ptr(), buffer.len()) }?
                as usize;
        if length == 0 {
            return Ok(());
        }
        let mut rest = &buffer[..length];
        while rest.len() > ENTRY_HEADER_BYTES {
            let size = usize::from(u16::from_ne_bytes([rest[16], rest[17]]))
                .clamp(ENTRY_HEADER_BYTES, rest.len());
            let name = CStr::from_bytes_until_nul(&rest[ENTRY_HEADER_BYTES..size])
                .map_err(|_| Errno::EIO)?;
            if name != c"." && name != c".." {
                each(name, rest[18])?;
            }
            rest = &rest[size..];
        }
    }
}
