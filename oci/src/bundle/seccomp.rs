//! The default system call filter: what nearly every program needs, without what only breaks out or administers the host.
//!
//! A deny-by-default list: the kernel's table of calls without the obsolete, the host-wide and the keyring calls, io_uring
//! and userfaultfd. Calls that need a capability come with it. Same meaning as Docker's default profile.

use super::defaults::CAPABILITIES;
use crate::runtime::{Seccomp, SyscallArg, SyscallRule};
use std::borrow::Cow;

/// EPERM and ENOSYS.
const EPERM: u32 = 1;
const ENOSYS: u32 = 38;

/// Flags of `clone` that make namespaces: all of `CLONE_NEW*` that `clone` takes.
const CLONE_NAMESPACES: u64 = 0x7e02_0000;

/// `AF_VSOCK`: a socket to the hypervisor, not held back by any namespace.
const AF_VSOCK: u64 = 40;

/// Execution domains that change nothing of note: Linux, 32-bit names, and asking for the present one.
const PERSONALITIES: [u64; 5] = [0, 0x8, 0x20000, 0x20008, 0xffff_ffff];

/// Calls that come with a capability.
#[rustfmt::skip]
const WITH_CAPABILITY: &[(&str, &str)] = &[
    ("CAP_DAC_READ_SEARCH", "open_by_handle_at"),
    ("CAP_SYS_ADMIN", "bpf clone3 fanotify_init fsconfig fsmount fsopen fspick listmount lookup_dcookie mount mount_setattr move_mount open_tree open_tree_attr perf_event_open quotactl quotactl_fd setdomainname sethostname setns statmount umount umount2 unshare"),
    ("CAP_SYS_BOOT", "reboot"),
    ("CAP_SYS_CHROOT", "chroot"),
    ("CAP_SYS_MODULE", "delete_module finit_module init_module"),
    ("CAP_SYS_PACCT", "acct"),
    ("CAP_SYS_PTRACE", "kcmp pidfd_getfd process_madvise"),
    ("CAP_SYS_RAWIO", "ioperm iopl"),
    ("CAP_SYS_TIME", "clock_settime clock_settime64 settimeofday stime"),
    ("CAP_SYS_TTY_CONFIG", "vhangup"),
    ("CAP_SYS_NICE", "get_mempolicy mbind set_mempolicy set_mempolicy_home_node"),
    ("CAP_SYSLOG", "syslog"),
    ("CAP_BPF", "bpf"),
    ("CAP_PERFMON", "perf_event_open"),
];

/// Calls for everyone; names that an architecture doesn't have are ignored there.
const ALWAYS: &str = "
    _llseek _newselect accept accept4 access adjtimex alarm arch_prctl arm_fadvise64_64 arm_sync_file_range bind
    breakpoint brk cacheflush cachestat capget capset chdir chmod chown chown32 clock_adjtime clock_adjtime64
    clock_getres clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep clock_nanosleep_time64 close
    close_range connect copy_file_range creat dup dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_ctl_old
    epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 execve execveat exit exit_group faccessat
    faccessat2 fadvise64 fadvise64_64 fallocate fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown fchown32
    fchownat fcntl fcntl64 fdatasync fgetxattr file_getattr file_setattr flistxattr flock fork fremovexattr
    fsetxattr fstat fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futex futex_requeue
    futex_time64 futex_wait futex_waitv futex_wake futimesat get_robust_list get_thread_area get_tls getcpu getcwd
    getdents getdents64 getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getitimer
    getpeername getpgid getpgrp getpid getppid getpriority getrandom getresgid getresgid32 getresuid getresuid32
    getrlimit getrusage getsid getsockname getsockopt gettid gettimeofday getuid getuid32 getxattr getxattrat
    inotify_add_watch inotify_init inotify_init1 inotify_rm_watch io_cancel io_destroy io_getevents io_pgetevents
    io_pgetevents_time64 io_setup io_submit ioctl ioprio_get ioprio_set ipc kill landlock_add_rule
    landlock_create_ruleset landlock_restrict_self lchown lchown32 lgetxattr link linkat listen listxattr
    listxattrat llistxattr lremovexattr lseek lsetxattr lsm_get_self_attr lsm_list_modules lsm_set_self_attr lstat
    lstat64 madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mkdir mkdirat mknod mknodat
    mlock mlock2 mlockall mmap mmap2 modify_ldt mprotect mq_getsetattr mq_notify mq_open mq_timedreceive
    mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink mremap mseal msgctl msgget msgrcv msgsnd
    msync munlock munlockall munmap name_to_handle_at nanosleep newfstatat open openat openat2 pause pidfd_open
    pidfd_send_signal pipe pipe2 pkey_alloc pkey_free pkey_mprotect poll ppoll ppoll_time64 prctl pread64 preadv
    preadv2 prlimit64 process_mrelease process_vm_readv process_vm_writev pselect6 pselect6_time64 ptrace pwrite64
    pwritev pwritev2 read readahead readdir readlink readlinkat readv recvfrom recvmmsg recvmmsg_time64 recvmsg
    remap_file_pages removexattr removexattrat rename renameat renameat2 restart_syscall riscv_flush_icache
    riscv_hwprobe rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend
    rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo s390_pci_mmio_read s390_pci_mmio_write
    s390_runtime_instr sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr
    sched_getparam sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity
    sched_setattr sched_setparam sched_setscheduler sched_yield seccomp select semctl semget semop semtimedop
    semtimedop_time64 sendfile sendfile64 sendmmsg sendmsg sendto set_robust_list set_thread_area set_tid_address
    set_tls setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 setitimer setpgid
    setpriority setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setrlimit
    setsid setsockopt setuid setuid32 setxattr setxattrat shmat shmctl shmdt shmget shutdown sigaction sigaltstack
    signal signalfd signalfd4 sigpending sigprocmask sigreturn sigsuspend socketcall socketpair splice stat stat64
    statfs statfs64 statx symlink symlinkat sync sync_file_range sync_file_range2 syncfs sysinfo tee tgkill time
    timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64
    timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64 times tkill truncate
    truncate64 ugetrlimit umask uname unlink unlinkat uprobe uretprobe utime utimensat utimensat_time64 utimes
    vfork vmsplice wait4 waitid waitpid write writev
