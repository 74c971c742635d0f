//! Many containers: started at once, and held while more are started.

use super::exec::Held;
use super::{Answer, Progress};
use crate::bundle::{Bundle, Shape, Workload};
use crate::ground::Ground;
use crate::interrupt;
use crate::machine::meminfo_kib;
use crate::model::{Curve, Line, Measure, Point, Row, Unit};
use crate::peers::{Kind, Peer};
use crate::process::{end_process, pss_kib};
use crate::sample::{milliseconds, spawn};
use crate::stats::median;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

const AT_ONCE: [usize; 3] = [1, 16, 64];
const FEWEST_ROUNDS: usize = 2;

pub fn parallel(ground: &Ground, progress: &mut Progress) -> Result<Answer, String> {
    let bundle = ground.bundle(Shape::Plain, Workload::True)?;
    let peers: Vec<&Peer> = ground
        .peers
        .iter()
        .filter(|peer| joins_crowds(ground, peer))
        .collect();
    let rounds = if ground.full { 10 } else { 3 };
    let at_most = Duration::from_secs(if ground.full { 12 } else { 3 });
    let mut lines: Vec<Line> = peers
        .iter()
        .map(|peer| Line {
            failure: super::proof::of_run(ground, peer, Shape::Plain).err(),
            ..empty_line(peer.name)
        })
        .collect();
    for (index, count) in AT_ONCE.into_iter().enumerate() {
        let mut samples = vec![Vec::new(); peers.len()];
        let began = Instant::now();
        for round in 0..rounds {
            if interrupt::is_asked() || (round >= FEWEST_ROUNDS && began.elapsed() > at_most) {
                break;
            }
            progress(index * rounds + round, AT_ONCE.len() * rounds);
            for ((peer, line), samples) in peers.iter().zip(&mut lines).zip(&mut samples) {
                match together(ground, peer, &bundle, count) {
                    Ok(sample) if line.failure.is_none() => samples.push(sample),
                    Ok(_) => {}
                    Err(reason) => {
                        let told = format!("{count} at once: {reason}");
                        line.failure.get_or_insert(told);
                    }
                }
            }
        }
        for (line, samples) in lines.iter_mut().zip(samples) {
            if !samples.is_empty() {
                line.points.push(Point::new(count as f64, samples));
            }
        }
    }
    Ok(Answer {
        curves: vec![Curve {
            id: "parallel".into(),
            title: "Containers started at once".into(),
            about: "Time until the last of the whole runs has ended, divided by their number."
                .into(),
            x_label: "containers at once".into(),
            unit: Unit::Milliseconds,
            lines,
        }],
        ..Answer::default()
    })
}

/// Sixty-four of an engine at once are minutes.
fn joins_crowds(ground: &Ground, peer: &Peer) -> bool {
    match peer.kind {
        Kind::Oci | Kind::Floor | Kind::Bubblewrap => true,
        Kind::Lxc | Kind::Nspawn => ground.full,
        Kind::Podman | Kind::Docker | Kind::Containerd => false,
    }
}

fn empty_line(peer: &str) -> Line {
    Line {
        peer: peer.to_owned(),
        points: Vec::new(),
        failure: None,
    }
}

fn together(ground: &Ground, peer: &Peer, bundle: &Bundle, count: usize) -> Result<f64, String> {
    let ids: Vec<String> = (0..count).map(|_| peer.fresh_id()).collect();
    let mut commands: Vec<Command> = ids.iter().map(|id| peer.run(bundle, id)).collect();
    for command in &mut commands {
        ground.stopwatch.prepare(command)?;
    }
    let began = Instant::now();
    let started: Vec<Result<Child, String>> = commands.iter_mut().map(spawn).collect();
    let ended: Vec<Result<(), String>> = started
        .into_iter()
        .zip(&commands)
        .map(|(child, command)| wait_and_judge(ground, child, command))
        .collect();
    let taken = milliseconds(began.elapsed()) / count as f64;
    for (id, _) in ids.iter().zip(&ended).filter(|(_, ended)| ended.is_err()) {
        peer.forget(&ground.stopwatch, id);
    }
    ended.into_iter().collect::<Result<(), String>>()?;
    Ok(taken)
}

fn wait_and_judge(
    ground: &Ground,
    child: Result<Child, String>,
    command: &Command,
) -> Result<(), String> {
    let status = ground.stopwatch.wait(&mut child?, command)?;
    ground.stopwatch.judge(command, status)
}

/// How many are held, and after how many each point of a curve is taken.
fn held_plan(ground: &Ground) -> (usize, usize) {
    if ground.full { (1000, 100) } else { (50, 10) }
}

