//! What `run` hands to the container beside its arguments: descriptors, `LISTEN_FDS`, `NOTIFY_SOCKET`.

use crate::support::listeners::NotifySocket;
use crate::support::{Bundle, Sandbox, cases, json, sandbox};

cases![
    leaks_no_descriptor,
    a_waiting_init_has_no_lock,
    preserves_descriptors,
    takes_descriptors_that_are_not_open,
    passes_listen_fds,
    passes_listen_fds_before_preserved_ones,
    passes_notifications,
    survives_closed_standard_streams,
];

/// Prints the descriptors of init. No pipeline: its shell would have the pipes open meanwhile.
const LIST: &str = "ls /proc/1/fd";

fn run_redirected(
    t: &Sandbox,
    bundle: &Bundle,
    flags: &[&str],
    redirections: &str,
) -> crate::support::Output {
    bundle.write();
    let path = bundle.path.to_string_lossy();
    let id = t.new_id();
    let arguments: Vec<&str> = ["run", "--bundle", &path]
        .into_iter()
        .chain(flags.iter().copied())
        .chain([id.as_str()])
        .collect();
    t.runtime(&arguments).redirections(redirections).output()
}

/// The lock of a `create` that is killed ends with it, or no later command would get at the container.
fn a_waiting_init_has_no_lock(t: &Sandbox) {
    let container = t.create(&t.bundle().idle());
    let locked = t.root().join(&container.id);
    let open = format!("/proc/{}/fd", container.pid());
    let open = std::fs::read_dir(open).expect("list the descriptors of init");
    let open = open.flatten().map(|entry| std::fs::read_link(entry.path()));
    let open: Vec<_> = open.flatten().collect();
    assert!(!open.is_empty() && !open.contains(&locked), "{open:?}");
}

fn leaks_no_descriptor(t: &Sandbox) {
    let redirections: String = (3..60).map(|fd| format!("{fd}</ ")).collect();
    let output = run_redirected(
        t,
        &t.bundle().shell(&format!("{LIST}; true")),
        &[],
        &redirections,
    );
    assert_eq!(output.text(), "0\n1\n2");
}

fn preserves_descriptors(t: &Sandbox) {
    let script = format!("{LIST}; cat <&4");
    let output = run_redirected(
        t,
        &t.bundle().shell(&script),
        &["--preserve-fds", "2"],
        "3</dev/null 4<<<four 5</ 6</",
    );
    assert_eq!(output.text(), "0\n1\n2\n3\n4\nfour");
}

fn takes_descriptors_that_are_not_open(t: &Sandbox) {
    let output = run_redirected(
        t,
        &t.bundle().shell("echo fine"),
        &["--preserve-fds", "9"],
        "3</dev/null 4<&- 7</dev/null",
    );
    assert_eq!(output.text(), "fine");
}

fn passes_listen_fds(t: &Sandbox) {
    let bundle = t
        .bundle()
        .shell(&format!("echo $LISTEN_FDS $LISTEN_PID; {LIST}; true"));
    bundle.write();
    let output = t
        .runtime(&[
            "run",
            "--bundle",
            &bundle.path.to_string_lossy(),
            &t.new_id(),
        ])
        .listen_fds(2)
        .redirections("3</dev/null 4</dev/null 5</dev/null")
        .output();
    assert_eq!(output.text(), "2 1\n0\n1\n2\n3\n4");
}

fn passes_listen_fds_before_preserved_ones(t: &Sandbox) {
    let bundle = t.bundle().shell(&format!("{LIST}; cat <&4"));
    bundle.write();
    let output = t
        .runtime(&[
            "run",
            "--preserve-fds",
            "1",
            "--bundle",
            &bundle.path.to_string_lossy(),
            &t.new_id(),
        ])
        .listen_fds(1)
        .redirections("3</dev/null 4<<<preserved 5</dev/null")
        .output();
    assert_eq!(output.text(), "0\n1\n2\n3\n4\npreserved");
}

fn passes_notifications(t: &Sandbox) {
    let path = t.new_path("notify.sock");
    let notify = NotifySocket::at(&path);
    // busybox has no client for unix datagrams: the socket's presence and name are what the container sees.
    let bundle = t
        .bundle()
        .shell("test -S \"$NOTIFY_SOCKET\" && echo socket; sleep 1000");
    bundle.write();
    let id = t.new_id();
    let running = t
        .runtime(&["run", "--bundle", &bundle.path.to_string_lossy(), &id])
        .env("NOTIFY_SOCKET", &path)
        .spawn();
    sandbox::wait_for("the container to see a socket", || {
        running.stdout_so_far().contains("socket")
    });
    let state = t.runtime(&["state", &id]).output().text();
    let pid =
        serde_json::from_str::<serde_json::Value>(&state).expect("state is JSON")["pid"].clone();
    let inside = sandbox::read(format!("/proc/{pid}/environ"));
    let name = inside
        .split('\0')
        .find_map(|entry| entry.strip_prefix("NOTIFY_SOCKET="))
        .expect("NOTIFY_SOCKET inside");
    let sender = std::os::unix::net::UnixDatagram::unbound().expect("make a socket");
    sender
        .send_to(b"READY=1\n", format!("/proc/{pid}/root{name}"))
        .expect("send from the container's file system");
    let message = notify.take();
    assert!(message.contains("READY=1"), "{message}");
    t.runtime(&["kill", &id, "KILL"]).output().ok();
    running.wait();
}

fn survives_closed_standard_streams(t: &Sandbox) {
    let bundle = t
        .bundle()
        .writable()
        .shell("echo done > /done")
        .set("/process/terminal", json!(false));
    run_redirected(t, &bundle, &[], "<&- >&- 2>&-");
    assert_eq!(sandbox::read(bundle.rootfs().join("done")), "done\n");
}