";

/// The filter for a process with these capabilities in its bounding set.
pub fn default_profile(capabilities: &[String]) -> Seccomp {
    let has = |name: &str| capabilities.iter().any(|capability| capability == name);
    let mut names: Vec<Cow<'static, str>> = Vec::with_capacity(512);
    names.extend(ALWAYS.split_ascii_whitespace().map(Cow::Borrowed));
    for (capability, calls) in WITH_CAPABILITY {
        if has(capability) {
            names.extend(calls.split(' ').map(Cow::Borrowed));
        }
    }
    let mut syscalls = vec![allow(names, Vec::new())];
    syscalls.extend(PERSONALITIES.map(|domain| {
        allow(
            vec!["personality".into()],
            vec![argument(0, "SCMP_CMP_EQ", domain, 0)],
        )
    }));
    syscalls.push(allow(
        vec!["socket".into()],
        vec![argument(0, "SCMP_CMP_NE", AF_VSOCK, 0)],
    ));
    if has("CAP_SYS_ADMIN") {
        syscalls.push(allow(vec!["clone".into()], Vec::new()));
    } else {
        let flags = argument(
            clone_flags_index(),
            "SCMP_CMP_MASKED_EQ",
            CLONE_NAMESPACES,
            0,
        );
        syscalls.push(allow(vec!["clone".into()], vec![flags]));
        // Its flags are behind a pointer, which a filter can't follow: libc falls back to `clone` on ENOSYS.
        syscalls.push(SyscallRule {
            names: vec!["clone3".into()],
            action: "SCMP_ACT_ERRNO".into(),
            errno_ret: Some(ENOSYS),
            args: Vec::new(),
        });
    }
    Seccomp {
        default_action: "SCMP_ACT_ERRNO".into(),
        default_errno_ret: Some(EPERM),
        architectures: architectures()
            .iter()
            .map(|name| (*name).to_owned())
            .collect(),
        syscalls,
        ..Seccomp::default()
    }
}

/// Whether [`default_profile`] says of these capabilities what it says of a container's default ones.
pub fn is_for_default_capabilities(capabilities: &[String]) -> bool {
    WITH_CAPABILITY.iter().all(|(capability, _)| {
        let has = capabilities.iter().any(|name| name == capability);
        has == CAPABILITIES.contains(capability)
    })
}

/// The kernel's own calling convention and those of the older programs that it runs.
pub(super) fn architectures() -> &'static [&'static str] {
    match std::env::consts::ARCH {
        "x86_64" => &["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "aarch64" => &["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
        "riscv64" => &["SCMP_ARCH_RISCV64"],
        "s390x" => &["SCMP_ARCH_S390X", "SCMP_ARCH_S390"],
        "powerpc64" => &["SCMP_ARCH_PPC64LE"],
        _ => &[],
    }
}

/// s390 has `clone`'s first two arguments in the other order.
fn clone_flags_index() -> u32 {
    u32::from(std::env::consts::ARCH == "s390x")
}

fn allow(names: Vec<Cow<'static, str>>, args: Vec<SyscallArg>) -> SyscallRule {
    SyscallRule {
        names,
        action: "SCMP_ACT_ALLOW".into(),
        errno_ret: None,
        args,
    }
}

fn argument(index: u32, op: &str, value: u64, value_two: u64) -> SyscallArg {
    SyscallArg {
        index,
        value,
        value_two,
        op: op.into(),
    }
}
