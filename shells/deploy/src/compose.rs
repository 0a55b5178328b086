//! The part of a compose file that ours uses; anything else in it is refused.
//!
//! <https://github.com/compose-spec/compose-spec/blob/main/spec.md>

use serde::Deserialize;
use std::collections::BTreeMap;

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compose {
    /// What containers' names begin with.
    pub name: String,
    /// By name.
    pub services: BTreeMap<String, Service>,
    /// What outlives containers, by name.
    pub volumes: BTreeMap<String, Volume>,
    /// Taken over by services.
    #[serde(rename = "x-platform")]
    pub platform: serde_json::Value,
    /// Taken over by services with roles.
    #[serde(rename = "x-roles")]
    pub roles: serde_json::Value,
}

/// One service.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// What it runs.
    pub image: String,
    /// How the image is made.
    pub build: Option<Build>,
    /// Arguments of the image's program.
    #[serde(default)]
    pub command: Vec<String>,
    /// What its process is told.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// What comes before it.
    #[serde(default)]
    pub depends_on: BTreeMap<String, Dependency>,
    /// Asked again and again whether it is well.
    pub healthcheck: Option<Healthcheck>,
    /// How many of it.
    pub deploy: Option<Deploy>,
    /// `machine:container`.
    #[serde(default)]
    pub ports: Vec<String>,
    /// `volume or path:container[:ro]`.
    #[serde(default)]
    pub volumes: Vec<String>,
    /// When it is started again.
    pub restart: Option<String>,
    /// Between the signal and the kill.
    pub stop_grace_period: Option<String>,
    /// By which name it knows itself.
    pub hostname: Option<String>,
    /// Whether it cannot write into its image.
    #[serde(default)]
    pub read_only: bool,
}

/// How an image is made.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Build {
    /// Where the sources are, from the file.
    pub context: String,
    /// From there.
    pub dockerfile: String,
}

/// What another service must have reached.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dependency {
    /// How far.
    pub condition: Condition,
}

/// How far a service must be before another begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// Begun.
    ServiceStarted,
    /// Found well.
    ServiceHealthy,
    /// Ended with 0.
    ServiceCompletedSuccessfully,
}

/// How a container is asked whether it is well.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Healthcheck {
    /// `CMD` and a program with its arguments.
    pub test: Vec<String>,
    /// Between two questions.
    pub interval: String,
    /// For an answer.
    pub timeout: String,
    /// Questions in a row without a good answer.
    pub retries: u32,
    /// At the start bad answers do not count.
    pub start_period: Option<String>,
}

/// How many.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deploy {
    /// Containers.
    pub replicas: u32,
}

/// A volume with nothing said of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Volume {}

impl Service {
    /// Containers of it.
    pub fn replicas(&self) -> u32 {
        self.deploy.as_ref().map_or(1, |deploy| deploy.replicas)
    }
}
