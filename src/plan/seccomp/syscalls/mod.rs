//! System call names and numbers: 18 tables side by side, one lookup a name for all of them.
//!
//! The numbers are facts of the kernel, generated into `table.rs`. What is added here is the hash that finds a name
//! without touching the rest of the table, and the calls that 32-bit ABIs also reach through `socketcall` and `ipc`.

mod table;

use table::{LEN, TABLE};

/// How many tables there are.
const ABIS: usize = 18;

/// A call that an ABI does not have.
const NONE: u16 = u16::MAX;

/// The columns of the table: a set of system call numbers. Architectures of both byte orders share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Abi {
    /// i386.
    X86,
    /// x86-64.
    X86_64,
    /// 32-bit pointers on x86-64, with numbers of its own and [`X32_BIT`] in each.
    X32,
    /// EABI.
    Arm,
    /// The kernel's generic table.
    Aarch64,
    /// o32.
    Mips,
    /// n64.
    Mips64,
    /// n32.
    Mips64N32,
    /// 32 bits.
    Parisc,
    /// 64 bits.
    Parisc64,
    /// 32 bits.
    Ppc,
    /// 64 bits, both byte orders.
    Ppc64,
    /// The kernel's generic table.
    Riscv64,
    /// 31 bits.
    S390,
    /// 64 bits.
    S390x,
    /// The kernel's generic table.
    LoongArch64,
    /// m68k.
    M68k,
    /// SuperH, both byte orders.
    Sh,
}

/// Marks x32 calls, which share x86-64's architecture token.
pub const X32_BIT: u32 = 0x4000_0000;

/// ARM's private calls (`cacheflush`, `set_tls`) lie this far beyond the table.
pub const ARM_PRIVATE: u32 = 0xf_0000;

/// A call that is one of our rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Syscall(u16);

/// A call's way through `socketcall` or `ipc`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Multiplexed {
    /// The number of `socketcall` or `ipc`.
    pub number: u32,
    /// What its first argument must be.
    pub selector: u32,
}

impl Syscall {
    /// The call of this name on any architecture.
    pub fn named(name: &str) -> Option<Syscall> {
        let mut slot = hash(name.as_bytes()) & (SLOTS - 1);
        while INDEX[slot] != NONE {
            if TABLE[usize::from(INDEX[slot])].0 == name {
                return Some(Syscall(INDEX[slot]));
            }
            slot = (slot + 1) & (SLOTS - 1);
        }
        None
    }

    /// Its name.
    #[cfg(test)]
    pub fn name(self) -> &'static str {
        TABLE[usize::from(self.0)].0
    }

    /// Its number on one ABI, as the kernel reports it to a filter.
    pub fn number(self, abi: Abi) -> Option<u32> {
        let number = TABLE[usize::from(self.0)].1[abi as usize];
        match abi {
            _ if number == NONE => None,
            Abi::X32 => Some(u32::from(number) | X32_BIT),
            Abi::Arm if number >= 0xf000 => Some(ARM_PRIVATE | u32::from(number & 0xfff)),
            _ => Some(number.into()),
        }
    }

    /// How it is also reached on an ABI that multiplexes System V IPC or sockets.
    pub fn multiplexed(self, abi: Abi) -> Option<Multiplexed> {
        let (socketcall, ipc) = match abi {
            Abi::X86 | Abi::S390 | Abi::S390x | Abi::Ppc | Abi::Ppc64 | Abi::M68k | Abi::Sh => {
                (102, 117)
            }
            Abi::Mips => (4102, 4117),
            _ => return None,
        };
        let (number, calls) = match SELECTORS[usize::from(self.0)] {
            0 => return None,
            selector if selector < IPC => (socketcall, selector),
            selector => (ipc, selector - IPC),
        };
        Some(Multiplexed {
            number,
            selector: calls.into(),
        })
    }
}

/// Every known name.
#[cfg(test)]
pub fn all() -> impl Iterator<Item = Syscall> {
    (0..LEN as u16).map(Syscall)
}

const SLOTS: usize = 2048;

/// Open addressing: where the name with this hash is in the table.
static INDEX: [u16; SLOTS] = {
    let mut index = [NONE; SLOTS];
    let mut row = 0;
    while row < LEN {
        let mut slot = hash(TABLE[row].0.as_bytes()) & (SLOTS - 1);
        while index[slot] != NONE {
            slot = (slot + 1) & (SLOTS - 1);
        }
        index[slot] = row as u16;
        row += 1;
    }
    index
};

/// FNV-1a.
const fn hash(bytes: &[u8]) -> usize {
    let mut hash = 0x811c_9dc5_u32;
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u32).wrapping_mul(0x0100_0193);
        at += 1;
    }
    (hash ^ (hash >> 16)) as usize
}

/// Added to the selectors of `ipc` in [`SELECTORS`].
const IPC: u8 = 100;

/// The selector of every row's multiplexed form; 0 for none. Numbers of `linux/net.h` and `linux/ipc.h`.
static SELECTORS: [u8; LEN] = {
    let mut selectors = [0; LEN];
    let mut at = 0;
    while at < MULTIPLEXED.len() {
        selectors[row_of(MULTIPLEXED[at].0)] = MULTIPLEXED[at].1;
        at += 1;
    }
    selectors
};

#[rustfmt::skip]
const MULTIPLEXED: [(&str, u8); 32] = [
    ("socket", 1), ("bind", 2), ("connect", 3), ("listen", 4), ("accept", 5), ("getsockname", 6), ("getpeername", 7),
    ("socketpair", 8), ("send", 9), ("recv", 10), ("sendto", 11), ("recvfrom", 12), ("shutdown", 13),
    ("setsockopt", 14), ("getsockopt", 15), ("sendmsg", 16), ("recvmsg", 17), ("accept4", 18), ("recvmmsg", 19),
    ("sendmmsg", 20),
    ("semop", IPC + 1), ("semget", IPC + 2), ("semctl", IPC + 3), ("semtimedop", IPC + 4), ("msgsnd", IPC + 11),
    ("msgrcv", IPC + 12), ("msgget", IPC + 13), ("msgctl", IPC + 14), ("shmat", IPC + 21), ("shmdt", IPC + 22),
    ("shmget", IPC + 23), ("shmctl", IPC + 24),
];

/// Compile-time search; a missing name stops the build.
const fn row_of(name: &str) -> usize {
    let mut slot = hash(name.as_bytes()) & (SLOTS - 1);
    while !equal(TABLE[INDEX[slot] as usize].0.as_bytes(), name.as_bytes()) {
        slot = (slot + 1) & (SLOTS - 1);
    }
    INDEX[slot] as usize
}

const fn equal(a: &[u8], b: &[u8]) -> bool {
    let mut at = 0;
    while at < a.len() && at < b.len() && a[at] == b[at] {
        at += 1;
    }
    at == a.len() && at == b.len()
}

#[cfg(test)]
mod tests;
