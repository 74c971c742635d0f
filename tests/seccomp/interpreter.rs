//! A classic BPF machine with seccomp's instruction set, strict about what the kernel would refuse.

use crun_lite::plan::seccomp::{Arch, SockFilter};

/// What a filter sees of a call.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    pub arch: Arch,
    pub number: u32,
    pub args: [u64; 6],
}

impl Call {
    /// The 32-bit word at an offset of `struct seccomp_data`, in the architecture's byte order.
    fn word(&self, offset: u32, big_endian: bool) -> u32 {
        assert!(offset.is_multiple_of(4) && offset < 64, "load of {offset}");
        match offset {
            0 => self.number,
            4 => self.arch.token(),
            8 | 12 => 0,
            _ => {
                let arg = self.args[(offset as usize - 16) / 8];
                let low = offset.is_multiple_of(8) != big_endian;
                if low { arg as u32 } else { (arg >> 32) as u32 }
            }
        }
    }
}

/// The filter's return value for a call.
pub fn run(filter: &[SockFilter], call: &Call) -> u32 {
    let big_endian = call.arch.token() & 0x4000_0000 == 0;
    let mut accumulator = 0;
    let mut at = 0;
    loop {
        let SockFilter { code, jt, jf, k } = filter[at];
        at += 1;
        let jump = |holds: bool| usize::from(if holds { jt } else { jf });
        match code {
            0x20 => accumulator = call.word(k, big_endian),
            0x54 => accumulator &= k,
            0x05 => at += k as usize,
            0x15 => at += jump(accumulator == k),
            0x25 => at += jump(accumulator > k),
            0x35 => at += jump(accumulator >= k),
            0x45 => at += jump(accumulator & k != 0),
            0x06 => return k,
            _ => panic!("instruction {code:#x} at {}", at - 1),
        }
    }
}
