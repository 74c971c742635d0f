//! credentials(7), capabilities(7): who a process is. Everything here is async-signal-safe.
//!
//! libc's set*id functions signal every thread and take locks; these act on the calling task alone, which between
//! `clone3` and `execve` is the only one.

use super::Result;
use std::ffi::CStr;

/// setresuid(2).
pub fn set_user(uid: u32) -> Result<()> {
    // SAFETY: takes no pointers.
    unsafe { syscall!(SYS_setresuid, uid, uid, uid) }.map(drop)
}

/// setresgid(2).
pub fn set_group(gid: u32) -> Result<()> {
    // SAFETY: takes no pointers.
    unsafe { syscall!(SYS_setresgid, gid, gid, gid) }.map(drop)
}

/// setgroups(2).
pub fn set_groups(groups: &[u32]) -> Result<()> {
    // SAFETY: the slice is valid for its length.
    unsafe { syscall!(SYS_setgroups, groups.len(), groups.as_ptr()) }.map(drop)
}

#[repr(C)]
struct CapabilityHeader {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct CapabilityData {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

const LINUX_CAPABILITY_VERSION_3: u32 = 0x2008_0522;

/// capset(2) of the calling task, as bit masks.
pub fn set_capabilities(effective: u64, permitted: u64, inheritable: u64) -> Result<()> {
    let header = CapabilityHeader {
        version: LINUX_CAPABILITY_VERSION_3,
        pid: 0,
    };
    let half = |shift: u32| CapabilityData {
        effective: (effective >> shift) as u32,
        permitted: (permitted >> shift) as u32,
        inheritable: (inheritable >> shift) as u32,
    };
    let data = [half(0), half(32)];
    // SAFETY: version 3 takes two data elements; both structs outlive the call.
    unsafe { syscall!(SYS_capset, &raw const header, data.as_ptr()) }.map(drop)
}

/// capget(2) of the calling task: (effective, permitted, inheritable).
pub fn capabilities() -> Result<(u64, u64, u64)> {
    let header = CapabilityHeader {
        version: LINUX_CAPABILITY_VERSION_3,
        pid: 0,
    };
    let mut data = [CapabilityData::default(); 2];
    // SAFETY: version 3 fills two data elements.
    unsafe { syscall!(SYS_capget, &raw const header, data.as_mut_ptr()) }?;
    let join = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    Ok((
        join(data[0].effective, data[1].effective),
        join(data[0].permitted, data[1].permitted),
        join(data[0].inheritable, data[1].inheritable),
    ))
}

/// prctl(2), `PR_CAPBSET_DROP`.
pub fn drop_bounding(capability: u8) -> Result<()> {
    prctl(libc::PR_CAPBSET_DROP, u64::from(capability), 0)
}

/// prctl(2), `PR_CAPBSET_READ`: EINVAL for a capability that the kernel doesn't know.
pub fn in_bounding(capability: u8) -> Result<bool> {
    // SAFETY: takes no pointers.
    unsafe {
        syscall!(
            SYS_prctl,
            libc::PR_CAPBSET_READ,
            u64::from(capability),
            0,
            0,
            0
        )
    }
    .map(|set| set == 1)
}

/// prctl(2), `PR_SET_KEEPCAPS`: permitted capabilities survive leaving uid 0.
pub fn keep_capabilities(keep: bool) -> Result<()> {
    prctl(libc::PR_SET_KEEPCAPS, u64::from(keep), 0)
}

/// prctl(2), `PR_CAP_AMBIENT_RAISE`.
pub fn raise_ambient(capability: u8) -> Result<()> {
    prctl(
        libc::PR_CAP_AMBIENT,
        libc::PR_CAP_AMBIENT_RAISE as u64,
        u64::from(capability),
    )
}

/// prctl(2), `PR_SET_NO_NEW_PRIVS`.
pub fn no_new_privileges() -> Result<()> {
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0)
}

/// prctl(2), `PR_SET_DUMPABLE`: 0 keeps processes of the container away from us through ptrace and /proc.
pub fn set_dumpable(dumpable: bool) -> Result<()> {
    prctl(libc::PR_SET_DUMPABLE, u64::from(dumpable), 0)
}

/// prctl(2), `PR_SET_CHILD_SUBREAPER`.
pub fn become_subreaper() -> Result<()> {
    prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0)
}

fn prctl(option: i32, second: u64, third: u64) -> Result<()> {
    // SAFETY: none of the options used here takes a pointer.
    unsafe { syscall!(SYS_prctl, option, second, third, 0, 0) }.map(drop)
}

/// keyctl(2), `KEYCTL_JOIN_SESSION_KEYRING`: a new session keyring of this name; its serial number.
pub fn join_session_keyring(name: &CStr) -> Result<i32> {
    const KEYCTL_JOIN_SESSION_KEYRING: i32 = 1;
    // SAFETY: name is NUL-terminated.
    unsafe { syscall!(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name.as_ptr()) }
        .map(|serial| serial as i32)
}

/// keyctl(2), `KEYCTL_SETPERM`, after `KEYCTL_DESCRIBE`: lets the owner search the keyring, as runc does.
pub fn let_owner_search_keyring(serial: i32) -> Result<()> {
    const KEYCTL_SETPERM: i32 = 5;
    const KEYCTL_DESCRIBE: i32 = 6;
    const KEY_USR_SEARCH: u32 = 0x0008_0000;
    let mut description = [0u8; 256];
    // SAFETY: the buffer is valid for its length.
    let length = unsafe {
        syscall!(
            SYS_keyctl,
            KEYCTL_DESCRIBE,
            serial,
            description.as_mut_ptr(),
            description.len()
        )
    }? as usize;
    let description = &description[..length.min(description.len())];
    // The description reads type;uid;gid;permissions;name, with permissions in hexadecimal.
    let permissions = description
        .split(|&byte| byte == b';')
        .nth(3)
        .unwrap_or_default();
    let permissions = permissions.iter().fold(0u32, |sum, &digit| {
        sum << 4 | (digit as char).to_digit(16).unwrap_or(0)
    });
    // SAFETY: takes no pointers.
    unsafe {
        syscall!(
            SYS_keyctl,
            KEYCTL_SETPERM,
            serial,
            permissions | KEY_USR_SEARCH
        )
    }
    .map(drop)
}
