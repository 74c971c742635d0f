//! `exec`: a fault before each step of its child; the container stays as it was.

use crate::rich::{self, Action};
use crate::support::runtime::{died_of, is_ours};
use crate::support::{Container, Sandbox, cases, host, json, sandbox, skip};

cases![steps_fail, child_dies, is_killed, is_terminated];

/// Fewer steps than `exec` has in the rich configuration.
const FEWEST_STEPS: usize = 6;

fn only_init_is_left(container: &Container, fault: &str) {
    sandbox::wait_for(&format!("exec's process to end after {fault}"), || {
        host::pids_in_cgroup(container.bundle.cgroups_path()).len() == 1
    });
}

fn each_step(t: &Sandbox, action: Action) {
    if !is_ours() {
        skip("faults are built into our own debug builds");
    }
    let bundle = rich::bundle(t, true).set("/process/terminal", json!(false));
    let container = t.running(bundle);
    for step in 0.. {
        let fault = action.in_child(step);
        let output = container
            .exec_invocation(&["--tty"], &["/bin/true"])
            .env("CRUN_LITE_FAULT", &fault)
            .output();
        if output.status.success() {
            match step {
                0 => skip("this build has no faults: it is a release build"),
                _ => assert!(step > FEWEST_STEPS, "only {step} steps were reached"),
            }
            break;
        }
        match action {
            Action::Fail => assert_eq!(output.code(), 255, "{fault}: {output}"),
            // With nothing left to do but to execute, it counts as the process's own end.
            Action::Die => assert!(matches!(output.code(), 255 | 137), "{fault}: {output}"),
            Action::Kill => assert_eq!(died_of(&output), Some(9), "{fault}: {output}"),
            // In the foreground it may have become the process's own end.
            Action::Terminate => assert!(
                died_of(&output) == Some(15) || output.status.code() == Some(128 + 15),
                "{fault}: {output}"
            ),
        }
        only_init_is_left(&container, &fault);
    }
    assert_eq!(container.status(), "running");
    assert_eq!(container.exec("exit 7").code(), 7);
}

fn steps_fail(t: &Sandbox) {
    each_step(t, Action::Fail);
}

fn child_dies(t: &Sandbox) {
    each_step(t, Action::Die);
}

fn is_killed(t: &Sandbox) {
    each_step(t, Action::Kill);
}

fn is_terminated(t: &Sandbox) {
    each_step(t, Action::Terminate);
}
