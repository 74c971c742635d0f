//! set_mempolicy(2) and the test allocator that guards the time after `clone3`.

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
