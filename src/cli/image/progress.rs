//! Progress for people and programs: bars on a terminal, lines elsewhere, JSON on request.
//!
//! Drawn by whichever thread brings news, ten times a second at most: no thread of its own.

use super::human;
use crate::cli::argument::{is_set, text};
use crate::cli::print;
use crate::error::{Error, Result};
use clap::ArgMatches;
use oci::Digest;
use oci::progress::{Progress, Role, Stage};
use oci::transfer::Stored;
use serde_json::json;
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Time between two drawings.
const PERIOD: Duration = Duration::from_millis(100);
/// More bars than this would scroll away.
const MAX_BARS: usize = 12;
const BAR_WIDTH: usize = 24;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Bars,
    Lines,
    Json,
    Nothing,
}

/// Listens to a transfer.
pub(in crate::cli) struct Reporter {
    style: Style,
    quiet: bool,
    /// What is here already is not worth a line.
    only_news: bool,
    board: Mutex<Board>,
}

struct Board {
    rows: Vec<Row>,
    began: Instant,
    drawn_at: Option<Instant>,
    drawn_lines: usize,
}

struct Row {
    blob: Digest,
    role: Role,
    size: u64,
    done: u64,
    stage: Stage,
    told_at: Option<Instant>,
}

impl Reporter {
    pub(in crate::cli) fn new(matches: &ArgMatches) -> Result<Reporter> {
        let quiet = is_set(matches, "quiet");
        let style = match text(matches, "progress")?.as_deref() {
            _ if quiet => Style::Nothing,
            None | Some("auto") if std::io::stderr().is_terminal() => Style::Bars,
            None | Some("auto" | "plain") => Style::Lines,
            Some("json") => Style::Json,
            Some("none") => Style::Nothing,
            Some(other) => {
                return Err(Error::new(format!(
                    "--progress: unknown value {other:?}, want auto, plain, json or none"
                )));
            }
        };
        let board = Board {
            rows: Vec::new(),
            began: Instant::now(),
            drawn_at: None,
            drawn_lines: 0,
        };
        Ok(Reporter {
            style,
            quiet,
            only_news: false,
            board: Mutex::new(board),
        })
    }

    /// For a command whose purpose is another: what is here already goes without saying.
    pub(in crate::cli) fn only_news(mut self) -> Reporter {
        self.only_news = true;
        self
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the bars away, whatever came of the transfer.
    pub(in crate::cli) fn finish<T>(&self, result: T) -> T {
        if self.style == Style::Bars {
            let mut board = self.board();
            let clear = board.clear();
            tell(&clear);
            board.drawn_lines = 0;
        }
        result
    }

    /// Says what is in the store now.
    pub(super) fn done(&self, name: &str, stored: &Stored) -> Result<()> {
        let digest = stored.descriptor.digest();
        let line = match self.style {
            Style::Json => json!({"event": "stored", "name": name, "digest": digest}).to_string(),
            _ if self.quiet => digest.to_string(),
            _ => {
                let layers = stored.manifest.layers.len();
                let size = human(stored.manifest.total_bytes());
                format!("{name}: {layers} layers, {size}, {digest}")
            }
        };
        print(&format!("{line}\n"))
    }
}

/// Progress never makes a command fail.
fn tell(text: &str) {
    let mut stderr = std::io::stderr().lock();
    let _ = stderr
        .write_all(text.as_bytes())
        .and_then(|()| stderr.flush());
}

impl Progress for Reporter {
    fn stage(&self, blob: &Digest, role: Role, size: u64, stage: Stage) {
        let mut board = self.board();
        let known = board.set(blob, role, size, stage);
        match self.style {
            // What was fetched a moment ago is here: no news.
            Style::Lines if (known || self.only_news) && stage == Stage::Present => {}
            Style::Bars => board.draw(true),
            Style::Lines if stage != Stage::Fetching => {
                tell(&format!(
                    "{} {}: {} {}\n",
                    role_name(role),
                    blob.short(),
                    stage_name(stage),
                    human(size)
                ));
            }
            Style::Json => {
                let event = json!({"event": "stage", "blob": blob, "role": role_name(role), "size": size, "stage": stage_name(stage)});
                let _ = print(&format!("{event}\n"));
            }
            _ => {}
        }
    }

