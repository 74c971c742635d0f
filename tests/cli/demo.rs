//! `demo`: the first command that anybody tries.

use crate::support::{Sandbox, cases, runtime};

cases![shows_what_a_container_sees, says_where_it_can_not_work];

fn shows_what_a_container_sees(t: &Sandbox) {
    let directory = t.new_path("tmp");
    std::fs::create_dir(&directory).expect("mkdir");
    let said = t
        .runtime(&["demo"])
        .env("TMPDIR", &directory)
        .time_limit(runtime::DEMO_TIME_LIMIT)
        .output()
        .text();
    for text in [
        "3 layers",
        "pid         1 (of 1 here)",
        "hostname    demo",
        "uid         1000",
        "overlay of 3 layers",
        "\"hello from the second layer\"",
        "secret is gone",
        "network     lo",
        " ms",
        "left behind   nothing",
    ] {
        assert!(said.contains(text), "{text} in {said}");
    }
    assert_eq!(t.state_entries(), Vec::<String>::new());
    let left = std::fs::read_dir(&directory).expect("read").count();
    assert_eq!(left, 0, "nothing is left in {directory:?}");
}

fn says_where_it_can_not_work(t: &Sandbox) {
    t.runtime(&["demo"])
        .env("TMPDIR", "/no/such/directory")
        .output()
        .refused_with(&["/no/such/directory", "TMPDIR"]);
}
