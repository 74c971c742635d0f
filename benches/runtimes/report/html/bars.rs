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
        table(page, measure);
    }
}

fn table(page: &mut String, measure: &Measure) {
    let _ = write!(
        page,
        "<article class=\"measure\" data-measure=\"{}\">\n<h3>{}</h3>\n<p class=\"about\">{}</p>\n\
         <table class=\"bars\" role=\"table\"><thead><tr role=\"row\"><th scope=\"col\">Peer</th>\
         <th scope=\"col\">Median</th><th scope=\"col\">to ours</th><th scope=\"col\"><span class=\"unseen\">Chart</span></th></tr></thead><tbody>\n",
        measure.id,
        escape(&measure.title),
        escape(&measure.about)
    );
    let scale = scale(&measure.rows);
    let ours = measure.rows.iter().find(|row| row.peer == OURS);
    let ours = ours
        .and_then(|row| row.summary.as_ref())
        .map(|summary| summary.median);
    for row in &measure.rows {
        draw_row(page, row, measure.unit, scale, ours);
    }
    page.push_str("</tbody></table>\n</article>\n");
}

fn draw_row(page: &mut String, row: &Row, unit: Unit, scale: f64, ours: Option<f64>) {
    let note = row.note.as_deref().map_or_else(String::new, |note| {
        format!("<span class=\"note\">{}</span>", escape(note))
    });
    let _ = write!(
        page,
        "<tr role=\"row\" class=\"{}\" data-peer=\"{}\"><th scope=\"row\" role=\"rowheader\">{}{note}</th>",
        class(&row.peer),
        escape(&row.peer),
        escape(&row.peer)
    );
    match &row.summary {
        None => {
            let reason = row.failure.as_deref().unwrap_or("no samples");
            let _ = writeln!(
                page,
                "<td role=\"cell\" class=\"failed\">failed: {}</td></tr>",
                escape(reason)
            );
        }
        Some(summary) => {
            let compared = ours.filter(|_| row.peer != OURS);
            let compared = compared.map_or_else(String::new, |ours| times(summary.median / ours));
            let _ = writeln!(
                page,
                "<td role=\"cell\" class=\"value\"><data value=\"{}\">{}</data></td><td role=\"cell\" class=\"factor\">{compared}</td>\
                 <td role=\"cell\" class=\"chart\">{}</td></tr>",
                summary.median,
                with_unit(summary.median, unit),
                bar(row, summary, unit, scale)
            );
        }
    }
}

fn class(peer: &str) -> &'static str {
    match peer {
        OURS => "ours",
        FLOOR => "floor",
        _ => "other",
    }
}

/// The number at the right edge: the longest bar with its interval, unless it dwarfs all others.
fn scale(rows: &[Row]) -> f64 {
    const DWARFS: f64 = 8.0;
    /// So many bars' lengths of interval are shown.
    const LONGEST_INTERVAL: f64 = 2.0;
    let summaries: Vec<&Summary> = rows.iter().filter_map(|row| row.summary.as_ref()).collect();
    let medians: Vec<f64> = summaries.iter().map(|summary| summary.median).collect();
    let most = median(&medians) * DWARFS;
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
