//! How the engines tell a container's process.

use crate::measure::shim::parse_pid;

#[test]
fn a_process_id_stands_alone_or_in_a_list_beside_its_container() {
    assert_eq!(parse_pid("4711\n", "bench-1-2"), Ok(4711));
    let list =
        "TASK         PID     STATUS\nbench-1-1    12      RUNNING\nbench-1-2    4711    RUNNING\n";
    assert_eq!(parse_pid(list, "bench-1-2"), Ok(4711));
}

#[test]
fn no_process_id_is_told_with_what_was_said() {
    let reason = parse_pid("TASK    PID    STATUS\n", "bench-1-2").expect_err("none");
    assert!(
        reason.contains("bench-1-2") && reason.contains("STATUS"),
        "{reason}"
    );
}
