//! The default profile's filter, which is kept compiled: exactly what the compiler makes of the profile.
//!
//! `UPDATE_GOLDEN=1` writes it again.

use super::{LIKE_RUNC, compiled};
use crun_lite::plan::seccomp::{Arch, SockFilter, default_filter};
use oci::bundle::{Bundle, RunOptions, SeccompChoice, UserFiles, bundle};
use oci::image_config::ImageConfig;

const FILE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/src/plan/seccomp/default.x86_64.bpf"
);

type Change = fn(&mut RunOptions);

fn bundled(change: impl FnOnce(&mut RunOptions)) -> Bundle {
    let image = br#"{"os":"linux","architecture":"amd64","config":{"Cmd":["sh"]},"rootfs":{"type":"layers","diff_ids":[]}}"#;
    let mut options = RunOptions::default();
    change(&mut options);
    bundle(
        &ImageConfig::parse(image).unwrap(),
        &options,
        &UserFiles::default(),
    )
    .unwrap()
}

fn bytes(filter: &[SockFilter]) -> Vec<u8> {
    let of_one = |instruction: &SockFilter| {
        let [c0, c1] = instruction.code.to_ne_bytes();
        let [k0, k1, k2, k3] = instruction.k.to_ne_bytes();
        [c0, c1, instruction.jt, instruction.jf, k0, k1, k2, k3]
    };
    filter.iter().flat_map(of_one).collect()
}

#[test]
fn it_is_what_the_compiler_makes_of_the_profile() {
    let bundle = bundled(|_| ());
    assert!(bundle.default_seccomp);
    let profile = bundle.spec.linux.unwrap().seccomp.unwrap();
    let fresh = compiled(&profile, Arch::X86_64, &LIKE_RUNC);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(FILE, bytes(&fresh.filter)).unwrap();
        return;
    }
    assert_eq!(
        std::fs::read(FILE).unwrap(),
        bytes(&fresh.filter),
        "UPDATE_GOLDEN=1 writes {FILE} again"
    );
    #[cfg(target_arch = "x86_64")]
    {
        let kept = default_filter().unwrap();
        assert_eq!(bytes(&kept.filter), bytes(&fresh.filter));
        assert_eq!((kept.flags, &kept.listener), (fresh.flags, &fresh.listener));
        assert_eq!(kept.warnings, fresh.warnings);
    }
}

#[test]
fn it_is_used_for_no_other_profile() {
    let default = bundled(|_| ()).spec.linux.unwrap().seccomp;
    let choices: [(&str, Change); 6] = [
        ("NET_ADMIN", |o| o.cap_add = vec!["NET_ADMIN".into()]),
        ("SYS_ADMIN", |o| o.cap_add = vec!["SYS_ADMIN".into()]),
        ("no SYS_CHROOT", |o| o.cap_drop = vec!["SYS_CHROOT".into()]),
        ("no KILL", |o| o.cap_drop = vec!["KILL".into()]),
        ("ALL", |o| o.cap_add = vec!["ALL".into()]),
        ("unconfined", |o| {
            o.security.seccomp = SeccompChoice::Unconfined
        }),
    ];
    for (name, change) in choices {
        let bundle = bundled(change);
        let same = bundle.spec.linux.unwrap().seccomp == default;
        assert_eq!(bundle.default_seccomp, same, "{name}");
    }
}
