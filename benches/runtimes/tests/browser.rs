//! The page in headless Chromium, on a phone and on a wide screen: charts are
//! drawn, numbers equal the JSON, nothing overflows, the console is silent.

use super::fixture;
use crate::report::html;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Opens the page in two frames, looks, and writes what it saw into the document.
const INSPECTOR: &str = r#"<!doctype html><meta charset="utf-8"><pre id="seen"></pre>
<iframe width="375" height="800" style="border:0" src="page.html"></iframe>
<iframe width="1440" height="900" style="border:0" src="page.html"></iframe>
<script>
function look(frame) {
  const page = frame.contentDocument, report = JSON.parse(page.getElementById("report").textContent);
  const wrong = [];
  let bars = 0;
  for (const measure of report.measures) for (const row of measure.rows) {
    const tr = page.querySelector(`[data-measure="${measure.id}"] tr[data-peer="${row.peer}"]`);
    if (!tr) { wrong.push(`${measure.id} ${row.peer} has no row`); continue; }
    if (row.failure) { if (!tr.textContent.includes(row.failure)) wrong.push(`${row.peer} hides its failure`); continue; }
    if (Number(tr.querySelector("data").value) !== row.summary.median) wrong.push(`${measure.id} ${row.peer} differs`);
    if (tr.querySelectorAll(".sample").length !== row.samples.length) wrong.push(`${row.peer} drops samples`);
    const bar = tr.querySelector(".bar").getBoundingClientRect();
    if (bar.width > 1 && bar.height > 5) bars++;
  }
  for (const curve of report.curves) {
    const figure = page.querySelector(`[data-curve="${curve.id}"]`);
    const dots = figure.querySelectorAll("circle").length;
    const points = curve.lines.reduce((sum, line) => sum + line.points.length, 0);
    if (dots !== points) wrong.push(`${curve.id} draws ${dots} of ${points}`);
  }
  return { width: frame.clientWidth, overflow: page.documentElement.scrollWidth - frame.clientWidth, bars,
    phases: page.querySelectorAll(".phase").length, verdicts: page.querySelectorAll("[data-budget]").length, wrong };
}
onload = () => { document.getElementById("seen").textContent = JSON.stringify([...document.querySelectorAll("iframe")].map(look)); };
</script>"#;

#[test]
fn the_page_stands_in_a_browser() {
    let directory = write_pages();
    let output = chromium()
        .arg(format!(
            "--user-data-dir={}",
            directory.join("profile").display()
        ))
        .arg(format!("file://{}/inspector.html", directory.display()))
        .output()
        .expect("chromium starts; apt-get install chromium");
    std::fs::remove_dir_all(&directory).expect("remove the pages");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !said.contains("CONSOLE"),
        "the console is not silent: {said}"
    );
    let document = String::from_utf8_lossy(&output.stdout);
    let frames = seen(&document).unwrap_or_else(|| panic!("nothing seen: {document}\n{said}"));
    assert_eq!(frames.len(), 2);
    for (frame, width) in frames.iter().zip([375, 1440]) {
        assert_eq!(frame["width"], width);
        assert_eq!(frame["wrong"], Value::Array(Vec::new()), "{frame}");
        assert!(
            frame["overflow"].as_i64().is_some_and(|pixels| pixels <= 0),
            "{frame}"
        );
        assert_eq!(
            (&frame["bars"], &frame["phases"]),
            (&6.into(), &3.into()),
            "{frame}"
        );
        assert_eq!(frame["verdicts"], 4);
    }
}

fn write_pages() -> PathBuf {
    let directory = std::env::temp_dir().join(format!("bench-browser-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("make a directory");
    let page = html::render(&fixture::report()).expect("renders");
    for (name, text) in [("page.html", page.as_str()), ("inspector.html", INSPECTOR)] {
        std::fs::write(Path::new(&directory).join(name), text).expect("write a page");
    }
    directory
}

fn chromium() -> Command {
    let mut command = Command::new("chromium");
    command.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
    ]);
    command.args(["--allow-file-access-from-files", "--window-size=1500,900"]);
    command.args(["--enable-logging=stderr", "--log-level=0", "--dump-dom"]);
    command
}

fn seen(document: &str) -> Option<Vec<Value>> {
    let rest = document.split_once("<pre id=\"seen\">")?.1;
    let text = rest
        .split_once("</pre>")?
        .0
        .replace("&amp;", "&")
        .replace("&lt;", "<")
        .replace("&gt;", ">");
    serde_json::from_str(&text).ok()
}
