//! The picture: it holds the run, needs nothing from elsewhere, and works in a browser where there is one.

use doorbuster_sim::page;
use doorbuster_sim::plan::Plan;
use doorbuster_sim::report::Report;
use doorbuster_sim::runner::Runner;
use doorbuster_sim::worlds::fast::Keep;
use std::path::PathBuf;
use std::process::Command;

fn failing() -> Report {
    let runner = Runner::toy();
    let mut runs = (0..500).map(|seed| runner.run(&runner.draw(seed), Keep::Lines));
    runs.find(|report| report.violation.is_some()).expect("the toy's bug is found")
}

fn data(page: &str) -> serde_json::Value {
    let (_, rest) = page.split_once("<script type=\"application/json\" id=\"run\">").expect("the data's place");
    let (json, _) = rest.split_once("</script>").expect("its end");
    serde_json::from_str(json).expect("it is JSON")
}

#[test]
fn the_page_holds_the_run() {
    let report = failing();
    let data = data(&page::render(&report, "cargo sim run 7"));
    let lines = report.trace.lines.as_deref().expect("lines were kept");
    assert_eq!(data["lines"].as_array().map(Vec::len), Some(lines.len()));
    assert_eq!(data["lines"][0][5], lines[0].text.as_str());
    assert_eq!(data["command"], "cargo sim run 7");
    assert_eq!(data["violation"]["id"], "S1");
    assert_eq!(data["violation"]["promise"], "no oversell");
    assert_eq!(data["strikes"].as_array().map(Vec::len), Some(report.plan.strikes.len()));
    assert_eq!(data["skus"].as_array().map(Vec::len), Some(report.plan.setup.stock.len()));
    assert!(data["led"].as_array().is_some_and(|led| !led.is_empty()));
}

#[test]
fn the_page_needs_nothing_from_elsewhere() {
    let page = page::render(&failing(), "cargo sim run 7");
    for reference in ["http:", "https:", " src=", "<link", "url(", "@import", "import(", "fetch(", "XMLHttpRequest"] {
        assert!(!page.contains(reference), "the page refers to something: {reference}");
    }
    assert!(page.contains("default-src 'none'"), "the browser is not told to refuse");
    assert!(!page.contains("{{"), "a place was not filled");
}

#[test]
fn a_text_of_the_run_cannot_leave_the_data() {
    let mut report = failing();
    let text = "</script><script>alert(1)</script><!-- {{data}} \u{2028} \"quoted\"";
    report.plan.story = text.to_owned();
    assert_eq!(data(&page::render(&report, "cargo sim run 7"))["story"], text);
}

/// A browser's picture of a page is no part of `cargo test` where there is no browser.
fn chromium() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("CHROMIUM") {
        return Some(named.into());
    }
    let directories = std::env::var_os("PATH").unwrap_or_default();
    let named = |name: &&str| std::env::split_paths(&directories).map(|at| at.join(name)).find(|path| path.is_file());
    ["chromium", "chromium-browser", "google-chrome"].iter().find_map(named)
}

/// What the page is after its script ran.
fn shown(report: &Report) -> Option<String> {
    let program = chromium()?;
    let directory = tempfile::tempdir().expect("a scratch directory");
    let file = directory.path().join("run.html");
    std::fs::write(&file, page::render(report, "cargo sim run 7")).expect("a scratch file");
    let mut command = Command::new(program);
    command.args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--dump-dom"]);
    command.args(["--virtual-time-budget=3000", "--window-size=1600,1000"]);
    command.arg(format!("--user-data-dir={}", directory.path().join("profile").display()));
    let output = command.arg(format!("file://{}", file.display())).output().expect("the browser starts");
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn a_browser_draws_it_and_only_the_lines_that_are_seen() {
    let mut plan: Plan = Runner::toy().draw(1);
    plan.setup.buyers = (0..4_000).collect();
    plan.setup.stock = vec![1_900, 1_900];
    let report = Runner::toy().run(&plan, Keep::Lines);
    let lines = report.trace.lines.as_deref().expect("lines were kept").len();
    assert!(lines > 20_000, "only {lines} lines");
    let Some(document) = shown(&report) else {
        println!("skipped: no Chromium on the search path");
        return;
    };
    assert!(document.contains(&format!("data-ready=\"{lines}\"")), "the script did not reach its end");
    let rows = document.matches("role=\"option\"").count();
    assert!((10..200).contains(&rows), "{rows} rows are in the document");
    assert!(!document.contains("NaN") && !document.contains("undefined<"), "a hole in a text");
}
