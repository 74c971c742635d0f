//! `create` and `run`: a fault before each step of the child, and at each point of the parent.

use crate::rich::{Action, Trial};
use crate::support::{Sandbox, cases};
use crun_lite::init::fault::POINTS;

cases![
    run_steps_fail,
    run_steps_fail_in_a_user_namespace,
    run_child_dies,
    run_is_killed,
    run_is_killed_in_a_user_namespace,
    run_is_terminated,
    create_steps_fail,
    create_child_dies,
    create_is_killed,
    create_is_killed_in_a_user_namespace,
    create_is_terminated,
    run_points_fail,
    run_is_killed_at_points,
    run_is_terminated_at_points,
    create_points_fail,
    create_is_killed_at_points,
    create_is_terminated_at_points,
];

/// Fewer steps than the rich configuration has: a guard against a loop that ends at once.
const FEWEST_STEPS: usize = 30;

fn each_step(t: &Sandbox, command: &str, action: Action, user_namespace: bool) {
    let trial = Trial::new(t, user_namespace);
    for step in 0.. {
        let fault = action.in_child(step);
        let output = trial.attempt(command, &fault);
        if !trial.judge(action, &fault, &output) {
            assert!(step > FEWEST_STEPS, "only {step} steps were reached");
            break;
        }
    }
    trial.delete();
    trial.nothing_is_left("the last command");
}

fn each_point(t: &Sandbox, command: &str, action: Action) {
    let trial = Trial::new(t, true);
    for point in POINTS {
        // SIGKILL comes from within here.
        let fault = match action {
            Action::Kill => format!("parent:{point}:die"),
            _ => action.in_parent(point),
        };
        let output = trial.attempt(command, &fault);
        assert!(trial.judge(action, &fault, &output), "{fault}: {output}");
    }
}

fn run_steps_fail(t: &Sandbox) {
    each_step(t, "run", Action::Fail, false);
}

fn run_steps_fail_in_a_user_namespace(t: &Sandbox) {
    each_step(t, "run", Action::Fail, true);
}

fn run_child_dies(t: &Sandbox) {
    each_step(t, "run", Action::Die, true);
}

fn run_is_killed(t: &Sandbox) {
    each_step(t, "run", Action::Kill, false);
}

fn run_is_killed_in_a_user_namespace(t: &Sandbox) {
    each_step(t, "run", Action::Kill, true);
}

fn run_is_terminated(t: &Sandbox) {
    each_step(t, "run", Action::Terminate, true);
}

fn create_steps_fail(t: &Sandbox) {
    each_step(t, "create", Action::Fail, true);
}

fn create_child_dies(t: &Sandbox) {
    each_step(t, "create", Action::Die, false);
}

fn create_is_killed(t: &Sandbox) {
    each_step(t, "create", Action::Kill, false);
}

fn create_is_killed_in_a_user_namespace(t: &Sandbox) {
    each_step(t, "create", Action::Kill, true);
}

fn create_is_terminated(t: &Sandbox) {
    each_step(t, "create", Action::Terminate, false);
}

fn run_points_fail(t: &Sandbox) {
    each_point(t, "run", Action::Fail);
}

fn run_is_killed_at_points(t: &Sandbox) {
    each_point(t, "run", Action::Kill);
}

fn run_is_terminated_at_points(t: &Sandbox) {
    each_point(t, "run", Action::Terminate);
}

fn create_points_fail(t: &Sandbox) {
    each_point(t, "create", Action::Fail);
}

fn create_is_killed_at_points(t: &Sandbox) {
    each_point(t, "create", Action::Kill);
}

fn create_is_terminated_at_points(t: &Sandbox) {
    each_point(t, "create", Action::Terminate);
}
