//! set_mempolicy(2), madvise(2), and the allocator of debug builds that guards the time after `clone3`.
//!
//! A child of a process with threads may hold a lock of the allocator for ever. So between the clone and `execve`
//! nothing is allocated or freed; a debug build, which all tests run, ends with SIGABRT where something is.
//! A release build has no trace of it.

use super::Result;

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

/// From now on allocating or freeing aborts this process, in debug builds. Called first in every child.
#[inline]
pub fn forbid_allocation() {
    #[cfg(debug_assertions)]
    guard::FORBIDDEN.store(true, std::sync::atomic::Ordering::Relaxed);
}

#[cfg(debug_assertions)]
mod guard {
    use std::alloc::{GlobalAlloc, Layout, System};
    use std::sync::atomic::{AtomicBool, Ordering};

    /// Of this process: a child has a copy, which the parent never sees.
    pub static FORBIDDEN: AtomicBool = AtomicBool::new(false);

    struct Guarded;

    #[global_allocator]
    static ALLOCATOR: Guarded = Guarded;

    fn check() {
        if FORBIDDEN.load(Ordering::Relaxed) {
            const SENTENCE: &[u8] = b"crun-lite: memory was allocated between clone3 and execve\n";
            // SAFETY: the text is valid for its length; neither call takes a lock or memory.
            unsafe {
                libc::write(2, SENTENCE.as_ptr().cast(), SENTENCE.len());
                libc::kill(libc::getpid(), libc::SIGABRT);
                libc::_exit(134);
            }
        }
    }

    // SAFETY: every call is the system allocator's, with the caller's arguments.
    unsafe impl GlobalAlloc for Guarded {
        // SAFETY: the caller's promise is passed on.
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            check();
            // SAFETY: the caller's promise.
            unsafe { System.alloc(layout) }
        }

        // SAFETY: the caller's promise is passed on.
        unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
            check();
            // SAFETY: the caller's promise.
            unsafe { System.alloc_zeroed(layout) }
        }

        // SAFETY: the caller's promise is passed on.
        unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
            check();
            // SAFETY: the caller's promise.
            unsafe { System.realloc(old, layout, size) }
        }

        // SAFETY: the caller's promise is passed on.
        unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
            check();
            // SAFETY: the caller's promise.
            unsafe { System.dealloc(old, layout) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::forbid_allocation;
    use crate::sys::clone::{Exit, Fork, ForkFlags, fork_then, wait_pidfd};
    use crate::sys::{open, process};

    /// How a child ends that does this after the word.
    fn end_of(body: fn()) -> Option<Exit> {
        let forked = fork_then(ForkFlags::default(), || {
            forbid_allocation();
            body();
            process::exit(0)
        });
        let Ok(Fork::Parent { pidfd, .. }) = forked else {
            panic!("no child");
        };
        let exit = wait_pidfd(pidfd, true).expect("wait");
        open::close(pidfd);
        exit
    }

    #[test]
    fn a_child_that_allocates_is_aborted() {
        let allocate = || drop(std::hint::black_box(Box::new(1)));
        assert_eq!(end_of(allocate), Some(Exit::Signal(libc::SIGABRT)));
        assert_eq!(end_of(|| {}), Some(Exit::Code(0)));
    }

    #[test]
    fn the_parent_goes_on_allocating() {
        end_of(|| {});
        drop(std::hint::black_box(vec![1; 100]));
    }
}
