//! The picture of a run: one page that needs nothing else, neither a network nor a build.

mod data;
mod story;

use crate::report::Report;

const PAGE: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/style.css");
/// In the order in which they need each other.
const SCRIPTS: [&str; 5] = [
    include_str!("page/model.js"),
    include_str!("page/figure.js"),
    include_str!("page/stocks.js"),
    include_str!("page/list.js"),
    include_str!("page/main.js"),
];

/// The page of a run whose lines were kept; of another it shows the verdict alone. `again` is the command that runs it.
pub fn render(report: &Report, again: &str) -> String {
    let data = data::Data::of(report, again);
    let title = data.title();
    // Inside a script element only `</` and `<!--` could end the data: no `<` is left in it.
    let json = serde_json::to_string(&data).expect("texts, numbers and lists").replace('<', "\\u003c");
    PAGE.replace("{{title}}", &escaped(&title))
        .replace("{{style}}", STYLE)
        .replace("{{script}}", &SCRIPTS.join("\n"))
        // Last: a text of the run must not be taken for a place to fill.
        .replace("{{data}}", &json)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
