//! The guest's lines as test results of this program: each name with its cell and suite before it.

use std::io::Write;

/// What the guest has reported so far.
#[derive(Default)]
pub struct Results {
    cell: String,
    suite: String,
    pub passed: usize,
    pub failed: Vec<String>,
    pub ignored: usize,
    pub finished: bool,
}

impl Results {
    /// What follows is of this cell.
    pub fn enter(&mut self, cell: &str) {
        cell.clone_into(&mut self.cell);
        self.suite.clear();
        self.finished = false;
    }

    /// Takes one line of the guest.
    pub fn line(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["==", "suite", name] => name.clone_into(&mut self.suite),
            ["==", "done"] => self.finished = true,
            ["==", "end", name, status] => self.end(name, status),
            ["test", name, "...", verdict, ..] => self.verdict(name, verdict, line),
            ["test", "result:", ..] | ["running", _, "tests", ..] => {}
            _ if line.is_empty() => {}
            _ => println!("    {line}"),
        }
        std::io::stdout().flush().ok();
    }

    fn verdict(&mut self, name: &str, verdict: &str, line: &str) {
        let full = format!("{}::{}::{name}", self.cell, self.suite);
        match verdict.trim_end_matches(',') {
            "ok" => self.passed += 1,
            "ignored" => self.ignored += 1,
            _ => self.failed.push(full.clone()),
        }
        println!("test {full}{}", &line["test ".len() + name.len()..]);
    }

    /// A suite that ended badly without a failed test died: that is a failure too.
    fn end(&mut self, name: &str, status: &str) {
        let prefix = format!("{}::{name}::", self.cell);
        if status != "0" && !self.failed.iter().any(|failed| failed.starts_with(&prefix)) {
            self.fail(&format!("ends-well (it ended with {status})"));
        }
    }

    /// Adds a failure that no test reported.
    pub fn fail(&mut self, what: &str) {
        let name = format!("{}::{}::{what}", self.cell, self.suite);
        println!("test {name} ... FAILED");
        self.failed.push(name);
    }
}
