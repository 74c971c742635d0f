//! The ground that measures stand on: a private directory, the harness's own
//! programs, the root file system, the bundles and the peers.
//!
//! It is made once before the first sample and taken away at the end. It must
//! not measure.

use crate::bundle::{self, Bundle, Shape, Workload};
use crate::daemon::Daemons;
use crate::machine;
use crate::measure::Booted;
use crate::model::PeerInfo;
use crate::options::Options;
use crate::peers::{self, Kind, OURS, Peer};
use crate::sample::Stopwatch;
use std::cell::OnceCell;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

pub struct Ground {
    pub work: PathBuf,
    pub stopwatch: Stopwatch,
    pub peers: Vec<Peer>,
    pub infos: Vec<PeerInfo>,
    pub daemons: Daemons,
    /// Tells peak memory; see benches/weigh.c.
    pub weigh: PathBuf,
    /// Counts instructions; see benches/instructions.c.
    pub instructions: PathBuf,
    pub full: bool,
    pub wants_virtual_machine: bool,
    litter: Vec<PathBuf>,
    kvm_boots: OnceCell<bool>,
    /// The virtual machines, once they were booted.
    pub booted: OnceCell<Vec<Booted>>,
}

/// Cgroups that LXC and the engines make in each hierarchy and leave behind.
const LEFT_BEHIND: [&str; 5] = [
    "lxc.pivot",
    "libpod_parent/conmon",
    "libpod_parent",
    "docker",
    "default",
];

impl Ground {
    pub fn prepare(options: &Options) -> Result<Self, String> {
        let work = std::env::temp_dir().join(format!("crun-lite-bench-{}", std::process::id()));
        machine::enter_private_view(&work)?;
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches");
        let names = ["floor", "weigh", "first", "instructions"];
        let [floor, weigh, first, instructions] = names.map(|name| {
            let program = work.join(name);
            compile(&sources.join(name).with_extension("c"), &program).map(|()| program)
        });
        let busybox =
            peers::on_path("busybox").ok_or("no busybox: apt-get install busybox-static")?;
        bundle::make_rootfs(&work.join("rootfs"), &busybox, &first?)?;
        let ours = our_program();
        let litter = absent_now();
        let daemons = Daemons::start(&work, options)?;
        let (peers, infos) = peers::find(&work, options, &daemons, &ours, &floor?);
        Ok(Self {
            stopwatch: Stopwatch::new(&work)?,
            peers,
            infos,
            weigh: weigh?,
            instructions: instructions?,
            full: options.full,
            wants_virtual_machine: options.wants_peer("vm") && !options.gate,
            kvm_boots: OnceCell::new(),
            booted: OnceCell::new(),
            litter,
            daemons,
            work,
        })
    }

    pub fn bundle(&self, shape: Shape, workload: Workload) -> Result<Bundle, String> {
        let bundles = self.work.join("bundles");
        bundle::make_bundle(&bundles, &self.work.join("rootfs"), shape, workload)
    }

    /// Asks once: the answer costs seconds where it is no.
    pub fn kvm_boots(&self, probe: impl FnOnce() -> bool) -> bool {
        *self.kvm_boots.get_or_init(probe)
    }

    /// Peak resident memory of a command and of all that it waits for.
    pub fn peak_kib(&self, command: &Command) -> Result<f64, String> {
        let file = self.work.join("peak");
        self.stopwatch
            .time(&mut wrap(&self.weigh, &[file.as_os_str()], command))?;
        std::fs::read_to_string(&file)
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .ok_or_else(|| "weigh told nothing".to_owned())
    }

    /// What a runtime that was killed half way leaves in each hierarchy.
    pub fn remove_cgroups_of(&self, id: &str) {
        let hierarchies = std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten();
        for hierarchy in hierarchies.flatten() {
            for before in ["", "lxc.payload.", "lxc.monitor.", ":youki:"] {
                let _ = std::fs::remove_dir(hierarchy.path().join(format!("{before}{id}")));
            }
        }
    }

    pub fn pid_file(&self) -> PathBuf {
        self.work.join("pid")
    }

    pub fn oci_peers(&self) -> impl Iterator<Item = &Peer> {
        self.peers.iter().filter(|peer| peer.kind == Kind::Oci)
    }

    pub fn ours(&self) -> Option<PathBuf> {
        let ours = self.peers.iter().find(|peer| peer.name == OURS);
        ours.map(|peer| peer.program.clone())
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        peers::tidy(&self.peers);
        for cgroup in &self.litter {
            // Removed only where it is empty, and where it was not there before us.
            let _ = std::fs::remove_dir(cgroup);
        }
        machine::leave_private_view(&self.work);
    }
}

fn absent_now() -> Vec<PathBuf> {
    let hierarchies = std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten();
    hierarchies
        .flatten()
        .flat_map(|hierarchy| LEFT_BEHIND.map(|name| hierarchy.path().join(name)))
        .filter(|cgroup| !cgroup.exists())
        .collect()
}

/// The same command, started by another program.
pub fn wrap(program: &Path, arguments: &[&OsStr], inner: &Command) -> Command {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .arg(inner.get_program())
        .args(inner.get_args());
    for (name, value) in inner.get_envs() {
        value.map(|value| command.env(name, value));
    }
    command
}

fn our_program() -> PathBuf {
    std::env::var_os("CRUN_LITE").map_or_else(
        || PathBuf::from(env!("CARGO_BIN_EXE_crun-lite")),
        PathBuf::from,
    )
}

/// Static, because a dynamic loader is no part of a floor; musl's start-up is the shorter one.
fn compile(source: &Path, program: &Path) -> Result<(), String> {
    let compilers = ["musl-gcc", "gcc"];
    let mut said = String::from("no C compiler: apt-get install gcc musl-tools");
    for compiler in compilers
        .into_iter()
        .filter(|name| peers::on_path(name).is_some())
    {
        let output = Command::new(compiler)
            .args(["-static", "-no-pie", "-O2", "-Wall", "-Wextra", "-o"])
            .args([program, source])
            .output()
            .map_err(|error| format!("start {compiler}: {error}"))?;
        if output.status.success() {
            return Ok(());
        }
        said = String::from_utf8_lossy(&output.stderr).into_owned();
    }
    Err(format!("compile {}: {said}", source.display()))
}
