//! The report as one page that needs nothing else: no network, no script.
//!
//! Charts are inline SVG inside real tables, so that a screen reader reads the
//! numbers and a phone wraps them. The whole data is embedded as JSON. It must
//! not compute a number: it draws those of the report.

mod bars;
mod curves;
mod waterfall;

use super::figure::{digits, times, with_unit};
use crate::budget::{Outcome, Verdict};
use crate::model::{Report, Unit};
use crate::peers::OURS;
use std::fmt::Write;

const STYLE: &str = include_str!("style.css");

pub fn render(report: &Report) -> Result<String, String> {
    let mut page = String::new();
    // Writing to a String can't fail, here and below.
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>crun-lite: start time and memory</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
    );
    header(&mut page, report);
    section(&mut page, "times", "Time", |page| {
        bars::draw(page, report, Unit::Milliseconds)
    });
    section(&mut page, "crowds", "Many at once", |page| {
        curves::draw(page, report)
    });
    section(&mut page, "memory", "Memory and size", |page| {
        bars::draw(page, report, Unit::Kibibytes)
    });
    section(&mut page, "effort", "Effort", |page| {
        bars::draw(page, report, Unit::Count)
    });
    section(
        &mut page,
        "waterfall",
        "Where the time of a start goes",
        |page| waterfall::draw(page, report),
    );
    budget(&mut page, report);
    method(&mut page, report);
    let contents = contents(&page);
    page = page.replacen("</header>", &format!("{contents}</header>"), 1);
    let data = super::json::render(report)?.replace('<', "\\u003c");
    let _ = write!(
        page,
        "</main>\n<script type=\"application/json\" id=\"report\">{data}</script>\n</body>\n</html>\n"
    );
    Ok(page)
}

/// A section that has nothing to show is left out.
fn section(page: &mut String, id: &str, title: &str, draw: impl FnOnce(&mut String)) {
    let mut content = String::new();
    draw(&mut content);
    if !content.is_empty() {
        let _ = write!(
            page,
            "<section aria-labelledby=\"{id}\">\n<h2 id=\"{id}\">{title}</h2>\n{content}</section>\n"
        );
    }
}

/// A link to each section that is there.
fn contents(page: &str) -> String {
    let headings = page.split("<h2 id=\"").skip(1);
    let links = headings.filter_map(|rest| {
        let (id, rest) = rest.split_once("\">")?;
        let (title, _) = rest.split_once("</h2>")?;
        Some(format!("<a href=\"#{id}\">{title}</a>"))
    });
    let links: Vec<String> = links.collect();
    format!("<nav aria-label=\"Sections\">{}</nav>\n", links.join(" "))
}

fn header(page: &mut String, report: &Report) {
    let machine = &report.machine;
    let _ = write!(
        page,
        "<header>\n<p class=\"kicker\">crun-lite benchmark, {} run of {}</p>\n<h1>What a container costs to start</h1>\n\
         <p class=\"machine\">{} x {}{}, kernel {}, cgroup {}, {} MiB; load {} before, {} after.</p>\n",
        escape(&report.mode),
        super::date::utc(report.taken_s),
        machine.cores,
        escape(&machine.processor),
        if machine.virtual_machine {
            " in a virtual machine"
        } else {
            ""
        },
        escape(&machine.kernel),
        escape(&machine.cgroup),
        machine.memory_mib,
        escape(&machine.load_before),
        escape(&machine.load_after),
    );
    cards(page, report);
    page.push_str("</header>\n");
}

/// The measures that a visitor asks for first.
const CARDS: [(&str, &str); 4] = [
    ("run-warm", "run, back to back"),
    ("run-idle", "run, after idle"),
    ("exec-warm", "exec"),
    ("peak-memory", "peak memory"),
];

fn cards(page: &mut String, report: &Report) {
    page.push_str("<ul class=\"cards\">\n");
    for (id, title) in CARDS {
        let Some(measure) = report.measures.iter().find(|measure| measure.id == id) else {
            continue;
        };
        let median = |peer| {
            let row = report.row(id, peer)?;
            row.summary.as_ref().map(|summary| summary.median)
        };
        let Some(ours) = median(OURS) else { continue };
        let others: Vec<String> = ["crun", "runc"]
            .into_iter()
            .filter_map(|peer| Some(format!("{peer} takes {}", times(median(peer)? / ours))))
            .collect();
        let _ = writeln!(
            page,
            "<li><span class=\"what\">{title}</span><strong>{}</strong><span class=\"others\">{}</span></li>",
            with_unit(ours, measure.unit),
            escape(&others.join(", "))
        );
    }
    page.push_str("</ul>\n");
}

