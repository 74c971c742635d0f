//! Memory: the peak of a command, what stays while a container runs, and the
//! smallest limit under which one starts.

use super::{Answer, Progress, proof, shim, vm};
use crate::bundle::{Shape, Workload};
use crate::ground::Ground;
use crate::model::{Measure, Row, Unit};
use crate::peers::{Kind, Peer};
use crate::process::{self, Running};
use std::time::Duration;

const TRIES: usize = 3;

pub fn peak(ground: &Ground, progress: &mut Progress) -> Result<Answer, String> {
    let bundle = ground.bundle(Shape::Plain, Workload::True)?;
    let peers: Vec<&Peer> = ground.peers.iter().collect();
    let all = peers.len();
    let rows = peers.into_iter().enumerate().map(|(index, peer)| {
        progress(index, all);
        let weigh = |_| {
            let command = peer.run(&bundle, &peer.fresh_id());
            ground.peak_kib(&command)
        };
        let proof = proof::of_run(ground, peer, Shape::Plain);
        Row::new(
            peer.name,
            proof.and_then(|()| (0..TRIES).map(weigh).collect()),
        )
        .noted(peer.note())
    });
    Ok(Answer::of(Measure {
        id: "peak-memory".into(),
        title: "Peak memory of a run".into(),
        about: "The largest resident set of any process of the command, as wait4 tells it.".into(),
        unit: Unit::Kibibytes,
        rows: rows.collect(),
        question: String::new(),
    }))
}

/// What stays in memory: beside the workload, with it, and before it.
pub fn standing(ground: &Ground, progress: &mut Progress) -> Result<Answer, String> {
    let peers: Vec<&Peer> = ground.peers.iter().collect();
    let (mut beside, mut whole, mut kernel) = (Vec::new(), Vec::new(), Vec::new());
    let mut before = Vec::new();
    for (index, peer) in peers.iter().enumerate() {
        progress(index, peers.len());
        let ask = if peer.is_engine() {
            shim::standing
        } else {
            foreground
        };
        let standing: Result<Vec<Standing>, String> =
            (0..TRIES).map(|_| ask(ground, peer)).collect();
        let pick =
            |part: fn(&Standing) -> f64| standing.clone().map(|all| all.iter().map(part).collect());
        let row = |outcome| Row::new(peer.name, outcome).noted(shim::note(ground, peer));
        beside.push(row(pick(|standing| standing.beside_kib)));
        whole.push(row(pick(|standing| standing.whole_kib)));
        let charged = standing.as_ref().map_err(Clone::clone);
        let charged =
            charged.and_then(|all| all.iter().map(|one| one.kernel_kib.clone()).collect());
        kernel.push(Row::new(peer.name, charged));
        if peer.kind == Kind::Oci {
            let created = (0..TRIES).map(|_| created_init(ground, peer)).collect();
            before.push(Row::new(peer.name, created));
        }
    }
    whole.extend(vm::standing_memory(ground));
    let measure = |id: &str, title: &str, about: &str, rows| Measure {
        id: id.into(),
        title: title.into(),
        about: about.into(),
        unit: Unit::Kibibytes,
        rows,
        question: String::new(),
    };
    let measures = vec![
        measure(
            "monitor-memory",
            "Memory beside a running workload",
            "Proportional set of every process that a foreground run leaves, without the workload's.",
            beside,
        ),
        measure(
            "standing-memory",
            "Memory of a running container, whole",
            "The same with the workload, a sleeping busybox; of a virtual machine all that its monitor holds.",
            whole,
        ),
        measure(
            "init-memory",
            "Memory of a created, not started container",
            "Proportional set of the process that waits for start.",
            before,
        ),
        measure(
            "kernel-memory",
            "Kernel memory charged to a running container",
            "What its memory cgroup says: page tables, stacks, inodes and the like of its processes. What a runtime makes before they are in the cgroup is charged to the caller.",
            kernel,
        ),
    ];
    Ok(Answer {
        measures,
        ..Answer::default()
    })
}

#[derive(Debug, Clone)]
pub struct Standing {
    /// What the runtime keeps.
    pub beside_kib: f64,
    /// With the workload.
    pub whole_kib: f64,
    pub kernel_kib: Result<f64, String>,
}

fn foreground(ground: &Ground, peer: &Peer) -> Result<Standing, String> {
    let bundle = ground.bundle(Shape::Plain, Workload::Sleep)?;
    let id = peer.fresh_id();
    let running = Running::start(ground, &mut peer.run(&bundle, &id))?;
    let weighed = weigh_tree(running.pid());
    running.end();
    peer.forget(&ground.stopwatch, &id);
    weighed
}

/// The workload is known by its command line; everything else is the runtime's.
fn weigh_tree(root: u32) -> Result<Standing, String> {
    let workload = process::find_descendant(root, b"/bin/sleep\0")?;
    let mut standing = Standing {
        beside_kib: 0.0,
        whole_kib: 0.0,
        kernel_kib: process::cgroup_kernel_kib(workload),
    };
    for pid in process::tree(root) {
        let kib = process::pss_kib(pid)?;
        standing.whole_kib += kib;
        if pid != workload {
            standing.beside_kib += kib;
        }
    }
    Ok(standing)
}

fn created_init(ground: &Ground, peer: &Peer) -> Result<f64, String> {
    let bundle = ground.bundle(Shape::Plain, Workload::Sleep)?;
    let id = peer.fresh_id();
    let file = ground.pid_file();
    let _ = std::fs::remove_file(&file);
    let created = ground.stopwatch.time(&mut peer.create(&bundle, &id, &file));
    // It may give memory back after create has returned.
    std::thread::sleep(process::SETTLING);
    let weighed = created.and_then(|_| process::pss_kib(process::read_pid(&file)?));
    peer.forget(&ground.stopwatch, &id);
    weighed
}

const LARGEST_LIMIT_KIB: u64 = 64 << 10;
const SMALLEST_LIMIT_KIB: u64 = 64;
/// A start that is out of memory may hang instead of failing.
const PATIENCE: Duration = Duration::from_secs(5);

pub fn smallest_limit(ground: &Ground, progress: &mut Progress) -> Result<Answer, String> {
    let peers: Vec<&Peer> = ground.oci_peers().collect();
    let mut rows = Vec::new();
    for (index, peer) in peers.iter().enumerate() {
        progress(index, peers.len());
        rows.push(Row::new(
            peer.name,
            smallest(ground, peer).map(|kib| vec![kib]),
        ));
    }
    Ok(Answer::of(Measure {
        id: "smallest-limit".into(),
        title: "The smallest memory limit under which a container starts".into(),
        about: "Halved until a start fails; a limit counts when three starts of three succeed."
            .into(),
        unit: Unit::Kibibytes,
        rows,
        question: String::new(),
    }))
}

fn smallest(ground: &Ground, peer: &Peer) -> Result<f64, String> {
    let mut limit_kib = LARGEST_LIMIT_KIB;
    let mut smallest = None;
    while limit_kib >= SMALLEST_LIMIT_KIB {
        let shape = Shape::MemoryLimit(limit_kib << 10);
        let patient = || (0..TRIES).try_for_each(|_| proof::of_run(ground, peer, shape));
        match (ground.stopwatch.with_patience(PATIENCE, patient), smallest) {
            (Ok(()), _) => smallest = Some(limit_kib),
            (Err(reason), None) => return Err(reason),
            (Err(_), Some(_)) => break,
        }
        limit_kib /= 2;
    }
    smallest
        .map(|kib| kib as f64)
        .ok_or_else(|| "no limit was tried".to_owned())
}
