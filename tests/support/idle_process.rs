//! A process of the host in namespaces of its own, for containers to join by path.

use super::Sandbox;
use super::runtime::Running;
use super::sandbox::wait_for;

/// A sleeping process whose namespaces can be joined.
pub struct IdleProcess {
    running: Running,
    kind: &'static str,
}

impl IdleProcess {
    /// Starts a process in a new namespace: `flag` is unshare(1)'s, `kind` the name under `/proc/PID/ns`.
    pub fn in_new(sandbox: &Sandbox, flag: &str, kind: &'static str) -> Self {
        let running = sandbox
            .program(&["unshare", flag, "sleep", "100000"])
            .spawn();
        let idle = IdleProcess { running, kind };
        wait_for("unshare to make its namespace", || {
            std::fs::read_link(idle.path())
                .is_ok_and(|link| link.to_string_lossy() != super::host::namespace("self", kind))
        });
        idle
    }

    /// The path of the namespace.
    pub fn path(&self) -> String {
        format!("/proc/{}/ns/{}", self.running.pid(), self.kind)
    }

    pub fn pid(&self) -> i32 {
        self.running.pid()
    }
}
