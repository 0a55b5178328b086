//! How Prometheus finds processes: the part of its configuration that ours uses; anything else is refused.
//!
//! <https://prometheus.io/docs/prometheus/latest/configuration/configuration/>

use serde::Deserialize;

/// Prometheus' configuration.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrometheusConfig {
    /// What holds where nothing else is said.
    pub global: Global,
    /// Files of rules, from this one.
    pub rule_files: Vec<String>,
    /// What is scraped.
    pub scrape_configs: Vec<ScrapeConfig>,
}

/// What holds where nothing else is said.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Global {
    /// Between two looks at a process.
    pub scrape_interval: String,
}

/// Processes of one kind.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScrapeConfig {
    /// The label `job` of their series.
    pub job_name: String,
    /// Found by Kubernetes.
    pub kubernetes_sd_configs: Vec<Discovery>,
    /// Which of them, and under which labels.
    pub relabel_configs: Vec<Relabel>,
}

/// What Kubernetes is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Discovery {
    /// Kind of target.
    pub role: String,
    /// Where.
    pub namespaces: Namespaces,
}

/// Where processes are looked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Namespaces {
    /// By name.
    pub names: Vec<String>,
}

/// One step from what was found to labels.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Relabel {
    /// Joined by `;`.
    pub source_labels: Vec<String>,
    /// What they must match.
    pub regex: Option<String>,
    /// What is done with those that match, where it is not `replace`.
    pub action: Option<String>,
    /// The label that is set.
    pub target_label: Option<String>,
}
