//! What a run leaves for people and machines.

pub mod html;
pub mod json;
pub mod plot;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use crate::aftermath::Settled;
use crate::error::LoadError;
use crate::generator::Generated;
use crate::history::History;
use crate::recorder::{Class, Summary};
use crate::verdict::{Colour, Verdict};

/// One run: what was asked, what was measured, what it proves.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The command.
    pub command: &'static str,
    /// The run's name; its sales are named after it.
    pub run: String,
    /// The command's parameters.
    pub parameters: Value,
    /// First intended arrival to last answer, in milliseconds.
    pub elapsed_ms: u64,
    /// Clicks never sent.
    pub unsent: usize,
    /// Processor time of the generator per request, in microseconds.
    pub generator_cpu_us_per_request: f64,
    /// Counts and latencies.
    pub burst: Summary,
    /// The time after the burst.
    pub settled: Settled,
    /// The worst of the verdict's colours.
    pub colour: Colour,
    /// What it proves.
    pub verdict: Verdict,
    /// The clients' history; written to a file of its own.
    #[serde(skip)]
    pub history: Arc<History>,
}

impl Report {
    /// Gathers a run.
    #[must_use]
    #[expect(clippy::too_many_arguments, reason = "each is one part of the report and is used once")]
    #[expect(clippy::cast_precision_loss, reason = "a count of requests is far below 2^52")]
    pub fn new(
        command: &'static str,
        run: &str,
        parameters: &impl Serialize,
        generated: &Generated,
        cpu: Duration,
        settled: Settled,
        verdict: Verdict,
        history: Arc<History>,
    ) -> Self {
        let burst = generated.recorder.summary();
        Self {
            command,
            run: run.to_owned(),
            parameters: serde_json::to_value(parameters).unwrap_or(Value::Null),
            elapsed_ms: u64::try_from(generated.elapsed.as_millis()).unwrap_or(u64::MAX),
            unsent: generated.unsent,
            generator_cpu_us_per_request: cpu.as_secs_f64() * 1e6 / burst.requests.max(1) as f64,
            burst,
            settled,
            colour: verdict.colour(),
            verdict,
            history,
        }
    }

    /// Writes report.json, report.html and history.jsonl into a directory, which is made.
    ///
    /// # Errors
    /// `Output` with the file that could not be written.
    pub fn write(&self, directory: &Path) -> Result<(), LoadError> {
        let output = |path: &Path, source| LoadError::Output { path: path.to_owned(), source };
        std::fs::create_dir_all(directory).map_err(|source| output(directory, source))?;
        for (name, bytes) in [
            ("report.json", json::report(self)),
            ("report.html", html::page(self).into_bytes()),
            ("history.jsonl", json::history(&self.history)),
        ] {
            let path = directory.join(name);
            std::fs::write(&path, bytes).map_err(|source| output(&path, source))?;
        }
        Ok(())
    }

    /// The report in a few lines for a terminal.
    #[must_use]
    pub fn text(&self) -> String {
        let burst = &self.burst;
        let mut lines = vec![format!(
            "{} requests in {:.2} s: accepted {}, refused {}, unavailable {}, unknown {}, never sent {}",
            burst.requests,
            self.elapsed_ms as f64 / 1000.0,
            burst.accepted,
            burst.refused,
            burst.unavailable,
            burst.unknown,
            self.unsent
        )];
        lines.extend(burst.refused_by.iter().map(|(slug, count)| format!("  refused {slug}: {count}")));
        lines.push(format!(
            "  retried: {} answers of 429 or 503, {} requests without an answer",
            burst.unavailable_answers, burst.unknown_attempts
        ));
        for (name, latency) in &burst.latency {
            let at = |percentile| milliseconds(latency.at(percentile));
            lines.push(format!(
                "  latency {name}: p50 {} p90 {} p99 {} p99.9 {} max {}",
                at(50.0),
                at(90.0),
                at(99.0),
                at(99.9),
                at(100.0)
            ));
        }
        let settled = &self.settled;
        let after = |ms: Option<u64>| {
            ms.map_or_else(
                || "not within the bound".to_owned(),
                |ms| format!("{:.2} s after the burst", ms as f64 / 1000.0),
            )
        };
        lines.push(format!(
            "orders {}: persisted {} ({}), all final {}",
            settled.orders,
            settled.persisted,
            after(settled.persisted_after_ms),
            after(settled.drained_after_ms)
        ));
        lines.push(format!(
            "  {:?}, doubtful clicks {:?}, probes {} of {}",
            settled.statuses, settled.doubtful, settled.probes_accepted, settled.probes
        ));
        lines.push(format!(
            "  generator: {:.1} us of processor a request, p99 late by {}",
            self.generator_cpu_us_per_request,
            milliseconds(burst.generator_lateness.at(99.0))
        ));
        for check in &self.verdict.checks {
            lines.push(format!("{:>11} {} {}: {}", colour_name(check.colour), check.id, check.statement, check.detail));
        }
        lines.push(format!("verdict: {}", colour_name(self.colour)));
        lines.join("\n")
    }

    /// Counts of the burst by class, in the order of `Class::ALL`.
    #[must_use]
    pub fn counts(&self) -> [(Class, u64); 4] {
        let Summary { accepted, refused, unavailable, unknown, .. } = self.burst;
        [
            (Class::Accepted, accepted),
            (Class::Refused, refused),
            (Class::Unavailable, unavailable),
            (Class::Unknown, unknown),
        ]
    }
}

/// A colour in words.
#[must_use]
pub fn colour_name(colour: Colour) -> &'static str {
    match colour {
        Colour::Green => "green",
        Colour::NotChecked => "not checked",
        Colour::Red => "RED",
    }
}

/// Microseconds as text in a readable unit.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "hours in microseconds are far below 2^52")]
pub fn milliseconds(us: u64) -> String {
    match us {
        0..=999 => format!("{us} us"),
        1_000..=999_999 => format!("{:.1} ms", us as f64 / 1e3),
        _ => format!("{:.2} s", us as f64 / 1e6),
    }
}

/// Processor time of this process so far, user and system; zero where /proc does not tell.
#[must_use]
pub fn cpu_time() -> Duration {
    // proc(5): fields 14 and 15, in ticks of 10 ms; the name before them may hold spaces and ends with the last ')'.
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |place: usize| fields.get(place).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}
