//! The tool against a small platform with faults on demand: what it measures, what it repeats, and what it calls red.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "the stub lives in real time as the tool does")]

mod stub;

use std::process::Output;
use std::time::Duration;

use serde_json::Value;

use stub::{Faults, Stub};

struct Run {
    output: Output,
    report: Value,
    history: Vec<Value>,
}

impl Run {
    fn code(&self) -> i32 {
        self.output.status.code().expect("an exit code")
    }

    fn colour(&self, id: &str) -> Vec<&str> {
        let checks = self.report["verdict"]["checks"].as_array().expect("checks");
        checks
            .iter()
            .filter(|check| check["id"] == id)
            .map(|check| check["colour"].as_str().expect("a colour"))
            .collect()
    }

    fn explain(&self) -> String {
        format!("{}{}", String::from_utf8_lossy(&self.output.stdout), String::from_utf8_lossy(&self.output.stderr))
    }
}

async fn load(stub: &Stub, arguments: &[&str]) -> Run {
    let directory = tempfile::tempdir().expect("a directory");
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_load"))
        .args(arguments)
        .args(["--url", &format!("http://{}", stub.address), "--hold", "1", "--max-minutes", "2", "--counts-only"])
        .arg("--data")
        .arg(stub.data())
        .arg("--output")
        .arg(directory.path())
        .output()
        .await
        .expect("the tool runs");
    let read = |name: &str| std::fs::read_to_string(directory.path().join(name)).unwrap_or_default();
    assert!(read("report.html").contains("<svg"), "there is a page: {}", String::from_utf8_lossy(&output.stderr));
    let history = read("history.jsonl").lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    Run { output, report: serde_json::from_str(&read("report.json")).expect("a report"), history }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_on_an_honest_platform_is_green() {
    let stub = Stub::start(Faults::default()).await;
    let run = load(&stub, &["burst", "--stock", "20", "--buyers", "300", "--rate", "3000", "--connections", "8"]).await;
    assert_eq!(run.code(), 0, "{}", run.explain());
    let burst = &run.report["burst"];
    assert_eq!((burst["accepted"].as_u64(), burst["refused_by"]["sold-out"].as_u64()), (Some(20), Some(280)));
    let settled = &run.report["settled"];
    assert_eq!((settled["statuses"]["PAID"].as_u64(), settled["statuses"]["CANCELLED"].as_u64()), (Some(10), Some(10)));
    assert_eq!((settled["probes"].as_u64(), settled["probes_accepted"].as_u64()), (Some(10), Some(10)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stall_is_charged_to_every_click_that_it_delayed() {
    let stall = Duration::from_millis(600);
    let stub = Stub::start(Faults { first_answer_stalls: Some(stall), ..Faults::default() }).await;
    let run = load(&stub, &["burst", "--stock", "5", "--buyers", "100", "--rate", "1000", "--connections", "1"]).await;
    assert_eq!(run.code(), 0, "{}", run.explain());
    // The last click is intended 99 ms after the first and can only be sent when the stall is over: a lower bound that
    // no machine is too slow for. Measured from the send, all but one would have taken next to nothing.
    let latency = &run.report["burst"]["latency"]["all"];
    assert_eq!(latency["count"], 100);
    assert!(latency["min_us"].as_u64().expect("a number") >= 490_000, "{latency}");
    assert!(run.report["burst"]["service"]["min_us"].as_u64() < latency["min_us"].as_u64());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_connection_is_unknown_and_asked_again_under_the_same_key() {
    let stub = Stub::start(Faults { breaks_after: Some(3), ..Faults::default() }).await;
    let run = load(&stub, &["burst", "--stock", "50", "--buyers", "30", "--rate", "1000", "--connections", "4"]).await;
    assert_eq!(run.code(), 0, "{}", run.explain());
    let burst = &run.report["burst"];
    assert_eq!(
        (burst["accepted"].as_u64(), burst["unknown"].as_u64(), burst["unknown_attempts"].as_u64()),
        (Some(30), Some(0), Some(1))
    );
    let broken =
        run.history.iter().find(|attempt| attempt["answer"]["outcome"] == "unknown").expect("one attempt is Unknown");
    // Later commands have a name; only the clicks themselves have none.
    let same = |attempt: &&Value| {
        attempt["key"] == broken["key"] && attempt["user"] == broken["user"] && attempt.get("name").is_none()
    };
    let outcomes: Vec<&str> =
        run.history.iter().filter(same).filter_map(|attempt| attempt["answer"]["outcome"].as_str()).collect();
    assert_eq!(outcomes, ["unknown", "accepted"]);
    let shop = stub.shop.lock().expect("no panic");
    assert_eq!(shop.arrivals.get(broken["key"].as_str().expect("a key")), Some(&2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_in_mid_burst_loses_no_click() {
    let stub = Stub::start(Faults { restarts_after: Some(100), ..Faults::default() }).await;
    let run =
        load(&stub, &["burst", "--stock", "40", "--buyers", "400", "--rate", "1000", "--connections", "16"]).await;
    assert_eq!(run.code(), 0, "{}", run.explain());
    let burst = &run.report["burst"];
    assert_eq!((burst["unknown"].as_u64(), run.report["unsent"].as_u64()), (Some(0), Some(0)));
    assert_eq!(burst["accepted"].as_u64().expect("a count") + burst["refused"].as_u64().expect("a count"), 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_platform_is_asked_again_and_counted_apart() {
    let stub = Stub::start(Faults { unavailable: 7, ..Faults::default() }).await;
    let run = load(&stub, &["burst", "--stock", "50", "--buyers", "30", "--rate", "1000", "--connections", "4"]).await;
    assert_eq!(run.code(), 0, "{}", run.explain());
    let burst = &run.report["burst"];
    assert_eq!(
        (burst["accepted"].as_u64(), burst["unavailable"].as_u64(), burst["unavailable_answers"].as_u64()),
        (Some(30), Some(0), Some(7))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_oversold_sale_is_red() {
    let stub = Stub::start(Faults { oversells: true, ..Faults::default() }).await;
    let run = load(&stub, &["burst", "--stock", "10", "--buyers", "60", "--rate", "1000", "--connections", "4"]).await;
    assert_eq!(run.code(), 1, "{}", run.explain());
    assert_eq!(run.colour("S1"), ["red"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mixed_load_with_an_operator_is_green() {
    let stub = Stub::start(Faults::default()).await;
    let sizes = [
        "--sales",
        "2",
        "--skus",
        "20",
        "--stock",
        "8",
        "--buyers",
        "400",
        "--rate",
        "500",
        "--connections",
        "16",
        "--operator",
    ];
    let run = load(&stub, &[&["mixed"], sizes.as_slice()].concat()).await;
    assert_eq!(run.code(), 0, "{}", run.explain());
    let refused = &run.report["burst"]["refused_by"];
    for slug in ["sold-out", "stopped", "ended", "limit-reached"] {
        assert!(refused[slug].as_u64() > Some(0), "{slug} occurs: {refused}");
    }
    for command in ["pay", "cancel", "click", "reuse-key"] {
        assert!(run.history.iter().any(|entry| entry["name"] == command), "{command} occurs");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comparison_measures_all_three_targets() {
    let stub = Stub::start(Faults::default()).await;
    let directory = tempfile::tempdir().expect("a directory");
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_load"))
        .args(["compare", "--seconds", "1", "--rounds", "2", "--connections", "32"])
        .args(["--url", &format!("http://{}", stub.address), "--max-minutes", "2", "--counts-only"])
        .arg("--data")
        .arg(stub.data())
        .arg("--output")
        .arg(directory.path())
        .output()
        .await
        .expect("the tool runs");
    println!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success());
    let report = std::fs::read_to_string(directory.path().join("report.json")).expect("a report");
    let report: Value = serde_json::from_str(&report).expect("JSON");
    for target in ["bare", "accepted", "refused"] {
        assert!(report["per_second"][target].as_f64() > Some(0.0), "{target}: {report}");
    }
}

#[test]
fn load_is_never_aimed_at_another_machine() {
    let arguments = ["burst", "--url", "http://192.0.2.1:8080"];
    let output =
        std::process::Command::new(env!("CARGO_BIN_EXE_load")).args(arguments).output().expect("the tool runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("not a loopback address"));
}
