//! Numbers that are easy to get wrong, and the index over all names.

use super::*;

fn number(name: &str, abi: Abi) -> Option<u32> {
    Syscall::named(name).expect(name).number(abi)
}

#[test]
fn finds_every_name_and_no_other() {
    for call in all() {
        assert_eq!(Syscall::named(call.name()), Some(call));
    }
    for name in ["", "rea", "read ", "READ", "no_such_call"] {
        assert_eq!(Syscall::named(name), None, "{name}");
    }
}

#[test]
fn knows_the_odd_numbers() {
    assert_eq!(number("rt_sigaction", Abi::X32), Some(X32_BIT | 512));
    assert_eq!(number("read", Abi::X32), Some(X32_BIT));
    assert_eq!(number("uselib", Abi::X32), None);
    assert_eq!(number("set_tls", Abi::Arm), Some(0xf_0005));
    assert_eq!(number("read", Abi::Mips64N32), Some(6000));
    assert_eq!(number("listns", Abi::Mips), Some(4470));
    assert_eq!(number("newfstatat", Abi::Riscv64), Some(79));
    assert_eq!(number("fcntl64", Abi::Riscv64), None);
    assert_eq!(number("openat", Abi::LoongArch64), Some(56));
}

#[test]
fn knows_the_multiplexed_calls() {
    let socket = Syscall::named("socket").expect("socket");
    assert_eq!(socket.number(Abi::X86), Some(359));
    let through = socket.multiplexed(Abi::X86).expect("x86 has socketcall");
    assert_eq!((through.number, through.selector), (102, 1));
    assert_eq!(socket.multiplexed(Abi::X86_64), None);
    assert_eq!(socket.multiplexed(Abi::Arm), None);
    let shmctl = Syscall::named("shmctl").expect("shmctl");
    let through = shmctl.multiplexed(Abi::Mips).expect("o32 has ipc");
    assert_eq!((through.number, through.selector), (4117, 24));
    assert_eq!(
        Syscall::named("read").and_then(|call| call.multiplexed(Abi::X86)),
        None
    );
}
