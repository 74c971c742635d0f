//! Build script. Release builds are linked with musl where Debian's `musl-tools` is installed: its start-up takes a quarter of glibc's
//! time, a fifth of a container's whole start (docs/decisions/0021-musl.md). Nothing is needed for the default.

#[path = "commit.rs"]
mod commit;

use std::path::Path;

/// Where Debian puts musl's static library and start files.
const MUSL: &str = "/usr/lib/x86_64-linux-musl";

fn main() {
    commit::tell();
    println!("cargo::rustc-check-cfg=cfg(linked_with_musl)");
    println!("cargo::rerun-if-changed=.cargo/link.rs");
    println!("cargo::rerun-if-changed={MUSL}/libc.a");
    println!("cargo::rerun-if-env-changed=CRUN_LITE_LIBC");
    if !is_wanted() {
        return;
    }
    println!("cargo::rustc-cfg=linked_with_musl");
    let file = |name: &str| format!("{MUSL}/{name}");
    let words = [
        "-nostartfiles".to_owned(),
        // Before the compiler's own directories: `-lc` is musl's from here on.
        format!("-L{MUSL}"),
        file("crt1.o"),
        file("crti.o"),
        file("libc.a"),
        file("crtn.o"),
    ];
    for word in words {
        println!("cargo::rustc-link-arg-bin=crun-lite={word}");
    }
}

fn is_wanted() -> bool {
    let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|found| found == value);
    is("PROFILE", "release")
        && is("CARGO_CFG_TARGET_ARCH", "x86_64")
        && is("CARGO_CFG_TARGET_ENV", "gnu")
        && !is("CRUN_LITE_LIBC", "glibc")
        && Path::new(MUSL).join("libc.a").exists()
}
