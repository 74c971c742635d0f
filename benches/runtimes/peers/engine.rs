//! The engines among the peers: Podman, Docker, containerd. They run containers by another runtime, from a store of their
//! own, and two of them by a daemon.
//!
//! It must not know what is measured.

use super::{Kind, Peer};
use crate::bundle::Bundle;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The image that the harness imports into Docker and removes again.
pub const DOCKER_IMAGE: &str = "crun-lite-bench:rootfs";

impl Peer {
    /// Containers of its own daemon or store, over one of the other runtimes.
    pub fn is_engine(&self) -> bool {
        matches!(self.kind, Kind::Podman | Kind::Docker | Kind::Containerd)
    }

    /// An engine's `run` with one more option.
    pub(super) fn engine_run(&self, bundle: &Bundle, id: &str, option: &str) -> Command {
        let mut command = self.engine();
        command.args(["run", option]);
        if self.kind == Kind::Containerd {
            command.arg("--rootfs").arg(&self.state).arg(id);
        } else {
            command.args(["--network=none", "--name", id]);
        }
        if self.kind == Kind::Podman {
            // Its default limits are more than a root without CAP_SYS_RESOURCE may set.
            command.args(["--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024"]);
            command.arg("--rootfs").arg(&bundle.rootfs);
        }
        if self.kind == Kind::Docker {
            command.arg(DOCKER_IMAGE);
        }
        command.args(bundle.workload.arguments());
        command
    }

    /// An engine's program with the place of its files.
    fn engine(&self) -> Command {
        let mut command = self.program();
        if self.kind == Kind::Podman {
            command.arg("--root").arg(self.state.join("storage"));
            command.arg("--runroot").arg(self.state.join("run"));
            command.args(["--cgroup-manager=cgroupfs", "--events-backend=none"]);
        }
        command
    }

    /// Runs detached.
    pub fn engine_start(&self, bundle: &Bundle, id: &str) -> Command {
        self.engine_run(bundle, id, "--detach")
    }

    /// What tells the process id of an engine's container: alone, or in a list beside its name.
    pub fn engine_pid(&self, id: &str) -> Command {
        let mut command = self.engine();
        match self.kind {
            Kind::Containerd => command.args(["tasks", "ls"]),
            _ => command.args(["inspect", "--format", "{{.State.Pid}}", id]),
        };
        command
    }

    pub fn engine_remove(&self, id: &str) -> Vec<Command> {
        let verbs: &[&[&str]] = match self.kind {
            Kind::Containerd => &[&["tasks", "rm", "--force"], &["containers", "rm"]],
            _ => &[&["rm", "--force"]],
        };
        let command = |verb: &&[&str]| {
            let mut command = self.engine();
            command.args(*verb).arg(id);
            command
        };
        verbs.iter().map(command).collect()
    }
}

pub fn daemon_answers(program: &Path, environment: impl Fn(&mut Command)) -> Result<(), String> {
    let mut command = Command::new(program);
    environment(&mut command);
    match command.arg("version").output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(_) => Err("installed, but its daemon does not answer".to_owned()),
        Err(error) => Err(format!("start {}: {error}", program.display())),
    }
}

/// Docker runs only images: the same root file system becomes one.
pub fn import_into_docker(
    docker: &Path,
    rootfs: &Path,
    environment: impl Fn(&mut Command),
) -> Result<(), String> {
    let script = "tar -C \"$1\" -c . | \"$0\" import - \"$2\"";
    let mut command = Command::new("sh");
    command
        .args(["-c", script])
        .arg(docker)
        .arg(rootfs)
        .arg(DOCKER_IMAGE);
    environment(&mut command);
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        Err(error) => Err(format!("start sh: {error}")),
    }
}

/// containerd's daemon does not see the harness's private tmpfs.
pub fn copy_for_daemon(rootfs: &Path) -> Result<PathBuf, String> {
    let copy = std::env::temp_dir().join(format!("crun-lite-bench-{}-rootfs", std::process::id()));
    let mut command = Command::new("cp");
    match command.arg("-a").arg(rootfs).arg(&copy).output() {
        Ok(output) if output.status.success() => Ok(copy),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        Err(error) => Err(format!("start cp: {error}")),
    }
}

/// What a peer keeps outside the harness's directory.
pub fn tidy(peers: &[Peer]) {
    let foreign = |peer: &&Peer| peer.kind == Kind::Containerd && peer.environment.is_none();
    for containerd in peers.iter().filter(foreign) {
        let _ = fs::remove_dir_all(&containerd.state);
    }
    for docker in peers.iter().filter(|peer| peer.kind == Kind::Docker) {
        let _ = docker.program().args(["rmi", DOCKER_IMAGE]).output();
    }
}
