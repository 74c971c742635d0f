//! The page in headless Chromium, on a phone and on a wide screen: charts are
//! drawn, numbers equal the JSON, nothing overflows, the console is silent, and
//! everything can be read, by day and by night.

use super::fixture;
use crate::report::html;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Opens the page in two frames, looks, and writes what it saw into the document.
const INSPECTOR: &str = r#"<!doctype html><meta charset="utf-8"><meta name="color-scheme" content="light dark"><pre id="seen"></pre>
<iframe width="375" height="800" style="border:0" src="page.html"></iframe>
<iframe width="1440" height="900" style="border:0" src="page.html"></iframe>
<script>
function luminance(colour) {
  const [r, g, b] = colour.match(/[\d.]+/g).slice(0, 3).map(Number).map(v => v / 255)
    .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
function contrast(a, b) {
  const [dark, light] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (light + 0.05) / (dark + 0.05);
}
/* What can't be read: text below 4.5 to 1, drawings below 3 to 1. WCAG 1.4.3, 1.4.11 */
function unreadable(frame, page, wrong) {
  const style = element => frame.contentWindow.getComputedStyle(element);
  const ground = element => style(element.closest(".measure, .curve, .cards li") || page.body).backgroundColor;
  for (const element of page.querySelectorAll("h1, h2, h3, p, li, th, td, small, .note, .failed, .verdict, summary, nav a, .left-out"))
    if (contrast(style(element).color, ground(element)) < 4.5) wrong.push(`${element.className || element.tagName} is faint`);
  for (const element of page.querySelectorAll(".phase:not(.whole)"))
    if (contrast(style(element).fill, ground(element)) < 3) wrong.push(`${element.getAttribute("class")} is faint`);
}
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
  for (const waterfall of report.waterfalls) {
    const article = [...page.querySelectorAll("[data-waterfall]")].find(a => a.dataset.waterfall === waterfall.title);
    if (waterfall.failure && !article.textContent.includes(waterfall.failure)) wrong.push(`${waterfall.title} hides its failure`);
    const rows = [...article.querySelectorAll("tbody tr")].map(tr => tr.querySelector("th").textContent + tr.querySelector("data").value);
    for (const phase of waterfall.phases) if (!rows.includes(phase.name + phase.length_us)) wrong.push(`${phase.name} has no row`);
  }
  unreadable(frame, page, wrong);
  const dark = frame.contentWindow.matchMedia("(prefers-color-scheme: dark)").matches;
  return { dark, width: frame.clientWidth, overflow: page.documentElement.scrollWidth - frame.clientWidth, bars,
    phases: page.querySelectorAll(".phase").length, verdicts: page.querySelectorAll("[data-budget]").length, wrong };
}
onload = () => { document.getElementById("seen").textContent = JSON.stringify([...document.querySelectorAll("iframe")].map(look)); };
</script>"#;

#[test]
fn the_page_stands_in_a_browser_by_day() {
    stands(false);
}

#[test]
fn the_page_stands_in_a_browser_by_night() {
    stands(true);
}

fn stands(dark: bool) {
    let directory = write_pages(dark);
    let output = chromium(dark)
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
        assert_eq!(
            (&frame["width"], &frame["dark"]),
            (&width.into(), &dark.into())
        );
        assert_eq!(frame["wrong"], Value::Array(Vec::new()), "{frame}");
        assert!(
            frame["overflow"].as_i64().is_some_and(|pixels| pixels <= 0),
            "{frame}"
        );
        assert_eq!(
            (&frame["bars"], &frame["phases"]),
            (&6.into(), &5.into()),
            "{frame}"
        );
        assert_eq!(frame["verdicts"], 4);
    }
}

fn write_pages(dark: bool) -> PathBuf {
    let name = format!("bench-browser-{}-{dark}", std::process::id());
    let directory = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&directory).expect("make a directory");
    let page = html::render(&fixture::report()).expect("renders");
    for (name, text) in [("page.html", page.as_str()), ("inspector.html", INSPECTOR)] {
        std::fs::write(Path::new(&directory).join(name), text).expect("write a page");
    }
    directory
}

fn chromium(dark: bool) -> Command {
    let mut command = Command::new("chromium");
    // Blink's number for what the user prefers.
    let scheme = if dark { 0 } else { 1 };
    command.arg(format!("--blink-settings=preferredColorScheme={scheme}"));
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
