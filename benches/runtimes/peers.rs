//! The peers: which runtimes there are, and the command line of each verb of each.
//!
//! A peer is found on PATH and copied afresh before timing, because the same
//! bytes run up to 90 microseconds slower from an old file. It must not know
//! what is measured.

mod engine;

use crate::bundle::Bundle;
use crate::daemon::Daemons;
use crate::measure::ONLY_FULL;
use crate::model::PeerInfo;
use crate::options::Options;
use crate::sample::Stopwatch;
pub use engine::tidy;
use std::cell::Cell;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Our own row's name in every report.
pub const OURS: &str = "crun-lite";
pub const FLOOR: &str = "floor";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Oci,
    Floor,
    Bubblewrap,
    Lxc,
    Nspawn,
    Podman,
    Docker,
    Containerd,
}

#[derive(Debug)]
pub struct Peer {
    pub name: &'static str,
    pub kind: Kind,
    pub program: PathBuf,
    /// Where it keeps its state; of containerd, whose state is its daemon's, the root file system.
    pub state: PathBuf,
    /// A build of crun-lite: the one that is measured, or one beside it.
    pub is_ours: bool,
    /// Runs as this user where it is not the harness's own.
    user: Option<u32>,
    /// How it finds its daemon.
    environment: Option<(&'static str, OsString)>,
    next_id: Cell<u32>,
}

/// Name, kind and the program looked for on PATH; ours and the floor are given by path.
const KNOWN: [(&str, Kind, &str); 9] = [
    ("crun", Kind::Oci, "crun"),
    ("runc", Kind::Oci, "runc"),
    ("youki", Kind::Oci, "youki"),
    ("bubblewrap", Kind::Bubblewrap, "bwrap"),
    ("LXC", Kind::Lxc, "lxc-start"),
    ("systemd-nspawn", Kind::Nspawn, "systemd-nspawn"),
    ("Podman", Kind::Podman, "podman"),
    ("Docker", Kind::Docker, "docker"),
    ("containerd", Kind::Containerd, "ctr"),
];

/// Those that are here, and what the report says of each, here or not.
pub fn find(
    work: &Path,
    options: &Options,
    daemons: &Daemons,
    ours: &Path,
    floor: &Path,
) -> (Vec<Peer>, Vec<PeerInfo>) {
    let given = [
        (OURS, Kind::Oci, Some(ours.to_owned())),
        (FLOOR, Kind::Floor, Some(floor.to_owned())),
    ];
    let also = options.also.iter().map(|program| {
        let file = program.file_name().unwrap_or(program.as_os_str());
        let name = format!("{OURS} ({})", file.to_string_lossy());
        // The few names of a run live as long as it.
        (&*name.leak(), Kind::Oci, Some(program.clone()))
    });
    let searched = KNOWN.map(|(name, kind, program)| (name, kind, on_path(program)));
    let mut peers = Vec::new();
    let mut infos = Vec::new();
    for (name, kind, program) in given.into_iter().chain(also).chain(searched) {
        let wanted = is_wanted(options, name, kind);
        match wanted.and_then(|()| prepare(work, name, kind, program.as_deref(), daemons)) {
            Ok(peer) => {
                infos.push(info(&peer, program.as_deref()));
                peers.push(peer);
            }
            Err(reason) => infos.push(PeerInfo {
                name: name.to_owned(),
                version: String::new(),
                program: String::new(),
                absent: Some(reason),
            }),
        }
    }
    infos.extend(MONITORS.map(|(name, program)| monitor(options, name, program)));
    (peers, infos)
}

/// Virtual machine monitors; `measure::vm` leads the first.
const MONITORS: [(&str, &str); 3] = [
    ("QEMU", "qemu-system-x86_64"),
    ("Firecracker", "firecracker"),
    ("cloud-hypervisor", "cloud-hypervisor"),
];

fn monitor(options: &Options, name: &str, program: &str) -> PeerInfo {
    let found = on_path(program);
    let absent = match &found {
        None => Some("not installed"),
        Some(_) if options.gate || !options.wants_peer("vm") => Some("not asked for"),
        Some(_) if name != MONITORS[0].0 => Some("installed, but only QEMU is measured"),
        Some(_) => None,
    };
    PeerInfo {
        name: name.to_owned(),
        version: found.as_deref().map_or_else(String::new, version_of),
        program: found.map_or_else(String::new, |path| path.display().to_string()),
        absent: absent.map(str::to_owned),
    }
}

fn is_wanted(options: &Options, name: &str, kind: Kind) -> Result<(), String> {
    if name.starts_with(OURS) {
        return Ok(());
    }
    let daemon = matches!(kind, Kind::Podman | Kind::Docker | Kind::Containerd);
    if !options.wants_peer(name) {
        return Err("not asked for".to_owned());
    }
    if daemon && !options.full {
        return Err(ONLY_FULL.to_owned());
    }
    Ok(())
}

fn prepare(
    work: &Path,
    name: &'static str,
    kind: Kind,
    program: Option<&Path>,
    daemons: &Daemons,
) -> Result<Peer, String> {
    let program = program.ok_or("not installed")?;
    let environment = daemons.environment(kind);
    let own_daemon = environment.is_some();
    let environment_of = |command: &mut Command| {
        command.envs(environment.clone());
    };
    if matches!(kind, Kind::Docker | Kind::Containerd) {
        engine::daemon_answers(program, environment_of)?;
    }
    if kind == Kind::Docker {
        engine::import_into_docker(program, &work.join("rootfs"), environment_of)?;
    }
    let copies = work.join("programs");
    let state = match kind {
        Kind::Containerd if own_daemon => work.join("rootfs"),
        Kind::Containerd => engine::copy_for_daemon(&work.join("rootfs"))?,
        _ => work.join("state").join(name),
    };
    crate::bundle::make_directory(&copies)?;
    crate::bundle::make_directory(&state)?;
    // Two builds of ours may be called the same.
    let copies = copies.join(name.replace(['(', ')', '/', ' '], "-"));
    crate::bundle::make_directory(&copies)?;
    let copy = copies.join(program.file_name().unwrap_or(program.as_os_str()));
    crate::bundle::copy(program, &copy)?;
    Ok(Peer {
        name,
        kind,
        program: copy,
        state,
        is_ours: name.starts_with(OURS),
        user: None,
        environment,
        next_id: Cell::new(0),
    })
}

fn info(peer: &Peer, original: Option<&Path>) -> PeerInfo {
    PeerInfo {
        name: peer.name.to_owned(),
        version: version(peer),
        program: original.map_or_else(String::new, |path| path.display().to_string()),
        absent: None,
    }
}

fn version(peer: &Peer) -> String {
    if peer.kind == Kind::Floor {
        return "benches/floor.c".to_owned();
    }
    version_of(&peer.program)
}

/// The first line of what it says of itself.
fn version_of(program: &Path) -> String {
    let answer = Command::new(program).arg("--version").output();
    let text = answer.map_or_else(
        |_| String::new(),
        |output| String::from_utf8_lossy(&output.stdout).into_owned(),
    );
    text.lines().next().unwrap_or_default().to_owned()
}

pub fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|directory| directory.join(program))
        .find(|file| fs::metadata(file).is_ok_and(|data| data.is_file()))
}

