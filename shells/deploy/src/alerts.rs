//! Prometheus' rules of alerts and their tests: the part that ours use; anything else is refused.
//!
//! <https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/>

use serde::Deserialize;
use std::collections::BTreeMap;

/// A file of rules.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleFile {
    /// Evaluated one after the other, each in its order.
    pub groups: Vec<RuleGroup>,
}

/// Rules that are evaluated together.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleGroup {
    /// Its name.
    pub name: String,
    /// In their order.
    pub rules: Vec<AlertRule>,
}

/// One alert.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertRule {
    /// Its name.
    pub alert: String,
    /// Each series of its answer is an alert.
    pub expr: String,
    /// It must last so long.
    #[serde(rename = "for")]
    pub lasts: Option<String>,
    /// Added to the series'.
    pub labels: AlertLabels,
    /// For people.
    pub annotations: Annotations,
}

/// What routes an alert.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertLabels {
    /// How soon.
    pub severity: Severity,
}

/// How soon a person must act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Now.
    Page,
    /// On the next working day.
    Ticket,
}

/// What a person is told.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Annotations {
    /// What is the matter.
    pub summary: String,
    /// Where it stands what to do: a heading of a document.
    pub runbook: String,
}

/// A file of tests of rules, as far as it tells which rules it tries.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleTests {
    /// What is tried.
    pub rule_files: Vec<String>,
    /// How often rules are evaluated.
    pub evaluation_interval: String,
    /// The tests.
    pub tests: Vec<RuleTest>,
}

/// One course of things.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleTest {
    /// What it shows.
    pub name: String,
    /// Between two samples.
    pub interval: String,
    /// What was scraped.
    pub input_series: Vec<InputSeries>,
    /// What follows.
    pub alert_rule_test: Vec<Expected>,
}

/// One series.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputSeries {
    /// Its name and labels.
    pub series: String,
    /// Samples in promtool's notation.
    pub values: String,
}

/// What a rule says at a time.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// Which rule.
    pub alertname: String,
    /// When, after the beginning.
    pub eval_time: String,
    /// The alerts that fire.
    pub exp_alerts: Vec<ExpectedAlert>,
}

/// One alert that fires.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedAlert {
    /// Its labels but for the name.
    pub exp_labels: BTreeMap<String, String>,
    /// As people read them.
    pub exp_annotations: Annotations,
}
