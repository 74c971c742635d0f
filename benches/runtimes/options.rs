//! The command line: `cargo bench --bench runtimes -- [OPTION...]`.
//!
//! It must not start anything.

use std::path::PathBuf;

pub const USAGE: &str = "\
usage: cargo bench --bench runtimes -- [OPTION...]

  --quick           few samples of everything but images, under two minutes (the default)
  --full            many samples, 1,000 held containers, images, engines: 25 minutes, with a progress bar;
                    Ctrl-C ends it early, and what was measured is written
  --only NAME       only the measures whose name contains NAME; may be given again
  --peer NAME       only this peer besides crun-lite and the floor; may be given again
  --list            the measures, what they ask, how long each takes
  --json FILE       every raw sample
  --html FILE       a page with charts, complete in one file
  --markdown FILE   all of it as tables
  --readme FILE     put the table of numbers between the marks of this README
  --from FILE       measure nothing: draw the reports from this JSON file
  --also PROGRAM    another build of crun-lite, measured beside it; may be given again
  --trace FILE      draw this trace (crun-lite run --trace-start FILE) as a waterfall too
  --gate            ask only what has a bar; exit 1 when one is missed by more than noise,
                    three times, while nothing else kept the machine busy
";

#[derive(Debug, Default, Clone)]
pub struct Options {
    pub full: bool,
    pub list: bool,
    pub gate: bool,
    pub only: Vec<String>,
    pub peers: Vec<String>,
    pub json: Option<PathBuf>,
    pub html: Option<PathBuf>,
    pub markdown: Option<PathBuf>,
    pub readme: Option<PathBuf>,
    /// Other builds of ours.
    pub also: Vec<PathBuf>,
    pub from: Option<PathBuf>,
    pub traces: Vec<PathBuf>,
}

/// `Ok(None)` asks for the usage.
pub fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Option<Options>, String> {
    let mut options = Options::default();
    while let Some(argument) = arguments.next() {
        let mut value = || {
            arguments
                .next()
                .ok_or_else(|| format!("{argument} needs a value"))
        };
        match argument.as_str() {
            "--quick" => options.full = false,
            "--full" => options.full = true,
            "--list" => options.list = true,
            "--gate" => options.gate = true,
            "--only" => options.only.push(value()?),
            "--peer" => options.peers.push(value()?.to_lowercase()),
            "--json" => options.json = Some(value()?.into()),
            "--html" => options.html = Some(value()?.into()),
            "--markdown" => options.markdown = Some(value()?.into()),
            "--readme" => options.readme = Some(value()?.into()),
            "--also" => options.also.push(value()?.into()),
            "--from" => options.from = Some(value()?.into()),
            "--trace" => options.traces.push(value()?.into()),
            // Cargo's own, for every bench.
            "--bench" => {}
            "--help" | "-h" => return Ok(None),
            other => return Err(format!("unknown option {other}\n\n{USAGE}")),
        }
    }
    Ok(Some(options))
}

impl Options {
    pub fn wants(&self, measure: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| measure.contains(name.as_str()))
    }

    pub fn wants_peer(&self, peer: &str) -> bool {
        let peer = peer.to_lowercase();
        let always = [crate::peers::OURS, crate::peers::FLOOR].contains(&peer.as_str());
        always || self.peers.is_empty() || self.peers.contains(&peer)
    }
}
