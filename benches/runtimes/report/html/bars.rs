//! Bars with intervals and a strip of every sample: a row a peer, a table a measure.

use super::super::figure::{times, with_unit};
use super::escape;
use crate::model::{Measure, Report, Row, Unit};
use crate::peers::{FLOOR, OURS};
use crate::stats::{Summary, median};
use std::fmt::Write;

pub fn draw(page: &mut String, report: &Report, unit: Unit) {
    for measure in report
        .measures
        .iter()
        .filter(|measure| measure.unit == unit)
    {
        table(page, report, measure);
    }
}

fn table(page: &mut String, report: &Report, measure: &Measure) {
    let has_floor = measure.rows.iter().any(|row| row.peer == FLOOR);
    let floored = if has_floor { " floored" } else { "" };
    let head = if has_floor {
        "<th scope=\"col\">to floor</th>"
    } else {
        ""
    };
    let _ = write!(
        page,
        "<article class=\"measure\" data-measure=\"{}\">\n<h3>{}</h3>\n<p class=\"about\">{}</p>\n\
         <table class=\"bars{floored}\" role=\"table\"><thead><tr role=\"row\"><th scope=\"col\">Peer</th>\
         <th scope=\"col\">Median</th><th scope=\"col\">to ours</th>{head}<th scope=\"col\"><span class=\"unseen\">Chart</span></th></tr></thead><tbody>\n",
        measure.id,
        escape(&measure.title),
        escape(&measure.about)
    );
    let scale = scale(&measure.rows);
    for row in &measure.rows {
        let multiples = report.multiples(measure, row);
        let shown = &multiples[..if has_floor { 2 } else { 1 }];
        draw_row(page, row, measure.unit, scale, shown);
    }
    page.push_str("</tbody></table>\n</article>\n");
}

fn draw_row(page: &mut String, row: &Row, unit: Unit, scale: f64, multiples: &[Option<f64>]) {
    let _ = write!(
        page,
        "<tr role=\"row\" class=\"{}\" data-peer=\"{}\"><th scope=\"row\" role=\"rowheader\">{}</th>",
        class(&row.peer),
        escape(&row.peer),
        escape(&row.peer)
    );
    match &row.summary {
        None => {
            let class = if row.is_left_out() {
                "left-out"
            } else {
                "failed"
            };
            let reason = escape(&row.reason());
            let _ = write!(page, "<td role=\"cell\" class=\"{class}\">{reason}</td>");
        }
        Some(summary) => {
            let _ = write!(
                page,
                "<td role=\"cell\" class=\"value\"><data value=\"{}\">{}</data></td>",
                summary.median,
                with_unit(summary.median, unit),
            );
            for multiple in multiples {
                let shown = multiple.map_or_else(String::new, times);
                let _ = write!(page, "<td role=\"cell\" class=\"factor\">{shown}</td>");
            }
            let chart = bar(row, summary, unit, scale);
            let _ = write!(page, "<td role=\"cell\" class=\"chart\">{chart}</td>");
        }
    }
    if let Some(note) = &row.note {
        let note = escape(note);
        let _ = write!(page, "<td role=\"cell\" class=\"note\">{note}</td>");
    }
    page.push_str("</tr>\n");
}

fn class(peer: &str) -> &'static str {
    match peer {
        OURS => "ours",
        FLOOR => "floor",
        _ => "other",
    }
}

/// The number at the right edge: the longest bar with its interval, unless it dwarfs all others. Ours is never torn.
fn scale(rows: &[Row]) -> f64 {
    const DWARFS: f64 = 8.0;
    /// What is so many times ours is shown beside it in full.
    const NEAR_OURS: f64 = 2.5;
    /// So many bars' lengths of interval are shown.
    const LONGEST_INTERVAL: f64 = 2.0;
    let summaries: Vec<&Summary> = rows.iter().filter_map(|row| row.summary.as_ref()).collect();
    let medians: Vec<f64> = summaries.iter().map(|summary| summary.median).collect();
    let ours = rows.iter().find(|row| row.peer == OURS);
    let ours = ours.and_then(|row| row.summary.as_ref());
    let near = ours.map_or(0.0, |summary| summary.median * NEAR_OURS);
    let most = (median(&medians) * DWARFS).max(near);
    let fitting = summaries.iter().filter(|summary| summary.median <= most);
    let tops = fitting.map(|summary| summary.high.min(summary.median * LONGEST_INTERVAL));
    tops.fold(f64::MIN_POSITIVE, f64::max) * 1.08
}

/// A drawing 100 wide that stretches to its cell; strokes keep their width.
fn bar(row: &Row, summary: &Summary, unit: Unit, scale: f64) -> String {
    let place = |value: f64| (value / scale * 100.0).clamp(0.0, 100.0);
    let label = format!(
        "{}: median {}, 95 % between {} and {}, {} samples from {} to {}",
        row.peer,
        with_unit(summary.median, unit),
        with_unit(summary.low, unit),
        with_unit(summary.high, unit),
        summary.count,
        with_unit(summary.min, unit),
        with_unit(summary.max, unit)
    );
    let mut svg = format!(
        "<svg viewBox=\"0 0 100 24\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{0}\"><title>{0}</title>",
        escape(&label)
    );
    let end = place(summary.median);
    let _ = write!(
        svg,
        "<rect class=\"bar\" x=\"0\" y=\"1\" width=\"{end:.3}\" height=\"12\"/>"
    );
    if summary.median > scale {
        svg.push_str("<path class=\"torn\" d=\"M96 0l-1.5 3.5 3 3.5-3 3.5 1.5 3.5h1.5l-1.5-3.5 3-3.5-3-3.5 1.5-3.5z\"/>");
    } else {
        let (low, high) = (place(summary.low), place(summary.high));
        let _ = write!(
            svg,
            "<path class=\"interval\" d=\"M{low:.3} 7H{high:.3}M{low:.3} 4v6M{high:.3} 4v6\"/>"
        );
    }
    for sample in &row.samples {
        let _ = write!(
            svg,
            "<path class=\"sample\" d=\"M{:.3} 17v6\"/>",
            place(*sample)
        );
    }
    svg.push_str("</svg>");
    svg
}
