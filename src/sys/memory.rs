//! set_mempolicy(2), madvise(2), mmap(2).

use super::Result;
use nix::errno::Errno;
use std::sync::atomic::AtomicU64;

/// set_mempolicy(2) of the calling task; `nodes` is a bit mask, node 0 lowest.
pub fn set_memory_policy(mode: i32, nodes: &[u64]) -> Result<()> {
    // The kernel subtracts one from the number of bits.
    let (pointer, bits) = if nodes.is_empty() {
        (std::ptr::null(), 0)
    } else {
        (nodes.as_ptr(), nodes.len() * 64 + 1)
    };
    // SAFETY: the slice is valid for its length; null means no nodes.
    unsafe { syscall!(SYS_set_mempolicy, mode, pointer, bits) }.map(drop)
}

/// mmap(2): numbers that processes made from now on share with us, zero at first. They stay until the process ends.
pub fn shared_numbers(count: usize) -> Result<&'static [AtomicU64]> {
    let bytes = count.max(1) * size_of::<AtomicU64>();
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let kind = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
    // SAFETY: a new anonymous mapping wherever the kernel likes.
    let memory = unsafe { libc::mmap(std::ptr::null_mut(), bytes, protection, kind, -1, 0) };
    if memory == libc::MAP_FAILED {
        return Err(Errno::last());
    }
    // SAFETY: the mapping is page-aligned, holds `count` zeroes, is never unmapped, and is only used through atomics.
    Ok(unsafe { std::slice::from_raw_parts(memory.cast(), count) })
}

/// madvise(2), `MADV_DONTNEED`, on what is mapped read-only from our own file: a process that only waits keeps no code in
/// memory. What it needs again comes back from the page cache. Async-signal-safe.
pub fn release_code() {
    // SAFETY: getauxval takes no pointers; the kernel's AT_PHDR and AT_PHNUM describe our program headers, which stay
    // mapped for the life of the process.
    let headers = unsafe {
        let first = libc::getauxval(libc::AT_PHDR) as *const libc::Elf64_Phdr;
        let count = libc::getauxval(libc::AT_PHNUM) as usize;
        if first.is_null() {
            return;
        }
        std::slice::from_raw_parts(first, count)
    };
    let own = headers.iter().find(|header| header.p_type == libc::PT_PHDR);
    let loaded_at = own.map_or(0, |header| headers.as_ptr() as u64 - header.p_vaddr);
    let constant = |header: &&libc::Elf64_Phdr| {
        header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_W == 0
    };
    for header in headers.iter().filter(constant) {
        const PAGE_MASK: u64 = 4095;
        let start = (loaded_at + header.p_vaddr) & !PAGE_MASK;
        let length = loaded_at + header.p_vaddr + header.p_memsz - start;
        // SAFETY: the range is a private file mapping that was never written to, so dropping its pages changes nothing
        // that can be read from it.
        let _ = unsafe { syscall!(SYS_madvise, start, length, libc::MADV_DONTNEED) };
    }
}
