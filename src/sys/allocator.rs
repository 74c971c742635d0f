//! Memory for a process that lives for milliseconds: taken from a fixed arena, front to back, and rarely given back.
//!
//! A start makes a few thousand small allocations and ends. An allocator that keeps order among them costs a fifth of a
//! millisecond (musl's asks the kernel sixty times); moving a mark costs nothing. What doesn't fit, and everything
//! large, comes from the C library and is freed as usual, so that an image pull or `events` for a week stays small.
//!
//! In debug builds it also guards the time after `clone3`: see [`forbid_allocation`].

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of the arena. Those never touched are never backed by memory.
const ARENA_BYTES: usize = 512 << 10;

/// An allocation larger than this comes from the C library, in bytes.
const LARGE_BYTES: usize = 32 << 10;

/// The arena's memory, aligned to a page.
#[repr(C, align(4096))]
struct Arena {
    bytes: UnsafeCell<[u8; ARENA_BYTES]>,
    /// How many bytes are taken.
    taken: AtomicUsize,
}

// SAFETY: `taken` hands every byte to one owner at a time.
unsafe impl Sync for Arena {}

#[global_allocator]
static ARENA: Arena = Arena {
    bytes: UnsafeCell::new([0; ARENA_BYTES]),
    taken: AtomicUsize::new(0),
};

impl Arena {
    fn start(&self) -> *mut u8 {
        self.bytes.get().cast()
    }

    /// Where in the arena `memory` lies.
    fn offset_of(&self, memory: *mut u8) -> Option<usize> {
        let offset = (memory as usize).wrapping_sub(self.start() as usize);
        (offset < ARENA_BYTES).then_some(offset)
    }

    fn take(&self, layout: Layout) -> Option<*mut u8> {
        let mut at = 0;
        let moved = self
            .taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| {
                at = taken.next_multiple_of(layout.align());
                Some(at + layout.size()).filter(|end| *end <= ARENA_BYTES)
            });
        // SAFETY: the offset is inside of the arena.
        moved.ok().map(|_| unsafe { self.start().add(at) })
    }

    /// Moves the end of the allocation at `offset`, which must be the last one.
    fn resize_last(&self, offset: usize, old_bytes: usize, new_bytes: usize) -> bool {
        let (old_end, new_end) = (offset + old_bytes, offset + new_bytes);
        new_end <= ARENA_BYTES
            && self
                .taken
                .compare_exchange(old_end, new_end, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}

// SAFETY: `take` never hands out a byte twice, aligns as asked, and everything else is the C library's allocator.
unsafe impl GlobalAlloc for Arena {
    // SAFETY: the caller's promise is passed on.
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        check();
        let taken = (layout.size() <= LARGE_BYTES && layout.align() <= 4096)
            .then(|| self.take(layout))
            .flatten();
        // SAFETY: the caller's promise.
        taken.unwrap_or_else(|| unsafe { System.alloc(layout) })
    }

    // SAFETY: the caller's promise is passed on.
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        check();
        match self.offset_of(memory) {
            Some(offset) => {
                self.resize_last(offset, layout.size(), 0);
            }
            // SAFETY: what is not of the arena is the C library's.
            None => unsafe { System.dealloc(memory, layout) },
        }
    }

    // SAFETY: the caller's promise is passed on.
    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, new_bytes: usize) -> *mut u8 {
        check();
        let Some(offset) = self.offset_of(memory) else {
            // SAFETY: what is not of the arena is the C library's.
            return unsafe { System.realloc(memory, layout, new_bytes) };
        };
        if self.resize_last(offset, layout.size(), new_bytes) {
            return memory;
        }
        // SAFETY: the caller promises a size that fits a layout; both allocations are at least as long as what is copied.
        unsafe {
            let fresh = self.alloc(Layout::from_size_align_unchecked(new_bytes, layout.align()));
            if !fresh.is_null() {
                fresh.copy_from_nonoverlapping(memory, layout.size().min(new_bytes));
                self.dealloc(memory, layout);
            }
            fresh
        }
    }
}

/// Gives what was freed back to the kernel: the C library keeps it otherwise, for each thread apart.
pub fn give_back() {
    // musl keeps nothing.
    #[cfg(all(target_env = "gnu", not(linked_with_musl)))]
    // SAFETY: it changes nothing but what is free, under the allocator's own locks.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// From now on allocating or freeing aborts this process, in debug builds. Called first in every child.
///
/// A child of a process with threads may hold a lock of the allocator for ever. So between the clone and `execve`
/// nothing is allocated or freed; a debug build, which all tests run, ends with SIGABRT where something is.
/// A release build has no trace of it.
#[inline]
pub fn forbid_allocation() {
    #[cfg(debug_assertions)]
    FORBIDDEN.store(true, Ordering::Relaxed);
}

/// Of this process: a child has a copy, which the parent never sees.
#[cfg(debug_assertions)]
static FORBIDDEN: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

#[inline]
fn check() {
    #[cfg(debug_assertions)]
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

#[cfg(test)]
mod tests {
    use super::{ARENA, ARENA_BYTES, forbid_allocation};
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

    #[test]
    fn what_is_taken_is_apart_aligned_and_keeps_its_content() {
        let mut texts: Vec<Vec<u64>> = Vec::new();
        for round in 0..3_000u64 {
            let mut text = vec![round; (round % 37) as usize + 1];
            text.push(round);
            texts.push(text);
        }
        for (round, text) in texts.iter().enumerate() {
            assert_eq!(text.as_ptr() as usize % align_of::<u64>(), 0);
            assert!(text.iter().all(|&value| value == round as u64));
        }
    }

    #[test]
    fn a_full_arena_is_not_the_end() {
        let many: Vec<Box<[u8; 1000]>> = (0..ARENA_BYTES / 500)
            .map(|n| Box::new([n as u8; 1000]))
            .collect();
        assert!(many.iter().enumerate().all(|(n, one)| one[999] == n as u8));
        let outside = many
            .iter()
            .filter(|one| ARENA.offset_of(one.as_ptr().cast_mut()).is_none());
        assert!(outside.count() > 0);
    }

    #[test]
    fn large_memory_is_the_c_librarys() {
        let large = vec![1u8; 64 << 10];
        assert_eq!(ARENA.offset_of(large.as_ptr().cast_mut()), None);
    }
}
