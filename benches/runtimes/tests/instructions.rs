//! benches/instructions.c counts a program alike each time, its children too, and gives up when it is told.

use std::path::{Path, PathBuf};
use std::process::Command;

struct Counter(PathBuf);

impl Counter {
    fn compiled(test: &str) -> Self {
        let name = format!("bench-instructions-{}-{test}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).expect("make a directory");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/instructions.c");
        let compiled = Command::new("gcc")
            .args(["-O2", "-Wall", "-Wextra", "-Werror", "-o"])
            .arg(directory.join("instructions"))
            .arg(source)
            .status();
        assert!(compiled.expect("gcc starts").success());
        Self(directory)
    }

    /// What it counted, and how.
    fn count(&self, seconds: &str, command: &[&str]) -> (u64, String) {
        let file = self.0.join("count");
        let ended = Command::new(self.0.join("instructions"))
            .arg(&file)
            .arg(seconds)
            .args(command)
            .status();
        assert!(ended.expect("it starts").success());
        let text = std::fs::read_to_string(&file).expect("it wrote its count");
        let (count, how) = text.trim().split_once(' ').expect("two words");
        (count.parse().expect("a number"), how.to_owned())
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_program_takes_the_same_each_time_and_its_children_count() {
    let counter = Counter::compiled("same");
    let (once, how) = counter.count("60", &["/bin/busybox", "true"]);
    let (again, _) = counter.count("60", &["/bin/busybox", "true"]);
    assert!(["counter", "steps"].contains(&how.as_str()), "{how}");
    assert!(
        once > 1000 && once.abs_diff(again) < once / 10,
        "{once} {again}"
    );
    let script = "/bin/busybox true; /bin/busybox true";
    let (three, _) = counter.count("60", &["/bin/busybox", "sh", "-c", script]);
    assert!(three > 2 * once, "{three} {once}");
}

#[test]
fn what_never_ends_is_given_up() {
    let counter = Counter::compiled("ends");
    let (count, how) = counter.count(
        "1",
        &[
            "/bin/busybox",
            "sh",
            "-c",
            "for n in $(seq 9999); do :; done",
        ],
    );
    // A processor with a counter runs it to its end.
    assert!(["unfinished", "counter"].contains(&how.as_str()), "{how}");
    assert!(count > 0);
}
