//! What does not depend on the machine's mood: system calls, and the size of the program.

use super::exec::Held;
use super::{Answer, Progress, proof};
use crate::bundle::{Shape, Workload};
use crate::ground::{Ground, wrap};
use crate::model::{Measure, Row, Unit};
use crate::peers::{self, Kind, Peer};
use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

pub fn system_calls(ground: &Ground, progress: &mut Progress) -> Result<Answer, String> {
    let strace = peers::on_path("strace");
    let strace = strace.ok_or("no strace: apt-get install strace")?;
    let bundle = ground.bundle(Shape::Plain, Workload::True)?;
    let peers: Vec<&Peer> = ground.peers.iter().collect();
    let (mut runs, mut execs) = (Vec::new(), Vec::new());
    for (index, peer) in peers.iter().enumerate() {
        progress(index, peers.len());
        let count = |command: &Command| calls(ground, &strace, command).map(|calls| vec![calls]);
        let proof = proof::of_run(ground, peer, Shape::Plain);
        let run = proof.and_then(|()| count(&peer.run(&bundle, &peer.fresh_id())));
        runs.push(Row::new(peer.name, run).noted(peer.note()));
        if peer.kind == Kind::Oci {
            let sleeping = ground.bundle(Shape::Plain, Workload::Sleep)?;
            let counted = Held::start(ground, peer, &sleeping)
                .and_then(|held| count(&peer.exec(&held.id, &["/bin/true"])));
            execs.push(Row::new(peer.name, counted));
        }
    }
    let measure = |id: &str, title: &str, rows| Measure {
        id: id.into(),
        title: title.into(),
        about: "Counted by strace over all processes and threads, the workload's own included."
            .into(),
        unit: Unit::Count,
        rows,
        question: String::new(),
    };
    Ok(Answer {
        measures: vec![
            measure("system-calls-run", "System calls of run /bin/true", runs),
            measure("system-calls-exec", "System calls of exec /bin/true", execs),
        ],
        ..Answer::default()
    })
}

fn calls(ground: &Ground, strace: &Path, command: &Command) -> Result<f64, String> {
    let file = ground.work.join("calls");
    let prefix = [
        OsStr::new("-f"),
        OsStr::new("-c"),
        OsStr::new("-o"),
        file.as_os_str(),
    ];
    ground.stopwatch.time(&mut wrap(strace, &prefix, command))?;
    let text = std::fs::read_to_string(&file)
        .map_err(|error| format!("read {}: {error}", file.display()))?;
    parse_total(&text).ok_or_else(|| "strace wrote no total".to_owned())
}

/// The fourth column of the last line: `100.00 0.001 4 123 7 total`.
fn parse_total(summary: &str) -> Option<f64> {
    let line = summary
        .lines()
        .rfind(|line| line.trim_end().ends_with("total"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}

pub fn size(ground: &Ground, _progress: &mut Progress) -> Result<Answer, String> {
    let rows = ground.peers.iter().map(|peer| {
        let size = std::fs::metadata(&peer.program)
            .map(|data| vec![data.len() as f64 / 1024.0])
            .map_err(|error| format!("stat {}: {error}", peer.program.display()));
        Row::new(peer.name, size).noted(linkage(&peer.program))
    });
    Ok(Answer::of(Measure {
        id: "binary-size".into(),
        title: "Size of the program".into(),
        about: "The file alone; a dynamic one needs its libraries too.".into(),
        unit: Unit::Kibibytes,
        rows: rows.collect(),
        question: String::new(),
    }))
}

/// An ELF file that asks for a loader names it in its first page.
fn linkage(program: &Path) -> Option<String> {
    const FIRST_PAGE: usize = 4096;
    let bytes = std::fs::read(program).ok()?;
    let head = bytes.get(..FIRST_PAGE).unwrap_or(&bytes);
    head.windows(7)
        .any(|window| window == b"ld-linu")
        .then(|| "dynamic".to_owned())
}
