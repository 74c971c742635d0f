//! The waterfall: each phase of one start at its place in time.
//!
//! All of a page have one scale, so that two builds can be compared. Phases too short to be seen are folded away, with
//! their numbers.

use super::super::figure::digits;
use super::escape;
use crate::model::{Phase, Report, Waterfall};
use std::fmt::Write;

/// The share of the whole from which on a phase has a row of its own.
const WORTH_A_ROW: f64 = 0.01;

pub fn draw(page: &mut String, report: &Report) {
    let ends = report.waterfalls.iter().map(Waterfall::end_us);
    let scale = ends.fold(1.0, f64::max);
    for waterfall in &report.waterfalls {
        article(page, waterfall, scale);
    }
}

fn article(page: &mut String, waterfall: &Waterfall, scale: f64) {
    let _ = write!(
        page,
        "<article class=\"measure\" data-waterfall=\"{0}\">\n<h3>{0}</h3>\n",
        escape(&waterfall.title)
    );
    match &waterfall.failure {
        Some(reason) => {
            let _ = writeln!(page, "<p class=\"failed\">failed: {}</p>", escape(reason));
        }
        None => phases(page, waterfall, scale),
    }
    page.push_str("</article>\n");
}

fn phases(page: &mut String, waterfall: &Waterfall, scale: f64) {
    let end = waterfall.end_us();
    let _ = writeln!(
        page,
        "<p class=\"about\">{} microseconds from the first phase to the last. Green is the runtime, brown the container's first process, grey a wait; \
         what holds other phases is pale.</p>",
        digits(end)
    );
    let (long, short): (Vec<&Phase>, Vec<&Phase>) = waterfall
        .phases
        .iter()
        .partition(|phase| phase.length_us >= end * WORTH_A_ROW);
    table(page, waterfall, &long, scale);
    if !short.is_empty() {
        let all: f64 = short.iter().map(|phase| phase.length_us).sum();
        let _ = writeln!(
            page,
            "<details><summary>{} shorter phases, {} microseconds in all</summary>",
            short.len(),
            digits(all)
        );
        table(page, waterfall, &short, scale);
        page.push_str("</details>\n");
    }
}

fn table(page: &mut String, waterfall: &Waterfall, phases: &[&Phase], scale: f64) {
    page.push_str(
        "<table class=\"bars waterfall\" role=\"table\"><thead><tr role=\"row\"><th scope=\"col\">Phase</th>\
         <th scope=\"col\">us</th><th scope=\"col\">Process</th><th scope=\"col\"><span class=\"unseen\">Place in time</span></th></tr></thead><tbody>\n",
    );
    let first = waterfall.phases.first().map(|phase| phase.lane.as_str());
    for phase in phases {
        let lane = usize::from(Some(phase.lane.as_str()) != first);
        let mut class = format!("phase lane{lane}");
        if phase.name.starts_with("wait") {
            class.push_str(" wait");
        }
        if waterfall.phases.iter().any(|part| phase.holds(part)) {
            class.push_str(" whole");
        }
        let _ = writeln!(
            page,
            "<tr role=\"row\"><th scope=\"row\" role=\"rowheader\">{}</th><td role=\"cell\" class=\"value\"><data value=\"{}\">{}</data></td>\
             <td role=\"cell\" class=\"factor\">{}</td><td role=\"cell\" class=\"chart\">{}</td></tr>",
            escape(&phase.name),
            phase.length_us,
            digits(phase.length_us),
            escape(&phase.lane),
            place(phase, scale, &class)
        );
    }
    page.push_str("</tbody></table>\n");
}

fn place(phase: &Phase, scale: f64, class: &str) -> String {
    // A phase shorter than a pixel is still drawn.
    const THINNEST: f64 = 0.3;
    let share = |us: f64| us / scale * 100.0;
    format!(
        "<svg viewBox=\"0 0 100 14\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\
         <rect class=\"{class}\" x=\"{:.3}\" y=\"1\" width=\"{:.3}\" height=\"12\"/></svg>",
        share(phase.start_us).min(100.0 - THINNEST),
        share(phase.length_us).max(THINNEST)
    )
}
