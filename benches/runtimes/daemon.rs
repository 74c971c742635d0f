//! The daemons that some peers need: the harness starts its own, on its own tmpfs, and ends them with the run.
//!
//! They have no network and no firewall rules, so that nothing on the machine changes. It must not know what is measured.

use crate::options::Options;
use crate::peers::{Kind, on_path};
use crate::process;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);

/// A program that serves until it is dropped.
pub struct Server(Child);

impl Server {
    pub fn start(command: &mut Command, is_ready: impl Fn() -> bool) -> Result<Self, String> {
        let name = command.get_program().to_owned();
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut server = Self(
            command
                .spawn()
                .map_err(|error| format!("start {name:?}: {error}"))?,
        );
        let began = Instant::now();
        while !is_ready() {
            if let Ok(Some(status)) = server.0.try_wait() {
                return Err(format!("{name:?} ended: {status}"));
            }
            if began.elapsed() > PATIENCE {
                return Err(format!("{name:?} doesn't serve"));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A containerd whose files and socket `c.sock` are in this directory.
pub fn containerd(at: &Path) -> Result<Server, String> {
    let config = at.join("containerd.toml");
    let text = format!(
        "version = 2\nroot = \"{0}/root\"\nstate = \"{0}/state\"\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n\
         [grpc]\naddress = \"{0}/c.sock\"\n",
        at.display()
    );
    std::fs::write(&config, text)
        .map_err(|error| format!("write {}: {error}", config.display()))?;
    let socket = at.join("c.sock");
    let mut command = Command::new("containerd");
    command.arg("-c").arg(&config);
    let answers = || {
        let mut ask = Command::new("ctr");
        ask.arg("-a").arg(&socket).arg("version");
        socket.exists() && ask.output().is_ok_and(|output| output.status.success())
    };
    Server::start(&mut command, answers)
}

fn dockerd(at: &Path) -> Result<Server, String> {
    let place = at.display();
    let config = at.join("docker.json");
    std::fs::write(&config, "{}")
        .map_err(|error| format!("write {}: {error}", config.display()))?;
    let host = format!("unix://{place}/d.sock");
    let mut command = Command::new("dockerd");
    command.args([
        format!("--config-file={place}/docker.json"),
        format!("--data-root={place}/docker"),
        format!("--exec-root={place}/docker-run"),
        format!("--pidfile={place}/docker.pid"),
        format!("--containerd={place}/c.sock"),
        format!("--host={host}"),
    ]);
    command.args(["--bridge=none", "--iptables=false", "--ip-forward=false"]);
    command.args(["--ip-masq=false", "--exec-opt=native.cgroupdriver=cgroupfs"]);
    let answers = || {
        let mut ask = Command::new("docker");
        ask.arg("--host").arg(&host).arg("version");
        ask.output().is_ok_and(|output| output.status.success())
    };
    Server::start(&mut command, answers)
}

/// Those of a full run; a daemon that was not started leaves its peer to the machine's own.
pub struct Daemons {
    at: PathBuf,
    containerd: Option<Server>,
    dockerd: Option<Server>,
    /// Directories that only they make, whatever their configuration says.
    litter: Vec<PathBuf>,
}

const OUTSIDE: [&str; 2] = ["/run/containerd", "/run/docker"];

impl Daemons {
    pub fn start(work: &Path, options: &Options) -> Result<Self, String> {
        let at = work.join("daemons");
        crate::bundle::make_directory(&at)?;
        let mut daemons = Self {
            at,
            containerd: None,
            dockerd: None,
            litter: OUTSIDE.map(PathBuf::from).into(),
        };
        daemons.litter.retain(|directory| !directory.exists());
        let wants = |peer: &str, program: &str| {
            options.full && options.wants_peer(peer) && on_path(program).is_some()
        };
        let wants_docker = wants("Docker", "dockerd");
        if wants_docker || wants("containerd", "containerd") {
            daemons.containerd = told(containerd(&daemons.at));
        }
        if wants_docker && daemons.containerd.is_some() {
            daemons.dockerd = told(dockerd(&daemons.at));
        }
        Ok(daemons)
    }

    /// By which variable a client finds our daemon.
    pub fn environment(&self, kind: Kind) -> Option<(&'static str, OsString)> {
        let host = || format!("unix://{}/d.sock", self.at.display()).into();
        let address = || self.at.join("c.sock").into();
        match kind {
            Kind::Docker => self.dockerd.as_ref().map(|_| ("DOCKER_HOST", host())),
            Kind::Containerd => {
                let there = self.containerd.as_ref();
                there.map(|_| ("CONTAINERD_ADDRESS", address()))
            }
            _ => None,
        }
    }

    /// What they hold, whatever the number of containers.
    pub fn memory_kib(&self, kind: Kind) -> f64 {
        let docker = self.dockerd.iter().filter(|_| kind == Kind::Docker);
        let servers = docker.chain(&self.containerd);
        let pids = servers.map(|server| server.0.id());
        pids.filter_map(|pid| process::pss_kib(pid).ok()).sum()
    }
}

impl Drop for Daemons {
    fn drop(&mut self) {
        drop(self.dockerd.take());
        drop(self.containerd.take());
        for directory in &self.litter {
            let _ = std::fs::remove_dir_all(directory);
        }
    }
}

fn told(started: Result<Server, String>) -> Option<Server> {
    started
        .inspect_err(|reason| eprintln!("bench: {reason}"))
        .ok()
}
