//! `--deny CALLS PROGRAM ARGUMENTS…`: becomes the program under a filter that says ENOSYS to the calls.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use crun_lite::plan::seccomp::{Arch, Options, compile};
use crun_lite::sys::seccomp;
use oci::runtime::Seccomp;
use serde_json::json;

/// Doesn't return when all goes well.
pub fn execute(words: &[String]) -> ExitCode {
    let [calls, program, arguments @ ..] = words else {
        eprintln!("--deny wants calls and a program");
        return ExitCode::FAILURE;
    };
    let names: Vec<&str> = calls.split(',').collect();
    let rule = json!({"names": names, "action": "SCMP_ACT_ERRNO", "errnoRet": nix::errno::Errno::ENOSYS as u32});
    let profile = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}).to_string();
    let profile: Seccomp = oci::runtime::parse(profile.as_bytes()).expect("a profile");
    let options = Options {
        enosys_stub: false,
        strict: true,
        unknown_fails: true,
    };
    let plan = compile(&profile, Arch::NATIVE, &options).expect("compile the profile");
    // As root no_new_privs isn't needed, and it would change what containers can do.
    seccomp::load(&plan.filter, plan.flags).expect("load the filter");
    let error = Command::new(program).args(arguments).exec();
    eprintln!("execute {program}: {error}");
    ExitCode::FAILURE
}
