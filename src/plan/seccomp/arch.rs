//! The architectures of the runtime specification: their names, the kernel's tokens and how they pass arguments.
//!
//! Byte order and word size decide where a filter finds an argument; the family decides which architectures a kernel
//! can run at all.

use super::syscalls::Abi;

/// An architecture that the runtime specification names. SPEC(config-linux.md#seccomp)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Arch {
    X86,
    X86_64,
    X32,
    Arm,
    Aarch64,
    Mips,
    Mips64,
    Mips64N32,
    Mipsel,
    Mipsel64,
    Mipsel64N32,
    Ppc,
    Ppc64,
    Ppc64le,
    S390,
    S390x,
    Parisc,
    Parisc64,
    Riscv64,
    LoongArch64,
    M68k,
    Sh,
    Sheb,
}

/// One row of [`FACTS`].
struct Facts {
    arch: Arch,
    name: &'static str,
    /// `AUDIT_ARCH_*`.
    token: u32,
    abi: Abi,
    /// Rows of one family can run on the same kernel.
    family: u8,
}

const WIDE: u32 = 0x8000_0000;
const LITTLE: u32 = 0x4000_0000;
const N32: u32 = 0x2000_0000;

const fn facts(arch: Arch, name: &'static str, token: u32, abi: Abi, family: u8) -> Facts {
    Facts {
        arch,
        name,
        token,
        abi,
        family,
    }
}

/// In the order of [`Arch`]. A token is an ELF machine number with marks for 64 bits and little endian.
#[rustfmt::skip]
static FACTS: [Facts; 23] = [
    facts(Arch::X86, "SCMP_ARCH_X86", LITTLE | 3, Abi::X86, 0),
    facts(Arch::X86_64, "SCMP_ARCH_X86_64", WIDE | LITTLE | 62, Abi::X86_64, 0),
    facts(Arch::X32, "SCMP_ARCH_X32", WIDE | LITTLE | 62, Abi::X32, 0),
    facts(Arch::Arm, "SCMP_ARCH_ARM", LITTLE | 40, Abi::Arm, 1),
    facts(Arch::Aarch64, "SCMP_ARCH_AARCH64", WIDE | LITTLE | 183, Abi::Aarch64, 1),
    facts(Arch::Mips, "SCMP_ARCH_MIPS", 8, Abi::Mips, 2),
    facts(Arch::Mips64, "SCMP_ARCH_MIPS64", WIDE | 8, Abi::Mips64, 2),
    facts(Arch::Mips64N32, "SCMP_ARCH_MIPS64N32", WIDE | N32 | 8, Abi::Mips64N32, 2),
    facts(Arch::Mipsel, "SCMP_ARCH_MIPSEL", LITTLE | 8, Abi::Mips, 3),
    facts(Arch::Mipsel64, "SCMP_ARCH_MIPSEL64", WIDE | LITTLE | 8, Abi::Mips64, 3),
    facts(Arch::Mipsel64N32, "SCMP_ARCH_MIPSEL64N32", WIDE | LITTLE | N32 | 8, Abi::Mips64N32, 3),
    facts(Arch::Ppc, "SCMP_ARCH_PPC", 20, Abi::Ppc, 4),
    facts(Arch::Ppc64, "SCMP_ARCH_PPC64", WIDE | 21, Abi::Ppc64, 4),
    facts(Arch::Ppc64le, "SCMP_ARCH_PPC64LE", WIDE | LITTLE | 21, Abi::Ppc64, 5),
    facts(Arch::S390, "SCMP_ARCH_S390", 22, Abi::S390, 6),
    facts(Arch::S390x, "SCMP_ARCH_S390X", WIDE | 22, Abi::S390x, 6),
    facts(Arch::Parisc, "SCMP_ARCH_PARISC", 15, Abi::Parisc, 7),
    facts(Arch::Parisc64, "SCMP_ARCH_PARISC64", WIDE | 15, Abi::Parisc64, 7),
    facts(Arch::Riscv64, "SCMP_ARCH_RISCV64", WIDE | LITTLE | 243, Abi::Riscv64, 8),
    facts(Arch::LoongArch64, "SCMP_ARCH_LOONGARCH64", WIDE | LITTLE | 258, Abi::LoongArch64, 9),
    facts(Arch::M68k, "SCMP_ARCH_M68K", 4, Abi::M68k, 10),
    facts(Arch::Sh, "SCMP_ARCH_SH", LITTLE | 42, Abi::Sh, 11),
    facts(Arch::Sheb, "SCMP_ARCH_SHEB", 42, Abi::Sh, 12),
];

impl Arch {
    /// The architecture that this program was built for.
    pub const NATIVE: Arch = native();

    /// Every architecture, in the specification's order.
    pub fn all() -> impl Iterator<Item = Arch> {
        FACTS.iter().map(|facts| facts.arch)
    }

    /// The architecture of a `SCMP_ARCH_…` name.
    pub fn named(name: &str) -> Option<Arch> {
        let facts = FACTS.iter().find(|facts| facts.name == name)?;
        Some(facts.arch)
    }

    /// Its `SCMP_ARCH_…` name.
    pub fn name(self) -> &'static str {
        self.facts().name
    }

    /// The kernel's `AUDIT_ARCH_*` value. x32 has x86-64's.
    pub fn token(self) -> u32 {
        self.facts().token
    }

    /// Its system call numbers.
    pub(super) fn abi(self) -> Abi {
        self.facts().abi
    }

    /// Whether filters compare all 64 bits of an argument. The ABIs with 32-bit pointers on 64-bit machines do not.
    pub(super) fn compares_64_bits(self) -> bool {
        self.facts().token & WIDE != 0
            && !matches!(self, Arch::X32 | Arch::Mips64N32 | Arch::Mipsel64N32)
    }

    /// Whether the low half of an argument comes last.
    pub(super) fn big_endian(self) -> bool {
        self.facts().token & LITTLE == 0
    }

    /// Whether one kernel can run both.
    pub(super) fn shares_kernel_with(self, other: Arch) -> bool {
        self.facts().family == other.facts().family
    }

    fn facts(self) -> &'static Facts {
        &FACTS[self as usize]
    }
}

const fn native() -> Arch {
    let little = cfg!(target_endian = "little");
    if cfg!(target_arch = "x86") {
        Arch::X86
    } else if cfg!(target_arch = "aarch64") {
        Arch::Aarch64
    } else if cfg!(target_arch = "arm") {
        Arch::Arm
    } else if cfg!(target_arch = "riscv64") {
        Arch::Riscv64
    } else if cfg!(target_arch = "s390x") {
        Arch::S390x
    } else if cfg!(target_arch = "powerpc64") {
        if little { Arch::Ppc64le } else { Arch::Ppc64 }
    } else if cfg!(target_arch = "loongarch64") {
        Arch::LoongArch64
    } else if cfg!(target_arch = "x86_64") {
        Arch::X86_64
    } else {
        panic!("crun-lite has not been ported to this architecture")
    }
}
