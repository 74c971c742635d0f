//! Scaling curves: a line a peer, with its numbers in a table below.

use super::super::figure::{digits, with_unit};
use super::escape;
use crate::model::{Curve, Line, Report};
use crate::peers::{FLOOR, OURS};
use std::fmt::Write;

const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 210.0;
const LEFT: f64 = 46.0;
const RIGHT: f64 = 18.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 34.0;
/// So many lines at least, but for the last.
const STEPS: f64 = 4.0;

pub fn draw(page: &mut String, report: &Report) {
    if report.curves.is_empty() {
        return;
    }
    page.push_str("<div class=\"curves\">\n");
    for curve in &report.curves {
        figure(page, curve);
    }
    page.push_str("</div>\n");
}

fn figure(page: &mut String, curve: &Curve) {
    let title = escape(&curve.title);
    let _ = write!(
        page,
        "<figure class=\"curve\" data-curve=\"{}\">\n<h3>{title} <small>{}</small></h3>\n<p class=\"about\">{}</p>\n\
         <svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}, the numbers are in the table below\">",
        curve.id,
        curve.unit.name(),
        escape(&curve.about)
    );
    let frame = Frame::of(curve);
    frame.axes(page, curve);
    for line in &curve.lines {
        frame.line(page, line);
    }
    page.push_str("</svg>\n");
    legend(page, curve);
    numbers(page, curve);
    page.push_str("</figure>\n");
}

/// A peer has the same colour in every drawing; the last is for those without their own.
fn colour(peer: &str) -> usize {
    let own = [OURS, FLOOR, "crun", "runc", "bubblewrap"];
    own.iter()
        .position(|name| *name == peer)
        .unwrap_or(own.len())
}

/// Turns values into places on the drawing.
struct Frame {
    right: f64,
    bottom: f64,
    top: f64,
    /// Between two lines of the grid.
    step: f64,
}

impl Frame {
    fn of(curve: &Curve) -> Self {
        let points = || curve.lines.iter().flat_map(|line| &line.points);
        let most = points().map(|point| point.median).fold(0.0, f64::max);
        let least = points().map(|point| point.median).fold(0.0, f64::min);
        let span = most - least;
        let step = round_up(if span > 0.0 { span / STEPS } else { 1.0 });
        Self {
            right: points().map(|point| point.x).fold(1.0, f64::max),
            bottom: (least / step).floor() * step,
            top: (most / step).ceil().max(1.0) * step,
            step,
        }
    }

    fn x(&self, value: f64) -> f64 {
        LEFT + value / self.right * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        let share = (value - self.bottom) / (self.top - self.bottom);
        HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)
    }

    fn axes(&self, page: &mut String, curve: &Curve) {
        let lines = ((self.top - self.bottom) / self.step).round() as usize;
        for line in 0..=lines {
            let value = self.bottom + self.step * line as f64;
            let y = self.y(value);
            let _ = write!(
                page,
                "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{}\"/><text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                WIDTH - RIGHT,
                LEFT - 6.0,
                y + 4.0,
                value_of_axis(value)
            );
        }
        let marks: Vec<f64> = curve
            .lines
            .iter()
            .flat_map(|line| &line.points)
            .map(|point| point.x)
            .collect();
        for mark in spread(marks, self.right) {
            let _ = write!(
                page,
                "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{mark}</text>",
                self.x(mark),
                HEIGHT - BOTTOM + 15.0
            );
        }
        let _ = write!(
            page,
            "<text class=\"axis\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            f64::midpoint(LEFT, WIDTH - RIGHT),
            HEIGHT - 3.0,
            escape(&curve.x_label)
        );
    }

    fn line(&self, page: &mut String, line: &Line) {
        let index = colour(&line.peer);
        let places: Vec<String> = line
            .points
            .iter()
            .map(|point| format!("{:.1} {:.1}", self.x(point.x), self.y(point.median)))
            .collect();
        if places.is_empty() {
            return;
        }
        let _ = write!(
            page,
            "<path class=\"line c{index}\" d=\"M{}\"/>",
            places.join("L")
        );
        for point in &line.points {
            let _ = write!(
                page,
                "<circle class=\"dot c{index}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\"><title>{}: {} at {}</title></circle>",
                self.x(point.x),
                self.y(point.median),
                escape(&line.peer),
                digits(point.median),
                point.x
            );
        }
    }
}

/// A step of the grid needs no more digits than it has.
fn value_of_axis(value: f64) -> String {
    let hundredths = (value * 100.0).round();
    format!("{}", hundredths / 100.0)
}

/// The next of 1, 2, 2.5, 5, 10 times a power of ten.
fn round_up(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    let rounded = [1.0, 2.0, 2.5, 5.0, 10.0]
        .into_iter()
        .find(|step| step * power >= value);
    rounded.unwrap_or(10.0) * power
}

/// Those marks whose labels do not touch.
fn spread(mut marks: Vec<f64>, right: f64) -> Vec<f64> {
    marks.sort_by(f64::total_cmp);
    marks.dedup();
    let mut kept: Vec<f64> = Vec::new();
    for mark in marks {
        if kept.last().is_none_or(|last| (mark - last) / right > 0.11) {
            kept.push(mark);
        }
    }
    kept
}

fn legend(page: &mut String, curve: &Curve) {
    page.push_str("<ul class=\"legend\">\n");
    for line in &curve.lines {
        let index = colour(&line.peer);
        let failure = line.failure.as_deref().map_or_else(String::new, |reason| {
            format!(" <span class=\"failed\">failed: {}</span>", escape(reason))
        });
        let _ = writeln!(
            page,
            "<li><svg class=\"key\" viewBox=\"0 0 30 8\" aria-hidden=\"true\"><path class=\"line c{index}\" d=\"M0 4H30\"/></svg>{}{failure}</li>",
            escape(&line.peer)
        );
    }
    page.push_str("</ul>\n");
}

fn numbers(page: &mut String, curve: &Curve) {
    page.push_str(
        "<details><summary>The numbers</summary>\n<div class=\"scroll\"><table><tbody>\n",
    );
    for line in &curve.lines {
        let _ = write!(
            page,
            "<tr data-peer=\"{0}\"><th scope=\"row\">{0}</th>",
            escape(&line.peer)
        );
        for point in &line.points {
            let _ = write!(
                page,
                "<td>{}: <data value=\"{}\">{}</data></td>",
                point.x,
                point.median,
                with_unit(point.median, curve.unit)
            );
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody></table></div></details>\n");
}
