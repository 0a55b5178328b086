//! A page that shows a run at a glance: a lane for each process and server, a band for each strike, and above them what the
//! buyers were answered, second by second.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde::Deserialize;

use super::run::{Outcome, name};
use super::strike::Struck;

const WIDTH: f64 = 1_200.0;
const LABELS: f64 = 120.0;
const LANE: f64 = 22.0;
const CHART: f64 = 110.0;

/// A line of the load tool's history that is about a click.
#[derive(Deserialize)]
struct Attempt {
    answered_at_us: u64,
    answer: Answer,
}

#[derive(Deserialize)]
struct Answer {
    outcome: String,
}

/// Clicks by second and answer.
type Seconds = BTreeMap<u64, BTreeMap<String, u64>>;

/// Writes `timeline.html` beside the load tool's report.
pub fn write(outcome: &Outcome, directory: &Path) -> Result<(), String> {
    let read = |file: &str| std::fs::read_to_string(directory.join(file)).unwrap_or_default();
    let seconds = count(&read("history.jsonl"));
    let report: serde_json::Value = serde_json::from_str(&read("report.json")).unwrap_or_default();
    std::fs::create_dir_all(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let path = directory.join("timeline.html");
    std::fs::write(&path, page(outcome, &seconds, &report)).map_err(|error| format!("{}: {error}", path.display()))
}

fn count(history: &str) -> Seconds {
    let mut seconds = Seconds::new();
    // Lines of another form are commands, which the chart does not show.
    for attempt in history.lines().filter_map(|line| serde_json::from_str::<Attempt>(line).ok()) {
        let second = seconds.entry(attempt.answered_at_us / 1_000_000).or_default();
        *second.entry(attempt.answer.outcome).or_default() += 1;
    }
    seconds
}

fn page(outcome: &Outcome, seconds: &Seconds, report: &serde_json::Value) -> String {
    let end_ms = outcome.struck.iter().map(|struck| struck.ended_ms).max().unwrap_or(0);
    let length = (end_ms as f64 / 1_000.0).max(seconds.keys().next_back().map_or(1.0, |last| *last as f64 + 1.0));
    let scale = (WIDTH - LABELS) / length;
    let mut lanes: Vec<&str> = outcome.struck.iter().map(|struck| struck.planned.strike.lane()).collect();
    lanes.sort_unstable();
    lanes.dedup();
    let height = CHART + 30.0 + LANE * lanes.len() as f64;
    let title = format!("Seed {}, Redis {}", outcome.seed, name(outcome.layout));
    let verdict = if outcome.holds() { "every promise held" } else { "a promise was broken" };
    let mut page = String::new();
    let _ = write!(
        page,
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title><style>{STYLE}</style>\
         <h1>{title}: {verdict}</h1>\
         <p class=\"keys\"><i class=\"accepted\"></i>accepted <i class=\"refused\"></i>refused <i class=\"unavailable\"></i>\
         come again <i class=\"unknown\"></i>no answer, clicks a second; bands below: \
         <i class=\"process\"></i>process <i class=\"link\"></i>link <i class=\"server\"></i>server, pale where nobody felt it</p>\
         <svg viewBox=\"0 0 {WIDTH} {height}\">"
    );
    chart(&mut page, seconds, scale);
    axis(&mut page, length, scale, height);
    for (place, lane) in lanes.iter().enumerate() {
        let top = CHART + 20.0 + LANE * place as f64;
        let _ = write!(page, "<text x=\"0\" y=\"{:.1}\">{lane}</text>", top + 15.0);
        let _ = write!(page, "<line x1=\"{LABELS}\" x2=\"{WIDTH}\" y1=\"{0:.1}\" y2=\"{0:.1}\"/>", top + LANE);
        for struck in outcome.struck.iter().filter(|struck| struck.planned.strike.lane() == *lane) {
            band(&mut page, struck, top, scale);
        }
    }
    page.push_str("</svg>");
    checks(&mut page, outcome, report);
    page
}

fn chart(page: &mut String, seconds: &Seconds, scale: f64) {
    let most = seconds.values().map(|second| second.values().sum::<u64>()).max().unwrap_or(1).max(1) as f64;
    for (second, answers) in seconds {
        let mut bottom = CHART;
        for kind in ["accepted", "refused", "unavailable", "unknown"] {
            let count = answers.get(kind).copied().unwrap_or(0);
            let height = count as f64 / most * (CHART - 10.0);
            bottom -= height;
            let x = LABELS + *second as f64 * scale;
            let _ = write!(
                page,
                "<rect class=\"{kind}\" x=\"{x:.1}\" y=\"{bottom:.1}\" width=\"{:.1}\" height=\"{height:.1}\">\
                 <title>second {second}: {count} {kind}</title></rect>",
                (scale - 0.3).max(0.5)
            );
        }
    }
    let _ = write!(page, "<text x=\"{:.0}\" y=\"14\" class=\"small\">{most:.0}/s</text>", LABELS - 40.0);
}

fn axis(page: &mut String, length: f64, scale: f64, height: f64) {
    let step = if length > 240.0 { 30.0 } else { 10.0 };
    let mut at = 0.0;
    while at <= length {
        let x = LABELS + at * scale;
        let _ = write!(page, "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"0\" y2=\"{height:.1}\"/>");
        let _ = write!(page, "<text class=\"small\" x=\"{:.1}\" y=\"{:.1}\">{at:.0} s</text>", x + 2.0, CHART + 14.0);
        at += step;
    }
}

fn band(page: &mut String, struck: &Struck, top: f64, scale: f64) {
    let (from, to) = (struck.planned.at_ms as f64 / 1_000.0, struck.ended_ms as f64 / 1_000.0);
    let kind = struck.planned.strike.kind();
    let class = kind.split(' ').next().unwrap_or_default();
    let faint = if struck.felt { "" } else { " faint" };
    let _ = write!(
        page,
        "<rect class=\"{class}{faint}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"><title>{from:.1} to {to:.1} s: {}{}</title></rect>",
        LABELS + from * scale,
        top + 4.0,
        ((to - from) * scale).max(2.0),
        LANE - 8.0,
        struck.planned.strike,
        if struck.felt { "" } else { " (nobody felt it)" }
    );
}

fn checks(page: &mut String, outcome: &Outcome, report: &serde_json::Value) {
    page.push_str("<table><tr><th>promise<th>verdict<th>of what");
    for check in report["verdict"]["checks"].as_array().into_iter().flatten() {
        let text = |field: &str| escape(check[field].as_str().unwrap_or_default());
        let colour = text("colour");
        let _ = write!(
            page,
            "<tr class=\"{colour}\"><td>{} {}<td>{colour}<td>{}",
            text("id"),
            text("statement"),
            text("detail")
        );
    }
    for wrong in &outcome.wrong {
        let _ = write!(page, "<tr class=\"red\"><td>processes end well<td>red<td>{}", escape(wrong));
    }
    page.push_str("</table></html>\n");
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

const STYLE: &str = "body{font:14px system-ui,sans-serif;margin:24px;color:#1c2330;background:#fff}\
h1{font-size:20px}svg{width:100%;max-width:1400px}text{font-size:12px;fill:#3a4454}.small{font-size:10px;fill:#7a8494}\
line{stroke:#e6e9ee}.grid{stroke:#eef0f4}.accepted{fill:#2e9e5b;background:#2e9e5b}.refused{fill:#b9c2cf;background:#b9c2cf}\
.unavailable{fill:#e3a52b;background:#e3a52b}.unknown{fill:#cf4040;background:#cf4040}\
.process{fill:#3f6fd1;background:#3f6fd1}.link{fill:#8a4fc4;background:#8a4fc4}.server,.failover{fill:#cf4040;background:#cf4040}\
.faint{opacity:.25}.keys i{display:inline-block;width:10px;height:10px;margin:0 4px 0 12px}\
table{border-collapse:collapse;margin-top:18px;font-size:13px}td,th{text-align:left;padding:3px 14px 3px 0;border-bottom:1px solid #e6e9ee;vertical-align:top}\
.red td{color:#b02020;font-weight:600}";
