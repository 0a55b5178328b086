//! The report for people: one page that needs nothing but itself.

use std::fmt::Write as _;

use crate::report::{Report, colour_name, milliseconds, plot};
use crate::verdict::Colour;

const STYLE: &str = include_str!("html.css");

/// The whole page.
#[must_use]
pub fn page(report: &Report) -> String {
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>load {} {}</title><style>{STYLE}</style></head><body>",
        escape(report.command),
        escape(&report.run)
    );
    let _ = write!(
        page,
        "<header><h1>load {}</h1><p>run {}</p><strong class=\"verdict {}\">{}</strong></header><main>",
        escape(report.command),
        escape(&report.run),
        colour_class(report.colour),
        colour_name(report.colour)
    );
    tiles(&mut page, report);
    latency(&mut page, report);
    let _ = write!(
        page,
        "<section><h2>Clicks over time</h2>{}{}</section>",
        plot::throughput(&report.burst),
        legend(report)
    );
    refusals(&mut page, report);
    checks(&mut page, report);
    parameters(&mut page, report);
    page.push_str("</main></body></html>\n");
    page
}

fn tiles(page: &mut String, report: &Report) {
    page.push_str("<section class=\"tiles\">");
    let after = |ms: Option<u64>| ms.map_or_else(|| "not in time".to_owned(), |ms| milliseconds(ms * 1000));
    let counts = report.counts().map(|(class, count)| (class.name().to_owned(), count.to_string()));
    let others = [
        ("persisted".to_owned(), report.settled.persisted.to_string()),
        ("all persisted after".to_owned(), after(report.settled.persisted_after_ms)),
        ("all final after".to_owned(), after(report.settled.drained_after_ms)),
        ("processor per request".to_owned(), format!("{:.1} us", report.generator_cpu_us_per_request)),
    ];
    for (name, value) in counts.iter().chain(&others) {
        let _ = write!(page, "<div><b>{}</b><span>{}</span></div>", escape(value), escape(name));
    }
    page.push_str("</section>");
}

fn latency(page: &mut String, report: &Report) {
    let _ = write!(page, "<section><h2>Latency from the intended start</h2>{}", plot::latency(&report.burst));
    page.push_str("<div class=\"wide\"><table><thead><tr><th></th><th>clicks</th><th>p50</th><th>p90</th><th>p99</th><th>p99.9</th><th>max</th></tr></thead><tbody>");
    for (name, latency) in &report.burst.latency {
        page.push_str(&plot::percentile_row(name, latency));
    }
    page.push_str("</tbody></table></div></section>");
}

fn legend(report: &Report) -> String {
    let mut legend = String::from("<p class=\"legend\">");
    for (class, _) in report.counts().iter().filter(|(_, count)| *count > 0) {
        let _ = write!(legend, "<span><i class=\"key {0}\"></i>{0}</span>", class.name());
    }
    legend + "</p>"
}

fn refusals(page: &mut String, report: &Report) {
    page.push_str("<section><h2>Refused, retried, final</h2><div class=\"wide\"><table><tbody>");
    let refused = report.burst.refused_by.iter().map(|(slug, count)| (format!("refused: {slug}"), *count));
    let retried = [
        ("answers of 429 or 503, each retried".to_owned(), report.burst.unavailable_answers),
        ("requests without an answer, each retried under its key".to_owned(), report.burst.unknown_attempts),
    ];
    let doubtful = report.settled.doubtful.iter().map(|(name, count)| (format!("doubtful, then {name}"), *count));
    let statuses = report.settled.statuses.iter().map(|(name, count)| (format!("orders {name}"), *count));
    let probes = [
        ("probe buyers".to_owned(), report.settled.probes),
        ("probe buyers that got a released unit".to_owned(), report.settled.probes_accepted),
    ];
    for (name, count) in refused.chain(retried).chain(doubtful).chain(statuses).chain(probes) {
        let _ = write!(page, "<tr><th>{}</th><td>{count}</td></tr>", escape(&name));
    }
    page.push_str("</tbody></table></div></section>");
}

fn checks(page: &mut String, report: &Report) {
    page.push_str("<section><h2>Verdict</h2><ul class=\"checks\">");
    for check in &report.verdict.checks {
        let _ = write!(
            page,
            "<li class=\"{}\"><b>{} {}</b> {} <small>{}</small></li>",
            colour_class(check.colour),
            check.id,
            colour_name(check.colour),
            escape(&check.statement),
            escape(&check.detail)
        );
    }
    page.push_str("</ul></section>");
}

fn parameters(page: &mut String, report: &Report) {
    page.push_str("<section><h2>Parameters</h2><div class=\"wide\"><table><tbody>");
    for (name, value) in report.parameters.as_object().into_iter().flatten() {
        let _ = write!(page, "<tr><th>{}</th><td>{}</td></tr>", escape(name), escape(&value.to_string()));
    }
    page.push_str("</tbody></table></div></section>");
}

fn colour_class(colour: Colour) -> &'static str {
    match colour {
        Colour::Green => "green",
        Colour::NotChecked => "grey",
        Colour::Red => "red",
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