impl Peer {
    /// What a reader of its effort must know.
    pub fn note(&self) -> Option<String> {
        let client = matches!(self.kind, Kind::Docker | Kind::Containerd);
        client.then(|| "the client alone, without its daemon".to_owned())
    }

    pub fn fresh_id(&self) -> String {
        self.next_id.set(self.next_id.get() + 1);
        format!("bench-{}-{}", std::process::id(), self.next_id.get())
    }

    /// The same peer without privileges, with a state directory that this user may write.
    pub fn as_user(&self, id: u32) -> Result<Self, String> {
        let state = self.state.join(format!("user-{id}"));
        crate::bundle::make_directory(&state)?;
        chown(&state, Some(id), Some(id))
            .map_err(|error| format!("chown {}: {error}", state.display()))?;
        Ok(Self {
            name: self.name,
            kind: self.kind,
            program: self.program.clone(),
            state,
            is_ours: self.is_ours,
            user: Some(id),
            environment: self.environment.clone(),
            next_id: Cell::new(0),
        })
    }

    /// Start the bundle's workload, wait for it, remove every trace: the whole of `run`.
    pub fn run(&self, bundle: &Bundle, id: &str) -> Command {
        let mut command = self.program();
        let workload = bundle.workload.arguments();
        match self.kind {
            Kind::Oci => {
                command.arg("--root").arg(&self.state);
                command.args(["run", "--bundle"]).arg(&bundle.path).arg(id);
            }
            Kind::Floor => {
                command.arg(&bundle.rootfs).args(workload);
            }
            Kind::Bubblewrap => {
                bubblewrap(&mut command, &bundle.rootfs);
                command.args(workload);
            }
            Kind::Lxc => self.lxc(&mut command, bundle, id),
            Kind::Nspawn => {
                command.args([
                    "--quiet",
                    "--register=no",
                    "--keep-unit",
                    "--private-network",
                ]);
                command
                    .arg("--directory")
                    .arg(&bundle.rootfs)
                    .args(workload);
            }
            Kind::Podman | Kind::Docker | Kind::Containerd => {
                return self.engine_run(bundle, id, "--rm");
            }
        }
        command
    }

