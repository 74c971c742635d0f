//! containerd by `ctr`: the shim's own calls, without an engine's additions.

use super::machine::{demand, demand_within};
use super::support::{Sandbox, cases};

cases![
    run,
    exit_code,
    terminal,
    life,
    exec_errors,
    exec_on_a_terminal,
    signals,
    pause,
    metrics,
    events,
    mount_source_missing,
    command_errors,
    working_directory,
    privileged,
    read_only,
    seccomp,
    host_network,
    standard_input,
    memory_limit,
    many_in_a_row,
    many_at_once,
];

const PROLOGUE: &str = "exec 9>/run/import.lock; flock 9; ctr image ls -q | grep -q . || ctr image import --base-name x @W/image.tar >/dev/null; flock -u 9
I=$(ctr image ls -q | head -1); run() { ctr run --runc-binary @RT \"$@\"; }
detach() { run -d $I @N sleep 1000; }; status() { ctr task ls | awk '$1 == \"@N\" { print $3 }'; }
gone() { ctr task kill -s KILL @N; for i in $(seq 50); do [ \"$(status)\" = STOPPED ] && break; sleep 0.1; done; ctr task rm @N >/dev/null 2>&1; ctr container rm @N; }";

#[track_caller]
fn prints(script: &str, expected: &str) {
    demand(PROLOGUE, script, expected);
}

#[track_caller]
fn prints_within(seconds: u32, script: &str, expected: &str) {
    demand_within(seconds, PROLOGUE, script, expected);
}

fn run(_: &Sandbox) {
    prints("run --rm $I @N echo hi", "hi");
}

fn exit_code(_: &Sandbox) {
    prints("run --rm $I @N sh -c 'exit 5'; echo $?", "5");
}

fn terminal(_: &Sandbox) {
    prints(
        "script -qec \"ctr run --runc-binary @RT --rm -t $I @N tty\" /dev/null < <(sleep 9)",
        "~/dev/pts/0",
    );
}

fn life(_: &Sandbox) {
    prints(
        "detach; status; ctr task exec --exec-id one @N echo in; ctr task exec --exec-id two @N sh -c 'exit 9'; echo $?; gone; ctr container info @N >/dev/null 2>&1; echo $?",
        "RUNNING\nin\n9\n1",
    );
}

fn exec_errors(_: &Sandbox) {
    prints(
        "detach; ctr task exec --exec-id a @N nope; ctr task exec --exec-id b @N /etc/plain; ctr task exec --exec-id c --cwd /not/there @N pwd; gone",
        "~exec: \"nope\": executable file not found in $PATH\n~exec /etc/plain: permission denied\n~no such file or directory",
    );
}

fn exec_on_a_terminal(_: &Sandbox) {
    prints(
        "detach; script -qec \"ctr task exec -t --exec-id e @N sh -c 'sleep 0.5; tty'\" /dev/null < <(sleep 9); gone",
        "~/dev/pts/0",
    );
}

fn signals(_: &Sandbox) {
    prints(
        "run -d $I @N sh -c 'trap \"echo one >/one\" USR1; trap \"exit 4\" TERM; while true; do sleep 0.1; done'; sleep 0.5; ctr task kill -s USR1 @N; sleep 0.5; ctr task exec --exec-id e @N cat /one; ctr task kill @N; sleep 1; status; ctr task rm @N 2>&1 | grep -o 'exit code 4'; ctr container rm @N",
        "one\nSTOPPED\nexit code 4",
    );
}

fn pause(_: &Sandbox) {
    prints(
        "detach; ctr task pause @N; status; ctr task resume @N; status; gone",
        "PAUSED\nRUNNING",
    );
}

fn metrics(_: &Sandbox) {
    prints(
        "detach; ctr task metrics @N | grep -c -E '^(memory.usage_in_bytes|cpuacct.usage|pids.current) '; ctr task ps @N | grep -c '^[0-9]'; gone",
        "3\n1",
    );
}

fn events(_: &Sandbox) {
    prints(
        "timeout 4 ctr events >/run/@N.events & sleep 1; run --rm $I @N sh -c 'exit 3'; wait; grep -F @N /run/@N.events | grep -o '/tasks/[a-z]*'; grep -c '\"exit_status\":3' /run/@N.events",
        "/tasks/create\n/tasks/start\n/tasks/exit\n/tasks/delete\n2",
    );
}

fn mount_source_missing(_: &Sandbox) {
    prints(
        "run --rm --mount type=bind,src=/not/there,dst=/x,options=rbind $I @N true 2>&1 | grep -o '/not/there.*no such file or directory'",
        "~no such file or directory",
    );
}

fn command_errors(_: &Sandbox) {
    prints(
        "run --rm $I @N nope; run --rm $I @N /etc/plain",
        "~exec: \"nope\": executable file not found in $PATH\n~exec /etc/plain: permission denied",
    );
}

fn working_directory(_: &Sandbox) {
    prints(
        "run --rm --cwd /etc/plain $I @N pwd; run --rm --cwd /new/one $I @N pwd",
        "~not a directory\n/new/one",
    );
}

fn privileged(_: &Sandbox) {
    prints("run --rm --privileged $I @N readlink /dev/ptmx", "pts/ptmx");
}

fn read_only(_: &Sandbox) {
    prints(
        "run --rm --read-only $I @N touch /x",
        "touch: /x: Read-only file system",
    );
}

fn seccomp(_: &Sandbox) {
    prints(
        "run --rm --seccomp $I @N grep Seccomp: /proc/self/status",
        "Seccomp:\t2",
    );
}

fn host_network(_: &Sandbox) {
    prints(
        "run --rm --net-host $I @N readlink /proc/self/ns/net; readlink /proc/self/ns/net | wc -l",
        "~net:\n1",
    );
}

// ctr itself can hang, with runc too, when its standard input ends at once.
fn standard_input(_: &Sandbox) {
    prints("(echo x; sleep 1) | run --rm $I @N cat", "x");
}

fn memory_limit(_: &Sandbox) {
    prints(
        "run -d --memory-limit 33554432 --cgroup /limits/@N $I @N sleep 1000; cat /sys/fs/cgroup/memory/limits/@N/memory.limit_in_bytes; gone",
        "33554432",
    );
}

fn many_in_a_row(_: &Sandbox) {
    prints_within(
        120,
        "for i in $(seq 100); do run --rm $I @N true || echo failed; done; ctr container ls -q | grep -c '^@N'",
        "0",
    );
}

fn many_at_once(_: &Sandbox) {
    prints_within(
        120,
        "for i in $(seq 50); do run --rm $I @N-$i true || echo failed $i & done; wait; ctr container ls -q | grep -c '^@N-'",
        "0",
    );
}
