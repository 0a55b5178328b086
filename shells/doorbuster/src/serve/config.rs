//! The configuration file of a production process: read whole, every error told at once.

use super::overrides;
use super::secrets::SecretsConfig;
use doorbuster_core::limits::{USER_BURST, USER_PER_SECOND};
use doorbuster_elasticsearch::config::ElasticsearchConfig;
use doorbuster_kafka::config::KafkaConfig;
use doorbuster_redis::config::RedisConfig;
use doorbuster_runtime::config::ConfigError;
use doorbuster_spanner::config::SpannerConfig;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::net::SocketAddr;
use std::path::Path;
use toml::Table;

/// Every section; one that is missing has its defaults.
#[derive(Clone, Debug)]
pub struct Config {
    /// The shards' servers, the delay queue and the shared cache.
    pub redis: RedisConfig,
    /// The topics.
    pub kafka: KafkaConfig,
    /// The database.
    pub spanner: SpannerConfig,
    /// The search index.
    pub elasticsearch: ElasticsearchConfig,
    /// Listeners, and limits of buyers.
    pub http: HttpConfig,
    /// What signs.
    pub secrets: SecretsConfig,
    /// For trials.
    pub clock: ClockConfig,
}

/// The section `[clock]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClockConfig {
    /// The wall clock of this process is off by so many milliseconds: for trials, and nowhere else.
    pub skew_ms: i64,
}

impl ClockConfig {
    fn check(&self, dev: bool) -> Option<ConfigError> {
        let problem = "is for trials, with --dev: a machine's clock is set right by its time server".to_owned();
        (self.skew_ms != 0 && !dev).then_some(ConfigError { section: "clock", field: "skew_ms", problem })
    }
}

/// The section `[http]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpConfig {
    /// Where an edge listens.
    pub listen: SocketAddr,
    /// Where a process tells whether it lives, is ready, and what it has counted.
    pub watch: SocketAddr,
    /// Where the simulated payment provider calls back: an edge, or what stands before the edges.
    pub callback: SocketAddr,
    /// Clicks per second of one buyer, over all sales, at one edge.
    pub clicks_per_second: u32,
    /// Clicks that one buyer may make at once.
    pub clicks_burst: u32,
}

impl Default for HttpConfig {
    fn default() -> HttpConfig {
        HttpConfig {
            listen: ([127, 0, 0, 1], 8080).into(),
            watch: ([127, 0, 0, 1], 9090).into(),
            callback: ([127, 0, 0, 1], 8080).into(),
            clicks_per_second: USER_PER_SECOND,
            clicks_burst: USER_BURST,
        }
    }
}

impl HttpConfig {
    fn check(&self) -> Vec<ConfigError> {
        let wrong = |field| ConfigError { section: "http", field, problem: "must be at least 1".to_owned() };
        let numbers = [("clicks_per_second", self.clicks_per_second), ("clicks_burst", self.clicks_burst)];
        numbers.into_iter().filter(|(_, number)| *number == 0).map(|(field, _)| wrong(field)).collect()
    }
}

impl Config {
    /// Reads the file and what the environment says over it; `dev` allows the secrets of development.
    ///
    /// # Errors
    /// Everything that is wrong, a line each.
    pub fn read(path: &Path, dev: bool) -> Result<Config, Vec<String>> {
        let text = std::fs::read_to_string(path).map_err(|error| vec![format!("{}: {error}", path.display())])?;
        let named = |error: toml::de::Error| vec![format!("{}: {error}", path.display())];
        let mut file: Table = text.parse().map_err(named)?;
        overrides::apply(&mut file, std::env::vars())?;
        Config::parse(file, dev)
    }

    fn parse(mut file: Table, dev: bool) -> Result<Config, Vec<String>> {
        let mut errors = Vec::new();
        let config = Config {
            redis: section(&mut file, "redis", &mut errors),
            kafka: section(&mut file, "kafka", &mut errors),
            spanner: section(&mut file, "spanner", &mut errors),
            elasticsearch: section(&mut file, "elasticsearch", &mut errors),
            http: section(&mut file, "http", &mut errors),
            secrets: section(&mut file, "secrets", &mut errors),
            clock: section(&mut file, "clock", &mut errors),
        };
        errors.extend(
            file.keys().map(|name| format!("[{name}] is no section: see docs/operations.md for those that are")),
        );
        errors.extend(config.check(dev).iter().map(ToString::to_string));
        if errors.is_empty() { Ok(config) } else { Err(errors) }
    }

    fn check(&self, dev: bool) -> Vec<ConfigError> {
        let mut errors = self.redis.validate().err().unwrap_or_default();
        errors.extend(self.kafka.validate().err().unwrap_or_default());
        errors.extend(self.spanner.validate().err().unwrap_or_default());
        errors.extend(self.elasticsearch.validate().err().unwrap_or_default());
        errors.extend(self.http.check());
        errors.extend(self.secrets.check(dev));
        errors.extend(self.clock.check(dev));
        errors
    }
}

/// All of them, a line each.
pub fn told(errors: Vec<ConfigError>) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Takes a section out of the file; one that cannot be read is told, and stands as if it were not there.
fn section<T: Default + DeserializeOwned>(file: &mut Table, name: &str, errors: &mut Vec<String>) -> T {
    let Some(value) = file.remove(name) else { return T::default() };
    value.try_into().unwrap_or_else(|error: toml::de::Error| {
        errors.push(format!("[{name}] {}", error.message()));
        T::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(text: &str, dev: bool) -> Vec<String> {
        Config::parse(text.parse().unwrap(), dev).err().unwrap_or_default()
    }

    #[test]
    fn an_empty_file_is_enough_for_development_alone() {
        assert_eq!(errors("", true), [""; 0]);
        assert_eq!(errors("", false).len(), 3, "every secret is missing");
    }

    #[test]
    fn the_example_lacks_nothing_but_secrets() {
        let told = errors(include_str!("../../../deploy/production.toml"), false);
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told.iter().all(|line| line.starts_with("[secrets] ")), "{told:?}");
    }

    #[test]
    fn a_clock_is_wrong_in_trials_alone() {
        assert_eq!(errors("[clock]\nskew_ms = -5", true), [""; 0]);
        assert!(errors("[clock]\nskew_ms = -5", false).iter().any(|line| line.starts_with("[clock] skew_ms")));
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let text = "[redis]\naddresses = ['here']\n[kafka]\nbrokers = 1\n[http]\nclicks_burst = 0\n[mail]\nfrom = 'us'";
        let told = errors(text, true);
        let begins = ["[kafka]", "[mail]", "[redis] addresses", "[http] clicks_burst"];
        assert_eq!(told.len(), begins.len(), "{told:?}");
        for (line, begin) in told.iter().zip(begins) {
            assert!(line.starts_with(begin), "{line}");
        }
    }
}
