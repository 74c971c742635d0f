//! A configuration that has a step of nearly every kind, and one attempt at it with a fault.

use std::collections::VecDeque;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::support::runtime::{died_of, is_ours};
use crate::support::{Bundle, Output, Sandbox, Value, json, skip};

/// Longer than any of these commands takes, and short enough to tell a hang.
const TIME_LIMIT: Duration = Duration::from_secs(40);

/// What the runtime does at the fault.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Fail,
    Die,
    Kill,
    Terminate,
}

impl Action {
    fn word(self) -> &'static str {
        match self {
            Action::Fail => "fail",
            Action::Die => "die",
            Action::Kill => "signal-9",
            Action::Terminate => "signal-15",
        }
    }

    /// The variable's value for a step of the child.
    pub fn in_child(self, step: usize) -> String {
        format!("child:{step}:{}", self.word())
    }

    /// The variable's value for a point of the parent.
    pub fn in_parent(self, point: &str) -> String {
        format!("parent:{point}:{}", self.word())
    }
}

/// Takes every caller's message and keeps the descriptors of the last few alive.
fn sink(path: &Path) {
    let listener = UnixListener::bind(path).expect("listen");
    std::thread::spawn(move || {
        let mut kept: VecDeque<OwnedFd> = VecDeque::new();
        for stream in listener.incoming().flatten() {
            kept.extend(crate::support::listeners::receive(&stream).1);
            while kept.len() > 4 {
                kept.pop_front();
            }
        }
    });
}

/// A hook that does nothing; it can be found by the sandbox's tag.
pub fn hook(t: &Sandbox, script: &str) -> Value {
    let tagged = format!(": {}; {script}", t.tag);
    json!({"path": "/bin/busybox", "args": ["sh", "-c", tagged]})
}

/// Nearly every kind of step; `/bin/true` is the program.
pub fn bundle(t: &Sandbox, user_namespace: bool) -> Bundle {
    let shared = t.new_path("shared");
    fs::create_dir(&shared).expect("create a directory to bind");
    let agent = t.new_path("agent");
    sink(&agent);
    let mut bundle = t.bundle().args(&["/bin/true"]).writable();
    if user_namespace {
        bundle = bundle.user_namespace(100_000, 65_536);
    }
    for kind in [
        "prestart",
        "createRuntime",
        "createContainer",
        "startContainer",
        "poststart",
        "poststop",
    ] {
        bundle = bundle.hook(kind, hook(t, "true"));
    }
    let maps = json!([{"containerID": 0, "hostID": 200_000, "size": 1000}]);
    let inner = bundle.rootfs().join("mnt").to_string_lossy().into_owned();
    let source = shared.to_string_lossy();
    bundle
        .set("/process/terminal", json!(true))
        .set("/process/umask", json!(18))
        .namespace("cgroup")
        .mount("/mnt", "bind", &source, &["rbind", "ro"])
        .mount("/home", "tmpfs", "tmpfs", &["tmpcopyup"])
        .push(
            "/mounts",
            json!({"destination": "/var", "type": "bind", "source": source, "options": ["bind"],
                   "uidMappings": maps, "gidMappings": maps}),
        )
        .push(
            "/mounts",
            json!({"destination": "/opt", "type": "bind", "source": inner, "options": ["bind"],
                   "uidMappings": maps, "gidMappings": maps}),
        )
        .push(
            "/linux/devices",
            json!({"path": "/dev/no-such-device", "type": "c", "major": 1, "minor": 5, "fileMode": 438}),
        )
        .push(
            "/linux/devices",
            json!({"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 438}),
        )
        .set("/linux/sysctl", json!({"net.ipv4.ip_forward": "1"}))
        .set("/linux/resources/memory", json!({"limit": 256 << 20}))
        .set("/linux/resources/pids", json!({"limit": 64}))
        .set(
            "/linux/seccomp",
            json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": agent.to_string_lossy(),
                   "syscalls": [{"names": ["swapon"], "action": "SCMP_ACT_NOTIFY"}]}),
        )
}

/// One id and one bundle, used again and again.
pub struct Trial<'t> {
    pub t: &'t Sandbox,
    pub id: String,
    pub bundle: Bundle,
    console: PathBuf,
    pid_file: PathBuf,
}

impl<'t> Trial<'t> {
    /// Skips the case where the runtime knows no faults.
    pub fn new(t: &'t Sandbox, user_namespace: bool) -> Self {
        if !is_ours() {
            skip("faults are built into our own debug builds");
        }
        let bundle = bundle(t, user_namespace);
        bundle.write();
        let console = t.new_path("console");
        sink(&console);
        let trial = Trial {
            t,
            id: t.new_id(),
            bundle,
            console,
            pid_file: t.new_path("pid"),
        };
        if trial.attempt("run", "child:0:fail").status.success() {
            skip("this build has no faults: it is a release build");
        }
        trial
    }

    /// `create` or `run` with a fault.
    pub fn attempt(&self, command: &str, fault: &str) -> Output {
        let bundle = self.bundle.path.to_string_lossy();
        let (console, pid_file) = (
            self.console.to_string_lossy(),
            self.pid_file.to_string_lossy(),
        );
        let mut arguments = vec![command, "--bundle", &bundle, "--pid-file", &pid_file];
        if command == "create" {
            arguments.extend(["--console-socket", &console]);
        }
        arguments.push(&self.id);
        self.t
            .runtime(&arguments)
            .env("CRUN_LITE_FAULT", fault)
            .time_limit(TIME_LIMIT)
            .output()
    }

    pub fn delete(&self) {
        self.t
            .runtime(&["delete", "--force", &self.id])
            .output()
            .ok();
    }

    /// The command did what the action makes of it, and nothing is left of it; `false` when the place wasn't reached.
    pub fn judge(&self, action: Action, fault: &str, output: &Output) -> bool {
        if output.status.success() {
            return false;
        }
        let (code, signal) = (output.status.code(), died_of(output));
        match action {
            Action::Fail => assert_eq!(code, Some(1), "{fault}: {output}"),
            // After `start` it is the container's own end.
            Action::Die => assert!(matches!(code, Some(1 | 137)), "{fault}: {output}"),
            Action::Kill => assert_eq!(signal, Some(9), "{fault}: {output}"),
            Action::Terminate => {
                assert_eq!(signal, Some(15), "{fault}: {output}");
                assert!(output.stderr.contains("interrupted"), "{fault}: {output}");
            }
        }
        if action == Action::Kill {
            self.delete();
        } else if code != Some(137) {
            assert!(!self.pid_file.exists(), "{fault} left the pid file");
        }
        self.nothing_is_left(fault);
        true
    }

    #[track_caller]
    pub fn nothing_is_left(&self, fault: &str) {
        let none = Vec::<String>::new();
        assert_eq!(self.t.state_entries(), none, "{fault}");
        assert_eq!(self.t.wait_until_gone(), none, "{fault}");
    }
}
