//! bpf(2), as far as cgroup device programs need it: load, attach, list, detach.
//!
//! The kernel copies every attribute before the call returns; nothing here outlives it but the returned fds.

use super::Result;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

const BPF_PROG_LOAD: libc::c_int = 5;
const BPF_PROG_ATTACH: libc::c_int = 8;
const BPF_PROG_DETACH: libc::c_int = 9;
const BPF_PROG_GET_FD_BY_ID: libc::c_int = 13;
const BPF_PROG_QUERY: libc::c_int = 16;

const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;
const BPF_F_ALLOW_MULTI: u32 = 1 << 1;
const BPF_F_REPLACE: u32 = 1 << 2;

/// One instruction in the kernel's layout (`struct bpf_insn`).
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Instruction {
    code: u8,
    registers: u8,
    offset: i16,
    constant: i32,
}

impl Instruction {
    /// Packs one instruction; the registers' order in their byte follows the machine's byte order.
    pub fn new(code: u8, dst: u8, src: u8, offset: i16, constant: i32) -> Instruction {
        let (dst, src) = (dst & 0xf, src & 0xf);
        let registers = if cfg!(target_endian = "little") {
            src << 4 | dst
        } else {
            dst << 4 | src
        };
        Instruction {
            code,
            registers,
            offset,
            constant,
        }
    }
}

/// The beginning of `union bpf_attr` for `BPF_PROG_LOAD`.
#[repr(C)]
struct Load {
    kind: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
}

/// `union bpf_attr` for `BPF_PROG_ATTACH` and `BPF_PROG_DETACH`.
#[repr(C)]
struct Attach {
    target: u32,
    program: u32,
    attach_type: u32,
    flags: u32,
    replaced: u32,
}

/// `union bpf_attr` for `BPF_PROG_QUERY`.
#[repr(C)]
struct Query {
    target: u32,
    attach_type: u32,
    query_flags: u32,
    attach_flags: u32,
    ids: u64,
    count: u32,
    padding: u32,
}

fn bpf<T>(command: libc::c_int, attributes: &mut T) -> Result<libc::c_long> {
    // SAFETY: `attributes` is a live, initialized `#[repr(C)]` prefix of `union bpf_attr` of the size passed; the kernel
    // takes what is beyond it for zero. Pointers inside it are valid for the call, as each caller sees to.
    unsafe {
        syscall!(
            SYS_bpf,
            command,
            std::ptr::from_mut(attributes),
            size_of::<T>()
        )
    }
}

fn owned(fd: libc::c_long) -> OwnedFd {
    // SAFETY: the kernel just returned this fd (close-on-exec, as all of bpf(2)'s), and nobody else owns it.
    unsafe { OwnedFd::from_raw_fd(fd as libc::c_int) }
}

/// Loads a device program.
pub fn load_device_program(instructions: &[Instruction]) -> Result<OwnedFd> {
    let license = c"Apache-2.0";
    // `instructions` and `license` outlive the call.
    let mut attributes = Load {
        kind: BPF_PROG_TYPE_CGROUP_DEVICE,
        instruction_count: instructions.len() as u32,
        instructions: instructions.as_ptr() as u64,
        license: license.as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log: 0,
    };
    bpf(BPF_PROG_LOAD, &mut attributes).map(owned)
}

/// Attaches a device program to a cgroup, besides those there, or in the place of `replaced`, at once.
pub fn attach_device_program(
    cgroup: BorrowedFd,
    program: BorrowedFd,
    replaced: Option<BorrowedFd>,
) -> Result<()> {
    let mut attributes = Attach {
        target: cgroup.as_raw_fd() as u32,
        program: program.as_raw_fd() as u32,
        attach_type: BPF_CGROUP_DEVICE,
        flags: BPF_F_ALLOW_MULTI | if replaced.is_some() { BPF_F_REPLACE } else { 0 },
        replaced: replaced.map_or(0, |fd| fd.as_raw_fd() as u32),
    };
    bpf(BPF_PROG_ATTACH, &mut attributes).map(drop)
}

/// Takes a device program off a cgroup.
pub fn detach_device_program(cgroup: BorrowedFd, program: BorrowedFd) -> Result<()> {
    let mut attributes = Attach {
        target: cgroup.as_raw_fd() as u32,
        program: program.as_raw_fd() as u32,
        attach_type: BPF_CGROUP_DEVICE,
        flags: 0,
        replaced: 0,
    };
    bpf(BPF_PROG_DETACH, &mut attributes).map(drop)
}

/// Opens the device programs that are attached to a cgroup itself.
pub fn device_programs(cgroup: BorrowedFd) -> Result<Vec<OwnedFd>> {
    // KERNEL: at most 64 programs a cgroup and attach type.
    let mut ids = [0_u32; 64];
    let mut attributes = Query {
        target: cgroup.as_raw_fd() as u32,
        attach_type: BPF_CGROUP_DEVICE,
        query_flags: 0,
        attach_flags: 0,
        // `ids` outlives the call, and `count` tells its size.
        ids: ids.as_mut_ptr() as u64,
        count: ids.len() as u32,
        padding: 0,
    };
    bpf(BPF_PROG_QUERY, &mut attributes)?;
    let found = ids.iter().take(attributes.count as usize);
    found
        .map(|id| bpf(BPF_PROG_GET_FD_BY_ID, &mut [*id, 0, 0]).map(owned))
        .collect()
}
