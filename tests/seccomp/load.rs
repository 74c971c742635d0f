//! Filters in the kernel. A filter is a thread's own, so each test loads one in a thread of its own.

use super::{BARE, LIKE_RUNC, compiled, docker, profile};
use crun_lite::plan::seccomp::{Arch, Options, SeccompPlan};
use crun_lite::sys::seccomp;
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, openat2};
use nix::mount::umount;
use nix::sys::personality;
use nix::sys::prctl::set_no_new_privs;
use oci::runtime::Seccomp;
use std::os::fd::OwnedFd;

/// Runs `body` under a filter, with the notify fd.
fn under<T: Send>(plan: &SeccompPlan, body: impl FnOnce(Option<OwnedFd>) -> T + Send) -> T {
    let thread = || {
        set_no_new_privs().expect("set no_new_privs");
        body(seccomp::load(&plan.filter, plan.flags).expect("load the filter"))
    };
    std::thread::scope(|scope| scope.spawn(thread).join().expect("the thread lives"))
}

fn native(profile: &Seccomp, options: &Options) -> SeccompPlan {
    compiled(profile, Arch::NATIVE, options)
}

#[test]
fn dockers_filter_allows_and_denies() {
    let plan = native(&docker(), &LIKE_RUNC);
    assert_eq!(
        umount("/no/such/mount"),
        Err(Errno::ENOENT),
        "as root, without a filter"
    );
    under(&plan, |listener| {
        assert!(listener.is_none());
        assert!(std::fs::read("/proc/self/status").is_ok());
        assert_eq!(umount("/no/such/mount"), Err(Errno::EPERM));
        // Decided by an argument.
        let now = personality::get().expect("personality 0xffffffff is allowed");
        assert_eq!(personality::set(now), Ok(now));
        assert_eq!(
            personality::set(personality::Persona::ADDR_NO_RANDOMIZE),
            Err(Errno::EPERM)
        );
    });
    assert_eq!(
        umount("/no/such/mount"),
        Err(Errno::ENOENT),
        "other threads are free"
    );
}

/// Programs fall back on ENOSYS but give up on EPERM.
#[test]
fn calls_newer_than_the_profile_do_not_exist() {
    let mut old = docker();
    // Everything since openat2.
    let newer = [
        "openat2",
        "pidfd_getfd",
        "faccessat2",
        "process_madvise",
        "epoll_pwait2",
        "mount_setattr",
        "quotactl_fd",
        "landlock_create_ruleset",
        "landlock_add_rule",
        "landlock_restrict_self",
        "memfd_secret",
        "process_mrelease",
        "futex_waitv",
        "set_mempolicy_home_node",
        "cachestat",
        "fchmodat2",
        "map_shadow_stack",
        "futex_wake",
        "futex_wait",
        "futex_requeue",
    ];
    for rule in &mut old.syscalls {
        rule.names.retain(|name| !newer.contains(&&**name));
    }
    let open = || {
        let how = OpenHow::new().flags(OFlag::O_PATH);
        openat2(nix::fcntl::AT_FDCWD, "/", how).map(|_| ())
    };
    assert_eq!(under(&native(&old, &BARE), |_| open()), Err(Errno::EPERM));
    assert_eq!(
        under(&native(&old, &LIKE_RUNC), |_| open()),
        Err(Errno::ENOSYS)
    );
    assert_eq!(under(&native(&docker(), &LIKE_RUNC), |_| open()), Ok(()));
}

#[test]
fn a_notifying_profile_gets_a_listener() {
    let mut notifying = profile(
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/l", "flags": ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"],
            "syscalls": [{"names": ["mount"], "action": "SCMP_ACT_NOTIFY"}]}"#,
    );
    assert!(under(&native(&notifying, &BARE), |listener| listener.is_some()));
    notifying
        .flags
        .get_or_insert_default()
        .push("SECCOMP_FILTER_FLAG_TSYNC".into());
    assert_eq!(native(&notifying, &BARE).flags & 0b1_0001, 0b1_0001);
}

#[test]
fn every_documented_flag_loads() {
    for (name, _) in crun_lite::plan::seccomp::flags().filter(|(name, _)| !name.ends_with("TSYNC"))
    {
        let profile = profile(&format!(
            r#"{{"defaultAction": "SCMP_ACT_ALLOW", "flags": ["{name}"]}}"#
        ));
        under(&native(&profile, &BARE), |_| ());
    }
}
