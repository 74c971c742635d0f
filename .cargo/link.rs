//! The build script. How release builds for x86-64 are linked: the functions of a start side by side (`.cargo/arrange`,
//! docs/decisions/0022-hot-functions.md), and with musl where Debian's `musl-tools` is installed, whose start-up takes a
//! quarter of glibc's time (docs/decisions/0021-musl.md). Nothing needs to be installed for either.

#[path = "commit.rs"]
mod commit;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Where Debian puts musl's static library and start files.
const MUSL: &str = "/usr/lib/x86_64-linux-musl";

fn main() {
    commit::tell();
    println!("cargo::rustc-check-cfg=cfg(linked_with_musl)");
    for file in [".cargo/link.rs", ".cargo/arrange", ".cargo/hot-functions"] {
        println!("cargo::rerun-if-changed={file}");
    }
    println!("cargo::rerun-if-changed={MUSL}/libc.a");
    println!("cargo::rerun-if-env-changed=CRUN_LITE_LIBC");
    let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|found| found == value);
    let known = is("CARGO_CFG_TARGET_ARCH", "x86_64") && is("CARGO_CFG_TARGET_ENV", "gnu");
    if !is("PROFILE", "release") || !known {
        return;
    }
    order_functions();
    if !is("CRUN_LITE_LIBC", "glibc") && Path::new(MUSL).join("libc.a").exists() {
        link_with_musl();
    }
}

fn link_word(word: &str) {
    println!("cargo::rustc-link-arg-bin=crun-lite={word}");
}

/// Puts `.cargo/arrange` in front of the linker that comes with Rust, by the name of one that the driver knows.
fn order_functions() {
    let Some(linker) = rust_linker().filter(|linker| linker.exists()) else {
        return;
    };
    let path = |name: &str| PathBuf::from(std::env::var(name).unwrap_or_default());
    let (cargo, out) = (path("CARGO_MANIFEST_DIR").join(".cargo"), path("OUT_DIR"));
    let words = [
        cargo.join("arrange"),
        linker,
        out.join("function-order"),
        cargo.join("hot-functions"),
    ];
    let quoted = words.map(|word| format!("'{}'", word.display()));
    let stand_in = out.join("ld.bfd");
    let written = std::fs::write(
        &stand_in,
        format!("#!/bin/sh\nexec {} \"$@\"\n", quoted.join(" ")),
    );
    let executable = || std::fs::set_permissions(&stand_in, PermissionsExt::from_mode(0o755));
    if written.and_then(|()| executable()).is_ok() {
        link_word(&format!("-B{}", out.display()));
        link_word("-fuse-ld=bfd");
    }
}

fn rust_linker() -> Option<PathBuf> {
    let rustc = std::env::var_os("RUSTC")?;
    let said = std::process::Command::new(rustc)
        .args(["--print", "sysroot"])
        .output()
        .ok()?;
    let sysroot = PathBuf::from(String::from_utf8(said.stdout).ok()?.trim());
    Some(sysroot.join("lib/rustlib/x86_64-unknown-linux-gnu/bin/gcc-ld/ld.lld"))
}

fn link_with_musl() {
    println!("cargo::rustc-cfg=linked_with_musl");
    link_word("-nostartfiles");
    // Before the compiler's own directories: `-lc` is musl's from here on.
    link_word(&format!("-L{MUSL}"));
    for file in ["crt1.o", "crti.o", "libc.a", "crtn.o"] {
        link_word(&format!("{MUSL}/{file}"));
    }
}
