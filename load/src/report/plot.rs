//! Two small plots as inline SVG. Colours come from the page's variables, so one drawing serves light and dark.

use std::fmt::Write as _;

use crate::recorder::{Class, Distribution, Summary};
use crate::report::milliseconds;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 280.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 30.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 34.0;

/// Points of a series over time; more would not be told apart on a screen.
const POINTS_MAX: usize = 160;

/// Latency over percentiles; both axes are logarithmic, the lower one in the distance from 100 %.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "hours in microseconds are far below 2^52")]
pub fn latency(summary: &Summary) -> String {
    let largest = summary.latency.values().map(|latency| latency.max_us).max().unwrap_or(1).max(100);
    let decades = (largest as f64).log10().ceil();
    let lowest = 1.0; // 10 us: nothing over a socket is faster.
    let y = |us: u64| vertical(((us.max(10) as f64).log10() - lowest) / (decades - lowest).max(1.0));
    let x = |percentile: f64| horizontal(-(1.0 - percentile.min(99.99) / 100.0).log10() / 4.0);
    let mut svg = begin("Latency from the intended start over percentiles");
    let mut decade = lowest;
    while decade <= decades {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a power of ten below 10^10")]
        let us = 10_f64.powf(decade) as u64;
        rule(&mut svg, y(us), &milliseconds(us));
        decade += 1.0;
    }
    for (percentile, label) in [(0.0, "0"), (90.0, "90 %"), (99.0, "99 %"), (99.9, "99.9 %"), (99.99, "99.99 %")] {
        tick(&mut svg, x(percentile), label);
    }
    for (name, latency) in &summary.latency {
        let points = latency.percentiles.iter().map(|(percentile, us)| (x(*percentile), y(*us)));
        line(&mut svg, name, points);
    }
    svg + "</svg>"
}

/// Ended clicks per second over time, by class.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "counts of clicks are far below 2^52")]
pub fn throughput(summary: &Summary) -> String {
    let width = summary.series.len().div_ceil(POINTS_MAX).max(1);
    let seconds = width as f64 * summary.bucket_ms as f64 / 1000.0;
    let rates: Vec<[f64; 4]> = summary
        .series
        .chunks(width)
        .map(|chunk| {
            std::array::from_fn(|class| chunk.iter().map(|bucket| f64::from(bucket[class])).sum::<f64>() / seconds)
        })
        .collect();
    let largest = rates.iter().flatten().copied().fold(1.0, f64::max);
    let step = 10_f64.powf(largest.log10().floor());
    let top = (largest / step).ceil() * step;
    let duration = rates.len() as f64 * seconds;
    let mut svg = begin("Ended clicks per second over time");
    for part in 0..=4 {
        let rate = top * f64::from(part) / 4.0;
        rule(&mut svg, vertical(rate / top), &format!("{rate:.0}/s"));
        tick(&mut svg, horizontal(f64::from(part) / 4.0), &format!("{:.1} s", duration * f64::from(part) / 4.0));
    }
    for class in Class::ALL {
        if summary.series.iter().all(|bucket| bucket[class as usize] == 0) {
            continue;
        }
        let points = rates.iter().enumerate().map(|(index, rate)| {
            (horizontal((index as f64 + 0.5) * seconds / duration.max(seconds)), vertical(rate[class as usize] / top))
        });
        line(&mut svg, class.name(), points);
    }
    svg + "</svg>"
}

/// A table of percentiles under the plot: the numbers are for reading, the curve for the shape.
#[must_use]
pub fn percentile_row(name: &str, latency: &Distribution) -> String {
    let mut row = format!("<tr><th><i class=\"key {name}\"></i>{name}</th><td>{}</td>", latency.count);
    for percentile in [50.0, 90.0, 99.0, 99.9, 100.0] {
        let _ = write!(row, "<td>{}</td>", milliseconds(latency.at(percentile)));
    }
    row + "</tr>"
}

fn horizontal(share: f64) -> f64 {
    LEFT + share.clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
}

fn vertical(share: f64) -> f64 {
    HEIGHT - BOTTOM - share.clamp(0.0, 1.0) * (HEIGHT - TOP - BOTTOM)
}

fn begin(title: &str) -> String {
    format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\"><title>{title}</title>")
}

fn rule(svg: &mut String, y: f64, label: &str) {
    let _ = write!(svg, "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>", WIDTH - RIGHT);
    let _ = write!(svg, "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>", LEFT - 6.0, y + 4.0);
}

fn tick(svg: &mut String, x: f64, label: &str) {
    let _ = write!(svg, "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{label}</text>", HEIGHT - 12.0);
}

fn line(svg: &mut String, class: &str, points: impl Iterator<Item = (f64, f64)>) {
    let _ = write!(svg, "<polyline class=\"curve {class}\" points=\"");
    for (x, y) in points {
        let _ = write!(svg, "{x:.1},{y:.1} ");
    }
    svg.push_str("\"/>");
}
