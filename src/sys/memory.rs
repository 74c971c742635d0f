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

/// Gives back what a process that only waits from here on does not need: its code and the stack that it used before.
/// Async-signal-safe.
pub fn release_for_a_wait() {
    release_stack();
    // Last, since what runs after it comes back.
    release_code();
}

/// madvise(2), `MADV_DONTNEED`, on the main thread's stack below what is in use; another thread's stays as it is.
#[inline(never)]
fn release_stack() {
    /// More than a start uses. KERNEL: below the main stack is a gap of 1 MiB, so nobody else's memory is that near.
    const MOST_BYTES: usize = 512 << 10;
    /// The program's name lies above everything on the main stack, further than its arguments and environment; other
    /// stacks are further away than this.
    const MAIN_STACK_BYTES: usize = 64 << 20;
    const PAGE_BYTES: usize = 4096;
    let here = 0u8;
    let here = (&raw const here).addr();
    // SAFETY: getauxval takes no pointers.
    let top = unsafe { libc::getauxval(libc::AT_EXECFN) } as usize;
    if !(here..here + MAIN_STACK_BYTES).contains(&top) {
        return;
    }
    // A page of distance leaves this function's own frame and the red zone below it alone.
    let end = (here & !(PAGE_BYTES - 1)) - PAGE_BYTES;
    // SAFETY: what lies below the frame of a function that calls nothing but the kernel is dead; where the stack ends
    // sooner, the kernel drops what there is and says ENOMEM.
    let _ = unsafe {
        syscall!(
            SYS_madvise,
            end - MOST_BYTES,
            MOST_BYTES,
            libc::MADV_DONTNEED
        )
    };
}

/// madvise(2), `MADV_DONTNEED`, on what is mapped read-only from our own file: a process that only waits keeps no code in
/// memory. What it needs again comes back from the page cache.
fn release_code() {
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
