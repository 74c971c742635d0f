//! Terminals: console sockets, sizes, raw mode, `exec -t`.

use crate::support::listeners::{Console, FdListener, new_pty};
use crate::support::{Bundle, Sandbox, cases, host, json, sandbox};

cases![
    sends_the_console_over_the_socket,
    makes_dev_console,
    sets_the_console_size,
    ignores_the_console_size_without_terminal,
    passes_input_and_output,
    resizes,
    runs_in_the_foreground_on_a_terminal,
    runs_in_the_foreground_without_one,
    clears_onlcr_in_the_foreground,
    restores_the_callers_terminal,
    execs_on_a_terminal,
    execs_with_a_console_socket,
    refuses_a_terminal_without_a_console_socket_when_detached,
    refuses_a_console_socket_without_terminal,
    reports_a_missing_console_socket,
    hangs_up_when_the_console_closes,
    names_the_pty_as_the_container_sees_it,
    gives_the_terminal_to_the_user,
];

fn terminal(t: &Sandbox, script: &str) -> Bundle {
    t.bundle()
        .set("/process/terminal", json!(true))
        .shell(script)
}

fn console_of(t: &Sandbox, bundle: &Bundle) -> (String, Console) {
    let listener = FdListener::at(&t.new_path("tty"));
    let container = t.create_with(
        bundle,
        &["--console-socket", &listener.path.to_string_lossy()],
    );
    let console = Console::new(listener.take_fd());
    container.start().ok();
    (container.id, console)
}

fn sends_the_console_over_the_socket(t: &Sandbox) {
    let (_, mut console) = console_of(
        t,
        &terminal(t, "tty; test -t 0 && test -t 1 && test -t 2 && echo all"),
    );
    let seen = console.read_to_end();
    assert!(seen.contains("/dev/") && seen.contains("all"), "{seen:?}");
}

fn names_the_pty_as_the_container_sees_it(t: &Sandbox) {
    let (_, mut console) = console_of(t, &terminal(t, "tty"));
    let seen = console.read_to_end();
    assert!(
        seen.contains("/dev/pts/0") || seen.contains("/dev/console"),
        "{seen:?}"
    );
}

fn makes_dev_console(t: &Sandbox) {
    let script = "stat -c %F /dev/console; test \"$(stat -c %t:%T /dev/console)\" = \"$(stat -c %t:%T $(readlink -f /proc/self/fd/0))\" && echo same";
    let (_, mut console) = console_of(t, &terminal(t, script));
    let seen = console.read_to_end();
    assert!(
        seen.contains("character special file") && seen.contains("same"),
        "{seen:?}"
    );
}

fn sets_the_console_size(t: &Sandbox) {
    let bundle =
        terminal(t, "stty size").set("/process/consoleSize", json!({"height": 33, "width": 111}));
    let (_, mut console) = console_of(t, &bundle);
    assert!(console.read_to_end().contains("33 111"));
}

fn ignores_the_console_size_without_terminal(t: &Sandbox) {
    assert_eq!(
        t.sh(
            t.bundle()
                .set("/process/consoleSize", json!({"height": 33, "width": 111})),
            "echo fine"
        ),
        "fine"
    );
}

fn passes_input_and_output(t: &Sandbox) {
    let (_, mut console) = console_of(t, &terminal(t, "read word; echo got $word"));
    console.write("blue\n");
    assert!(console.read_until("got blue").contains("got blue"));
}

fn resizes(t: &Sandbox) {
    let script = "trap 'stty size; exit 0' WINCH; echo ready; while true; do sleep 0.05; done";
    let (_, mut console) = console_of(t, &terminal(t, script));
    console.read_until("ready");
    console.resize(44, 122);
    console.read_until("44 122");
}

fn run_on_pty(t: &Sandbox, bundle: &Bundle) -> (Console, crate::support::runtime::Running) {
    bundle.write();
    let (console, terminal) = new_pty();
    console.resize(40, 100);
    let invocation = t.runtime(&[
        "run",
        "--bundle",
        &bundle.path.to_string_lossy(),
        &t.new_id(),
    ]);
    let running = invocation.terminal(terminal).spawn();
    (console, running)
}

fn runs_in_the_foreground_on_a_terminal(t: &Sandbox) {
    let (mut console, running) = run_on_pty(
        t,
        &terminal(t, "stty size; read word; echo got $word; exit 3"),
    );
    console.read_until("40 100");
    console.write("blue\n");
    console.read_until("got blue");
    assert_eq!(running.wait().code(), 3);
}

