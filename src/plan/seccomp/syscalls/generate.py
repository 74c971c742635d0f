#!/usr/bin/env python3
"""Writes table.rs: the system call numbers of every ABI, from the kernel's own headers.

    generate.py HEADERS RAW > table.rs

HEADERS: Debian's linux-libc-dev-{arm64,armhf,i386,ppc64el,s390x,mips,mips64,mipsn32,riscv64,hppa,m68k,powerpc,
         ppc64,sh4,x32,amd64}-cross packages, all unpacked into one directory (`dpkg-deb -x P.deb HEADERS`).
RAW:     the `src` directory of the linux-raw-sys crate, whose headers are newer and which has loongarch64.
Both are only read for numbers. Calls newer than both, which have one number everywhere, are in NEWER.
"""
import re, subprocess, sys

headers, raw = sys.argv[1:3]

# ABI, triplet, header, extra preprocessor flags, linux-raw-sys directory
ABIS = [
    ("x86", "i686-linux-gnu", "asm/unistd_32.h", "", "x86"),
    ("x86_64", "x86_64-linux-gnu", "asm/unistd_64.h", "", "x86_64"),
    ("x32", "x86_64-linux-gnux32", "asm/unistd_x32.h", "-D__X32_SYSCALL_BIT=0", "x32"),
    ("arm", "arm-linux-gnueabihf", "asm/unistd.h", "-D__ARM_EABI__", "arm"),
    ("aarch64", "aarch64-linux-gnu", "asm/unistd.h", "", "aarch64"),
    ("mips", "mips-linux-gnu", "asm/unistd_o32.h", "-D__NR_Linux=4000", "mips"),
    ("mips64", "mips64-linux-gnuabi64", "asm/unistd_n64.h", "-D__NR_Linux=5000", "mips64"),
    ("mips64n32", "mips64-linux-gnuabin32", "asm/unistd_n32.h", "-D__NR_Linux=6000", None),
    ("parisc", "hppa-linux-gnu", "asm/unistd_32.h", "", None),
    ("parisc64", "hppa-linux-gnu", "asm/unistd_64.h", "", None),
    ("ppc", "powerpc-linux-gnu", "asm/unistd_32.h", "", "powerpc"),
    ("ppc64", "powerpc64-linux-gnu", "asm/unistd_64.h", "", "powerpc64"),
    ("riscv64", "riscv64-linux-gnu", "asm/unistd.h", "-D__SIZEOF_POINTER__=8", "riscv64"),
    ("s390", "s390x-linux-gnu", "asm/unistd_32.h", "", None),
    ("s390x", "s390x-linux-gnu", "asm/unistd_64.h", "", "s390x"),
    ("loongarch64", None, None, None, "loongarch64"),
    ("m68k", "m68k-linux-gnu", "asm/unistd_32.h", "", "m68k"),
    ("sh", "sh4-linux-gnu", "asm/unistd_32.h", "", None),
]
BASE = {"mips": 4000, "mips64": 5000, "mips64n32": 6000}
UNIFIED_FROM = 451  # from here on a call has the same number on every ABI
NEWER = {"listns": 470, "rseq_slice_yield": 471}
# In neither source.
EXTRA = {"parisc": {"cacheflush": 356}, "parisc64": {"cacheflush": 356}}
NOT_CALLS = {"Linux", "Linux_syscalls", "syscalls", "arch_specific_syscall", "SYSCALL_BASE", "OABI_SYSCALL_BASE", "SYSCALL_MASK"}
ARM_PRIVATE = 0xF0000  # escaped in the table as 0xf000 | low bits
SYSTEM_V = {  # multiplexed behind `socketcall` or `ipc` and without a number of their own on some ABIs
    "accept", "accept4", "bind", "connect", "getpeername", "getsockname", "getsockopt", "listen", "recv", "recvfrom",
    "recvmmsg", "recvmsg", "send", "sendmmsg", "sendmsg", "sendto", "setsockopt", "shutdown", "socket", "socketpair",
    "msgctl", "msgget", "msgrcv", "msgsnd", "semctl", "semget", "semop", "semtimedop", "shmat", "shmctl", "shmdt", "shmget",
}


def preprocess(include, flags, text):
    command = ["gcc", "-E", "-P", "-undef", "-nostdinc", "-I", include, *flags, "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout


def from_headers(triplet, header, flags):
    include, flags = f"{headers}/usr/{triplet}/include", flags.split()
    defines = preprocess(include, ["-dM", *flags], f"#include <{header}>\n")
    names = re.findall(r"#define (__NR3264|__NR|__ARM_NR)_(\w+)", defines)
    names = [(p, n) for p, n in names if n not in NOT_CALLS and n != "BASE" and p != "__NR3264"]
    probe = f"#include <{header}>\n" + "".join(f"@ {n} = {p}_{n}\n" for p, n in names)
    numbers = {}
    for name, expression in re.findall(r"@ (\w+) = (.*)", preprocess(include, flags, probe)):
        if re.fullmatch(r"[0-9a-fxA-F()+ ]+", expression):
            numbers[name] = eval(expression)
    return numbers


def from_raw(directory, abi):
    text = open(f"{raw}/{directory}/general.rs").read()
    found = re.findall(r"pub const __(?:ARM_)?NR_(\w+): u32 = (\d+);", text)
    numbers = {n: int(v) & ~0x40000000 for n, v in found if n not in NOT_CALLS and n != "BASE"}
    return {n: v for n, v in numbers.items() if v < 0x900000 and not n.startswith("__")}


columns = {}
for abi, triplet, header, flags, directory in ABIS:
    numbers = from_headers(triplet, header, flags) if triplet else {}
    if directory:
        numbers = from_raw(directory, abi) | numbers
    columns[abi] = numbers | EXTRA.get(abi, {})
for name, number in {n: v for n, v in columns["x86_64"].items() if v >= UNIFIED_FROM}.items():
    NEWER[name] = number
for abi, numbers in columns.items():
    for name, number in NEWER.items():
        numbers.setdefault(name, number + BASE.get(abi, 0))


def cell(number):
    if number is None:
        return "N"
    return str(0xF000 | number & 0xFFF) if number >= ARM_PRIVATE else str(number)


names = sorted(set().union(*columns.values(), SYSTEM_V))
names = [name for name in names if not re.fullmatch(r"(reserved|unused)\d+", name)]
print(f"""//! The number of every system call on every ABI: generated by `generate.py` from the kernel's headers, facts only.
//!
//! Sorted by name. A column is an [`Abi`](super::Abi), in its order; `N` is a call that the ABI lacks. x32's marker bit
//! is left out; ARM's private calls (0xf0000 + n) are written as 0xf000 + n to fit.

use super::{{ABIS, NONE as N}};

/// How many calls there are.
pub(super) const LEN: usize = {len(names)};

// {' '.join(abi for abi, *_ in ABIS)}
#[rustfmt::skip]
pub(super) static TABLE: [(&str, [u16; ABIS]); LEN] = [""")
for name in names:
    print(f'    ("{name}", [{", ".join(cell(columns[abi].get(name)) for abi, *_ in ABIS)}]),')
print("];")
