//! A report by hand. Its numbers were never measured.

use crate::budget::{judge, parse};
use crate::machine::Machine;
use crate::measure::ONLY_FULL;
use crate::model::{
    Asked, Curve, Line, Measure, PeerInfo, Phase, Point, Report, Row, Unit, Waterfall,
};

const BUDGET: &str = "\
| measure | what | against | bar | reach for |
|---|---|---|---|---|
| `run-warm` | `run`, back to back | crun | <= 0.45 | <= 0.33 |
| `run-warm` | to the faster of two | runc or crun | <= 0.24 | <= 0.1 |
| `peak-memory` | peak memory | - | <= 3072 KiB | <= 2048 KiB |
| `unpack` | never measured | umoci | <= 0.5 | <= 0.33 |
";

pub fn report() -> Report {
    let mut report = Report {
        taken_s: 1_795_255_200,
        mode: "quick".into(),
        machine: machine(),
        peers: vec![
            peer("crun-lite", None),
            peer("crun <1.8>", None),
            peer("youki", Some("not installed")),
        ],
        asked: vec![
            asked("run-warm", Some(4.5), None),
            asked("image-archive", None, Some("only with --full")),
        ],
        measures: vec![run(), memory()],
        curves: vec![curve()],
        waterfalls: vec![waterfall(), old_build()],
        budgets: Vec::new(),
        gate: None,
    };
    let promises = parse(BUDGET).expect("the fixture's budget parses");
    report.budgets = judge(&promises, &report);
    report
}

fn asked(name: &str, took_s: Option<f64>, left_out: Option<&str>) -> Asked {
    Asked {
        name: name.into(),
        asks: "how long `it` takes".into(),
        took_s,
        left_out: left_out.map(str::to_owned),
    }
}

fn machine() -> Machine {
    Machine {
        kernel: "6.1".into(),
        processor: "a <processor> & its name".into(),
        cores: 2,
        memory_mib: 1024,
        cgroup: "v2".into(),
        virtual_machine: true,
        load_before: "0.1 0.2 0.3".into(),
        load_after: "0.4 0.5 0.6".into(),
    }
}

fn peer(name: &str, absent: Option<&str>) -> PeerInfo {
    PeerInfo {
        name: name.into(),
        version: "1.0".into(),
        program: "/usr/bin/peer".into(),
        absent: absent.map(str::to_owned),
    }
}

fn run() -> Measure {
    let emulated = Row::new("QEMU (TCG)", Ok(vec![3000.0, 3100.0, 2900.0]));
    Measure {
        id: "run-warm".into(),
        title: "run, back to back".into(),
        about: "All of it.".into(),
        unit: Unit::Milliseconds,
        rows: vec![
            Row::new("crun-lite", Ok(vec![2.0, 2.1, 1.9, 2.0, 9.5])),
            Row::new("floor", Ok(vec![1.0, 1.1, 1.05, 1.0, 1.02])),
            Row::new("crun", Ok(vec![8.0, 8.5, 7.5, 8.2, 8.1])),
            Row::new(
                "runc",
                Err("runc run: exit status: 1: <script>alert(1)</script>".into()),
            ),
            emulated.noted(Some("software emulation".into())),
            Row::new("LXC", Err(ONLY_FULL.to_owned())),
        ],
        question: String::new(),
    }
}

fn memory() -> Measure {
    Measure {
        id: "peak-memory".into(),
        title: "Peak memory".into(),
        about: "The largest set.".into(),
        unit: Unit::Kibibytes,
        rows: vec![
            Row::new("crun-lite", Ok(vec![2500.0, 2510.0, 2490.0])),
            Row::new("runc", Ok(vec![20_480.0, 20_480.0, 20_480.0])),
        ],
        question: String::new(),
    }
}

fn curve() -> Curve {
    let line = |peer: &str, medians: &[f64], failure: Option<&str>| Line {
        peer: peer.into(),
        points: medians
            .iter()
            .enumerate()
            .map(|(index, median)| Point::new((index * 10) as f64, vec![*median]))
            .collect(),
        failure: failure.map(str::to_owned),
    };
    Curve {
        id: "held".into(),
        title: "While others run".into(),
        about: "Start time.".into(),
        x_label: "containers".into(),
        unit: Unit::Milliseconds,
        lines: vec![
            line("crun-lite", &[2.0, 2.1, 2.2], None),
            line("crun", &[8.0, 9.0], Some("container 21: gone")),
        ],
    }
}

fn waterfall() -> Waterfall {
    let phase = |lane: &str, name: &str, start_us: f64, length_us: f64| Phase {
        lane: lane.into(),
        name: name.into(),
        start_us,
        length_us,
    };
    Waterfall {
        title: "run".into(),
        phases: vec![
            phase("parent", "plan", 0.0, 120.0),
            phase("child", "mounts", 100.0, 600.0),
            phase("parent", "state", 300.0, 0.0),
            phase("parent", "wait for init", 300.0, 350.0),
            phase(
                "child",
                "a step with a <name> that is longer than a phone is wide: mount tmpfs on /dev (type=tmpfs,mode=755)",
                150.0,
                90.0,
            ),
        ],
        failure: None,
    }
}

fn old_build() -> Waterfall {
    Waterfall {
        title: "run, an older build".into(),
        phases: Vec::new(),
        failure: Some("unexpected argument '--trace-start'".into()),
    }
}