fn runs_in_the_foreground_without_one(t: &Sandbox) {
    let output = t.run(&terminal(t, "test -t 1 && echo terminal; exit 6"));
    assert_eq!((output.code(), output.stdout.trim_end()), (6, "terminal"));
}

fn clears_onlcr_in_the_foreground(t: &Sandbox) {
    let output = t.run(&terminal(t, "echo one; echo two"));
    assert_eq!(output.ok().stdout, "one\ntwo\n", "no carriage returns");
    let container = t.running(t.bundle());
    assert_eq!(
        container
            .exec_with(&["-t"], &["sh", "-c", "echo one; echo two"])
            .ok()
            .stdout,
        "one\ntwo\n"
    );
}

fn restores_the_callers_terminal(t: &Sandbox) {
    let (mut console, running) = run_on_pty(t, &terminal(t, "echo ready; read word"));
    let modes = |console: &Console| {
        rustix::termios::tcgetattr(console.fd())
            .expect("read the terminal's modes")
            .local_modes
    };
    console.read_until("ready");
    assert!(
        !modes(&console).contains(rustix::termios::LocalModes::ICANON),
        "raw while the container runs"
    );
    console.write("x\n");
    running.wait().ok();
    assert!(
        modes(&console).contains(rustix::termios::LocalModes::ICANON),
        "as before afterwards"
    );
}

fn execs_on_a_terminal(t: &Sandbox) {
    let container = t.running(t.bundle());
    let (mut console, terminal) = new_pty();
    console.resize(41, 101);
    let running = container
        .exec_invocation(&["--tty"], &["sh", "-c", "tty; stty size; exit 8"])
        .terminal(terminal)
        .spawn();
    let seen = console.read_until("41 101");
    assert!(seen.contains("/dev/pts/"), "{seen:?}");
    assert_eq!(running.wait().code(), 8);
}

fn execs_with_a_console_socket(t: &Sandbox) {
    let container = t.running(t.bundle());
    let listener = FdListener::at(&t.new_path("tty"));
    let flags = [
        "--tty",
        "--detach",
        "--console-socket",
        &listener.path.to_string_lossy(),
    ];
    container
        .exec_with(&flags, &["sh", "-c", "echo hello; sleep 1000"])
        .ok();
    Console::new(listener.take_fd()).read_until("hello");
}

fn refuses_a_terminal_without_a_console_socket_when_detached(t: &Sandbox) {
    t.try_create(&terminal(t, "true"), &[])
        .fails_with(&["console"]);
    assert_eq!(t.wait_until_gone(), Vec::<String>::new());
}

fn refuses_a_console_socket_without_terminal(t: &Sandbox) {
    let listener = FdListener::at(&t.new_path("tty"));
    t.try_create(
        &t.bundle().idle(),
        &["--console-socket", &listener.path.to_string_lossy()],
    )
    .fails_with(&["console"]);
}

fn reports_a_missing_console_socket(t: &Sandbox) {
    t.try_create(
        &terminal(t, "true"),
        &["--console-socket", "/no/such/socket"],
    )
    .fails_with(&["/no/such/socket"]);
    assert_eq!(t.wait_until_gone(), Vec::<String>::new());
}

fn hangs_up_when_the_console_closes(t: &Sandbox) {
    let (id, console) = console_of(
        t,
        &terminal(t, "while true; do sleep 0.1; done").without("/process/noNewPrivileges"),
    );
    drop(console);
    // Pid 1 ignores SIGHUP without a handler, so only that nothing hangs is checked.
    t.runtime(&["delete", "--force", &id]).output().ok();
    assert!(host::mount_lines().iter().all(|line| !line.contains(&id)));
    sandbox::wait_for("the container to go", || t.traces().is_empty());
}

fn gives_the_terminal_to_the_user(t: &Sandbox) {
    let bundle = terminal(
        t,
        "stat -c %u $(readlink /proc/self/fd/0); echo x > $(readlink /proc/self/fd/0) && echo writable",
    );
    let bundle = bundle.set("/process/user", json!({"uid": 1000, "gid": 1000}));
    let (_, mut console) = console_of(t, &bundle);
    let seen = console.read_to_end();
    assert!(
        seen.contains("1000") && seen.contains("writable"),
        "{seen:?}"
    );
}