pub fn held(ground: &Ground, progress: &mut Progress) -> Result<Answer, String> {
    let (count, step) = held_plan(ground);
    let mut time = Vec::new();
    let mut memory = Vec::new();
    let mut kernel = Vec::new();
    let mut growth = Vec::new();
    for (index, peer) in ground.oci_peers().enumerate() {
        let mut told =
            |done: usize| progress(index * count + done, ground.oci_peers().count() * count);
        let crowd = Crowd::gather(ground, peer, count, step, &mut told);
        growth.push(Row::new(peer.name, crowd.growth()));
        let line = |points: &[Point]| Line {
            points: points.to_vec(),
            failure: crowd.failure.clone(),
            ..empty_line(peer.name)
        };
        time.push(line(&crowd.time));
        memory.push(line(&crowd.memory));
        kernel.push(line(&crowd.kernel));
    }
    let curve = |id: &str, title: &str, about: &str, unit, lines| Curve {
        id: id.into(),
        title: title.into(),
        about: about.into(),
        x_label: "containers held".into(),
        unit,
        lines,
    };
    Ok(Answer {
        waterfalls: Vec::new(),
        measures: vec![growth_measure(growth)],
        curves: vec![
            curve(
                "held-time",
                "Start time while others run",
                "A detached run of a sleeping busybox.",
                Unit::Milliseconds,
                time,
            ),
            curve(
                "held-memory",
                "Memory of a held container",
                "Proportional set of its process, a sleeping busybox whose pages the containers share.",
                Unit::Kibibytes,
                memory,
            ),
            curve(
                "held-kernel",
                "Kernel memory of a held container",
                "What slab, kernel stacks, page tables and per-processor memory gained on the whole machine, divided by the number of containers; other work on the machine moves it.",
                Unit::Kibibytes,
                kernel,
            ),
        ],
    })
}

fn growth_measure(rows: Vec<Row>) -> Measure {
    Measure {
        id: "held-growth".into(),
        title: "Growth of the start time while others run".into(),
        about: "Start times of the last fifth of the held containers, divided by the median of the first fifth; 1 is flat.".into(),
        unit: Unit::Count,
        rows,
        question: String::new(),
    }
}

/// One peer's containers, all running.
struct Crowd {
    times_ms: Vec<f64>,
    time: Vec<Point>,
    memory: Vec<Point>,
    kernel: Vec<Point>,
    failure: Option<String>,
}

const BETWEEN_LOOKS: Duration = Duration::from_millis(300);
/// A crowd of a thousand takes its time to go.
const LOOKS_FULL: u32 = 60;
const LOOKS_QUICK: u32 = 15;
const CALM_KIB: u64 = 64;

/// The kernel frees the memory of a deleted crowd late, in the background.
fn wait_for_calm(looks: u32) {
    let mut before = kernel_kib();
    for _ in 0..looks {
        std::thread::sleep(BETWEEN_LOOKS);
        let now = kernel_kib();
        if now.abs_diff(before) < CALM_KIB {
            return;
        }
        before = now;
    }
}

impl Crowd {
    fn gather(
        ground: &Ground,
        peer: &Peer,
        count: usize,
        step: usize,
        progress: &mut dyn FnMut(usize),
    ) -> Self {
        let mut crowd = Self {
            times_ms: Vec::new(),
            time: Vec::new(),
            memory: Vec::new(),
            kernel: Vec::new(),
            failure: None,
        };
        wait_for_calm(if ground.full { LOOKS_FULL } else { LOOKS_QUICK });
        let kernel = kernel_kib();
        let mut held = Vec::new();
        for number in 1..=count {
            progress(number);
            if interrupt::is_asked() {
                crowd.failure = Some(format!("ended early, after {}", held.len()));
                break;
            }
            match one_more(ground, peer) {
                Ok((taken, container)) => {
                    crowd.times_ms.push(taken);
                    held.push(container);
                }
                Err(reason) => {
                    crowd.failure = Some(format!("container {number}: {reason}"));
                    break;
                }
            }
            if number % step == 0 {
                crowd.note(&held, step, kernel);
            }
        }
        // All at once: the kernel takes their namespaces down together, not one after the other.
        held.iter().for_each(|held| end_process(held.pid));
        crowd
    }

    fn note(&mut self, held: &[Held], step: usize, kernel: u64) {
        let count = held.len() as f64;
        let last = self.times_ms[held.len() - step..].to_vec();
        let sets = held.iter().filter_map(|held| pss_kib(held.pid).ok());
        let grown = kernel_kib() as f64 - kernel as f64;
        self.time.push(Point::new(count, last));
        self.memory.push(Point::new(count, sets.collect()));
        self.kernel.push(Point::new(count, vec![grown / count]));
    }

    fn growth(&self) -> Result<Vec<f64>, String> {
        if let Some(reason) = &self.failure {
            return Err(reason.clone());
        }
        let fifth = self.times_ms.len() / 5;
        let first = median(&self.times_ms[..fifth]);
        let last = &self.times_ms[self.times_ms.len() - fifth..];
        Ok(last.iter().map(|taken| taken / first).collect())
    }
}

fn one_more<'a>(ground: &'a Ground, peer: &'a Peer) -> Result<(f64, Held<'a>), String> {
    let bundle = ground.bundle(Shape::Plain, Workload::Sleep)?;
    Held::start_timed(ground, peer, &bundle)
}

fn kernel_kib() -> u64 {
    ["Slab", "KernelStack", "PageTables", "Percpu"]
        .into_iter()
        .map(meminfo_kib)
        .sum()
}