fn budget(page: &mut String, report: &Report) {
    section(page, "budget", "Budget", |page| {
        if report.budgets.is_empty() {
            return;
        }
        page.push_str(
            "<p class=\"about\">The promises of docs/budget.md. A number without a unit is our time divided by the other's.</p>\n\
             <div class=\"scroll\"><table class=\"budget\"><thead><tr><th scope=\"col\">What</th><th scope=\"col\">Against</th>\
             <th scope=\"col\">Measured</th><th scope=\"col\">Bar</th><th scope=\"col\">Reach for</th><th scope=\"col\">Verdict</th></tr></thead><tbody>\n",
        );
        for verdict in &report.budgets {
            budget_row(page, verdict);
        }
        page.push_str("</tbody></table></div>\n");
    });
}

fn budget_row(page: &mut String, verdict: &Verdict) {
    let promise = &verdict.promise;
    let show = |value: f64| match verdict.unit {
        Some(unit) => with_unit(value, unit),
        None => digits(value),
    };
    let measured = verdict.value.map_or_else(
        || escape(verdict.reason.as_deref().unwrap_or_default()),
        |ratio| {
            let interval = format!("{} to {}", digits(ratio.low), digits(ratio.high));
            format!(
                "<data value=\"{}\">{}</data> <small>{interval}</small>",
                ratio.value,
                show(ratio.value)
            )
        },
    );
    let against = if promise.against.is_empty() {
        "-".to_owned()
    } else {
        promise.against.join(" or ")
    };
    let _ = writeln!(
        page,
        "<tr data-budget=\"{}\"><th scope=\"row\">{}</th><td data-label=\"against\">{}</td><td data-label=\"measured\">{measured}</td>\
         <td data-label=\"bar\">{}</td><td data-label=\"reach for\">{}</td><td data-label=\"verdict\"><span class=\"verdict {}\">{}</span></td></tr>",
        escape(&promise.measure),
        code(&promise.what),
        escape(&against),
        show(promise.bar),
        show(promise.reach),
        class(verdict.outcome),
        verdict.outcome.word()
    );
}

fn class(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Reached | Outcome::Pass => "good",
        Outcome::Noise => "close",
        Outcome::Miss => "bad",
        Outcome::Unknown => "unknown",
    }
}

fn method(page: &mut String, report: &Report) {
    section(page, "method", "How it was measured", |page| {
        page.push_str(
            "<p>Every sample is one command timed from outside, from before its start until it was reaped. The peers take turns \
             in short bursts, in an order that changes each round and after a warm-up; each runs a fresh copy of its program, and all see the same files on a tmpfs. \
             A bar is the median, the line on it the 95 % interval by bootstrap, each tick below it one sample; none is dropped, \
             and those beyond the right edge are drawn at the edge. A bar with a torn end is longer than its scale. \
             The floor is a C program that makes the same namespaces and mounts and executes the workload, and nothing else. \
             Before it is timed every peer proves that it runs the workload.</p>\n\
             <table class=\"peers\"><thead><tr><th scope=\"col\">Peer</th><th scope=\"col\">Version</th></tr></thead><tbody>\n",
        );
        for peer in &report.peers {
            let text = match &peer.absent {
                Some(reason) => format!("<em>{}</em>", escape(reason)),
                None => escape(&peer.version),
            };
            let _ = writeln!(
                page,
                "<tr><th scope=\"row\">{}</th><td>{text}</td></tr>",
                escape(&peer.name)
            );
        }
        page.push_str("</tbody></table>\n");
        asked(page, report);
    });
}

fn asked(page: &mut String, report: &Report) {
    let _ = write!(
        page,
        "<h3>What was asked, {:.0} s in all</h3>\n<table class=\"peers asked\"><thead><tr><th scope=\"col\">Question</th>\
         <th scope=\"col\">What</th><th scope=\"col\">Time</th></tr></thead><tbody>\n",
        report.took_s()
    );
    for asked in &report.asked {
        let _ = writeln!(
            page,
            "<tr data-asked=\"{0}\"><th scope=\"row\">{0}</th><td>{1}</td><td>{2}</td></tr>",
            escape(&asked.name),
            code(&asked.asks),
            escape(&asked.outcome())
        );
    }
    page.push_str("</tbody></table>\n");
}

/// Text between backticks as code.
fn code(text: &str) -> String {
    let mut parts = text.split('`').map(escape);
    let mut html = parts.next().unwrap_or_default();
    for (index, part) in parts.enumerate() {
        let tag = if index % 2 == 0 { "<code>" } else { "</code>" };
        html.push_str(tag);
        html.push_str(&part);
    }
    html
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
