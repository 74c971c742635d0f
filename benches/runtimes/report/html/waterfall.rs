//! The waterfall: each phase of one start at its place in time.

use super::super::figure::digits;
use super::escape;
use crate::model::{Phase, Report, Waterfall};
use std::fmt::Write;

pub fn draw(page: &mut String, report: &Report) {
    for waterfall in &report.waterfalls {
        table(page, waterfall);
    }
}

fn table(page: &mut String, waterfall: &Waterfall) {
    let end = waterfall.phases.iter().map(end_of).fold(0.0, f64::max);
    let _ = write!(
        page,
        "<article class=\"measure\">\n<h3>{}</h3>\n<p class=\"about\">{} microseconds from the first phase to the last.</p>\n\
         <table class=\"bars waterfall\" role=\"table\"><thead><tr role=\"row\"><th scope=\"col\">Phase</th>\
         <th scope=\"col\">us</th><th scope=\"col\">Process</th><th scope=\"col\"><span class=\"unseen\">Place in time</span></th></tr></thead><tbody>\n",
        escape(&waterfall.title),
        digits(end)
    );
    let mut lanes: Vec<&str> = waterfall
        .phases
        .iter()
        .map(|phase| phase.lane.as_str())
        .collect();
    lanes.dedup();
    for phase in &waterfall.phases {
        let lane = lanes
            .iter()
            .position(|lane| *lane == phase.lane)
            .unwrap_or(0)
            % 2;
        let _ = writeln!(
            page,
            "<tr role=\"row\"><th scope=\"row\" role=\"rowheader\">{}</th><td role=\"cell\" class=\"value\">{}</td>\
             <td role=\"cell\" class=\"factor\">{}</td><td role=\"cell\" class=\"chart\">{}</td></tr>",
            escape(&phase.name),
            digits(phase.length_us),
            escape(&phase.lane),
            place(phase, end, lane)
        );
    }
    page.push_str("</tbody></table>\n</article>\n");
}

fn end_of(phase: &Phase) -> f64 {
    phase.start_us + phase.length_us
}

fn place(phase: &Phase, end: f64, lane: usize) -> String {
    // A phase shorter than a pixel is still drawn.
    const THINNEST: f64 = 0.3;
    let share = |us: f64| us / end * 100.0;
    format!(
        "<svg viewBox=\"0 0 100 14\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\
         <rect class=\"phase lane{lane}\" x=\"{:.3}\" y=\"1\" width=\"{:.3}\" height=\"12\"/></svg>",
        share(phase.start_us),
        share(phase.length_us).max(THINNEST)
    )
}