    /// The same as `run`, but it returns when the workload is started.
    pub fn run_detached(&self, bundle: &Bundle, id: &str, pid_file: &Path) -> Option<Command> {
        if self.kind != Kind::Oci {
            return None;
        }
        let mut command = self.verb("run");
        command.arg("--detach").arg("--pid-file").arg(pid_file);
        command.arg("--bundle").arg(&bundle.path).arg(id);
        Some(command)
    }

    pub fn create(&self, bundle: &Bundle, id: &str, pid_file: &Path) -> Command {
        let mut command = self.verb("create");
        command.arg("--pid-file").arg(pid_file);
        command.arg("--bundle").arg(&bundle.path).arg(id);
        command
    }

    pub fn start(&self, id: &str) -> Command {
        let mut command = self.verb("start");
        command.arg(id);
        command
    }

    pub fn delete(&self, id: &str) -> Command {
        let mut command = self.verb("delete");
        command.arg("--force").arg(id);
        command
    }

    pub fn exec(&self, id: &str, arguments: &[&str]) -> Command {
        let mut command = self.verb("exec");
        command.arg(id).args(arguments);
        command
    }

    /// The floor has no containers of its own: it joins another's process.
    pub fn exec_by_pid(&self, pid: u32, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--exec").arg(pid.to_string()).args(arguments);
        command
    }

    /// After a failure: whatever may have stayed of `id` goes.
    pub fn forget(&self, stopwatch: &Stopwatch, id: &str) {
        if self.kind == Kind::Oci {
            let _ = stopwatch.time(&mut self.delete(id));
        }
    }

    fn program(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.envs(self.environment.clone());
        if let Some(id) = self.user {
            command.uid(id).gid(id).env("XDG_RUNTIME_DIR", &self.state);
        }
        command
    }

    /// The program with its state directory and a subcommand.
    pub fn verb(&self, verb: &str) -> Command {
        let mut command = self.program();
        command.arg("--root").arg(&self.state).arg(verb);
        command
    }

    fn lxc(&self, command: &mut Command, bundle: &Bundle, id: &str) {
        let settings = [
            format!("lxc.rootfs.path=dir:{}", bundle.rootfs.display()),
            "lxc.net.0.type=empty".to_owned(),
            "lxc.apparmor.profile=unconfined".to_owned(),
            "lxc.mount.auto=proc:mixed sys:ro".to_owned(),
            "lxc.autodev=1".to_owned(),
            // No pseudo-terminal of its own: the workload writes to ours, as with every peer.
            "lxc.console.path=none".to_owned(),
            "lxc.uts.name=bench".to_owned(),
            format!("lxc.init.cmd={}", bundle.workload.arguments().join(" ")),
        ];
        command.args(["--foreground", "--name", id, "--lxcpath"]);
        command.arg(&self.state).args(["--rcfile", "/dev/null"]);
        for setting in settings {
            command.arg("--define").arg(setting);
        }
    }
}

/// The namespaces and the mounts of the default specification, as far as it knows them.
fn bubblewrap(command: &mut Command, rootfs: &Path) {
    command.args([
        "--unshare-pid",
        "--unshare-net",
        "--unshare-ipc",
        "--unshare-uts",
    ]);
    command
        .args(["--hostname", "bench", "--bind"])
        .arg(rootfs)
        .arg("/");
    command.args(["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/dev/shm"]);
    command.args(["--mqueue", "/dev/mqueue", "--ro-bind", "/sys", "/sys"]);
}