    fn bytes(&self, blob: &Digest, done: u64) {
        let mut board = self.board();
        let Some(row) = board.rows.iter_mut().find(|row| row.blob == *blob) else {
            return;
        };
        row.done = done;
        match self.style {
            Style::Bars => board.draw(false),
            Style::Json if row.told_at.is_none_or(|at| at.elapsed() >= PERIOD) => {
                row.told_at = Some(Instant::now());
                let _ = print(&format!(
                    "{}\n",
                    json!({"event": "bytes", "blob": blob, "done": done})
                ));
            }
            _ => {}
        }
    }

    fn note(&self, text: &str) {
        let mut board = self.board();
        match self.style {
            Style::Bars => {
                let clear = board.clear();
                board.drawn_lines = 0;
                tell(&format!("{clear}{text}\n"));
                board.draw(true);
            }
            Style::Lines => tell(&format!("{text}\n")),
            Style::Json => drop(print(&format!(
                "{}\n",
                json!({"event": "note", "text": text})
            ))),
            Style::Nothing => {}
        }
    }
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Manifest => "manifest",
        Role::Config => "config",
        Role::Layer => "layer",
    }
}

fn stage_name(stage: Stage) -> &'static str {
    match stage {
        Stage::Present => "present",
        Stage::Waiting => "waiting",
        Stage::Fetching => "fetching",
        Stage::Done => "done",
    }
}

impl Board {
    /// Whether the blob was here before.
    fn set(&mut self, blob: &Digest, role: Role, size: u64, stage: Stage) -> bool {
        let known = self.rows.iter_mut().find(|row| row.blob == *blob);
        let was_here = known
            .as_ref()
            .is_some_and(|row| matches!(row.stage, Stage::Done | Stage::Present));
        match known {
            Some(row) => row.stage = stage,
            None => self.rows.push(Row {
                blob: blob.clone(),
                role,
                size,
                done: 0,
                stage,
                told_at: None,
            }),
        }
        if stage == Stage::Done {
            self.rows
                .iter_mut()
                .filter(|row| row.blob == *blob)
                .for_each(|row| row.done = row.size);
        }
        was_here
    }

    /// Back to the first line of the last drawing, and everything below gone.
    fn clear(&self) -> String {
        match self.drawn_lines {
            0 => String::new(),
            lines => format!("\x1b[{lines}A\r\x1b[J"),
        }
    }

    fn draw(&mut self, now: bool) {
        if !now && self.drawn_at.is_some_and(|at| at.elapsed() < PERIOD) {
            return;
        }
        let lines = self.lines();
        tell(&format!("{}{}\n", self.clear(), lines.join("\n")));
        self.drawn_lines = lines.len();
        self.drawn_at = Some(Instant::now());
    }

    /// A bar for each layer under way, and the sum.
    fn lines(&self) -> Vec<String> {
        let active = self
            .rows
            .iter()
            .filter(|row| matches!(row.stage, Stage::Fetching | Stage::Waiting));
        let mut lines: Vec<String> = active.take(MAX_BARS).map(Row::bar).collect();
        let layers = || self.rows.iter().filter(|row| row.role == Role::Layer);
        let ready = layers()
            .filter(|row| matches!(row.stage, Stage::Done | Stage::Present))
            .count();
        let fetched: u64 = self.rows.iter().map(|row| row.done).sum();
        let rate = fetched as f64 / self.began.elapsed().as_secs_f64().max(0.001);
        lines.push(format!(
            "{ready} layers here, {} fetched, {}/s",
            human(fetched),
            human(rate as u64)
        ));
        lines
    }
}

impl Row {
    fn bar(&self) -> String {
        if self.stage == Stage::Waiting {
            return format!("{}  another process fetches it", self.blob.short());
        }
        let filled = match self.size {
            0 => BAR_WIDTH,
            size => (u128::from(self.done) * BAR_WIDTH as u128 / u128::from(size)) as usize,
        };
        let bar = format!(
            "{}{}",
            "=".repeat(filled.min(BAR_WIDTH)),
            " ".repeat(BAR_WIDTH.saturating_sub(filled))
        );
        format!(
            "{}  [{bar}]  {} of {}",
            self.blob.short(),
            human(self.done),
            human(self.size)
        )
    }
}
