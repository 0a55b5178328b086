//! The section `[redis]` of the configuration.

use crate::dial::Address;
use doorbuster_core::limits::{ANSWER_MS_MAX, CACHE_READ_MS, LANE_ANSWER_MS};
use doorbuster_runtime::config::ConfigError;
use serde::Deserialize;
use std::fmt;

/// How the servers are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// One address, one server.
    #[default]
    Standalone,
    /// The addresses are Sentinels', who know the master.
    Sentinel,
    /// The addresses are of some nodes of a cluster.
    Cluster,
}

/// Where the servers are, and how long anything may take. All times in milliseconds.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RedisConfig {
    /// How the servers are found.
    pub mode: Mode,
    /// `host:port`, one of a standalone server, several of Sentinels or of a cluster.
    pub addresses: Vec<String>,
    /// What the Sentinels call the master.
    pub master_name: Option<String>,
    /// A user of the server's access list.
    pub username: Option<String>,
    /// Its password, or the server's.
    pub password: Option<String>,
    /// A user of the Sentinels' access list: they are not told who we are to the servers.
    pub sentinel_username: Option<String>,
    /// Its password, or the Sentinels'.
    pub sentinel_password: Option<String>,
    /// A connection that is not ready after this is given up: a lost handshake would wait for ever.
    pub connect_ms: u64,
    /// A call without an answer for this long is `Unknown`.
    pub answer_ms: u64,
    /// A reservation that is not as durable as its sale wants after this is `Unknown`, its script's answer included.
    pub reserve_ms: u64,
    /// The longest wait for a replica, at the acknowledgement level `replica`.
    pub replica_wait_ms: u64,
    /// The longest wait for news of a log that has none.
    pub block_ms: u64,
    /// A call to the shared cache without an answer for this long is `Unknown`.
    pub cache_ms: u64,
    /// How often a subscription is asked whether it is still alive.
    pub ping_ms: u64,
}

impl Default for RedisConfig {
    fn default() -> RedisConfig {
        RedisConfig {
            mode: Mode::Standalone,
            addresses: vec!["127.0.0.1:6379".to_owned()],
            master_name: None,
            username: None,
            password: None,
            sentinel_username: None,
            sentinel_password: None,
            connect_ms: 500,
            answer_ms: 1_000,
            reserve_ms: 1_800,
            replica_wait_ms: 500,
            block_ms: 500,
            cache_ms: 200,
            ping_ms: 250,
        }
    }
}

/// The password stays out of logs.
impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisConfig")
            .field("mode", &self.mode)
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

fn wrong(field: &'static str, problem: String) -> ConfigError {
    ConfigError { section: "redis", field, problem }
}

impl RedisConfig {
    /// The addresses, parsed.
    ///
    /// # Errors
    /// Everything that is wrong with the section, not only the first thing.
    pub fn validate(&self) -> Result<Vec<Address>, Vec<ConfigError>> {
        let mut errors = Vec::new();
        let mut wrong = |field, problem| errors.push(wrong(field, problem));
        let mut addresses = Vec::new();
        for text in &self.addresses {
            match Address::parse(text) {
                Some(address) => addresses.push(address),
                None => wrong("addresses", format!("{text:?} is not host:port")),
            }
        }
        match (self.mode, self.addresses.len()) {
            (_, 0) => wrong("addresses", "is empty: name at least one server".to_owned()),
            (Mode::Standalone, count @ 2..) => {
                wrong("addresses", format!("names {count} servers, but a standalone one has one address"));
            }
            (Mode::Standalone | Mode::Sentinel | Mode::Cluster, _) => {}
        }
        match (self.mode, &self.master_name) {
            (Mode::Sentinel, None) => wrong("master_name", "is missing: Sentinels know masters by name".to_owned()),
            (Mode::Standalone | Mode::Cluster, Some(_)) => {
                wrong("master_name", "is only for mode = \"sentinel\"".to_owned());
            }
            (Mode::Sentinel, Some(_)) | (Mode::Standalone | Mode::Cluster, None) => {}
        }
        for (field, problem) in self.wrong_credentials() {
            wrong(field, problem.to_owned());
        }
        for (field, value, most, why) in self.bounds() {
            if value == 0 || value > most {
                wrong(field, format!("is {value}, but must be 1 to {most}: {why}"));
            }
        }
        if errors.is_empty() { Ok(addresses) } else { Err(errors) }
    }

    fn wrong_credentials(&self) -> Vec<(&'static str, &'static str)> {
        let of_sentinels =
            [("sentinel_username", &self.sentinel_username), ("sentinel_password", &self.sentinel_password)];
        let mut wrong = Vec::new();
        if self.username.is_some() && self.password.is_none() {
            wrong.push(("password", "is missing for the username"));
        }
        match self.mode {
            Mode::Sentinel if self.sentinel_username.is_some() && self.sentinel_password.is_none() => {
                wrong.push(("sentinel_password", "is missing for the sentinel_username"));
            }
            Mode::Sentinel => {}
            Mode::Standalone | Mode::Cluster => {
                let given = of_sentinels.into_iter().filter(|(_, value)| value.is_some());
                wrong.extend(given.map(|(field, _)| (field, "is only for mode = \"sentinel\"")));
            }
        }
        wrong
    }

    /// Each time with the most it may be, and why.
    fn bounds(&self) -> [(&'static str, u64, u64, &'static str); 7] {
        let lane = "a lane counts a batch without an answer as lost after 2 s";
        let machine = "a machine counts a question without an answer as lost after 15 s";
        let reserve = "a reservation waits for its script before it waits for anything else";
        [
            ("connect_ms", self.connect_ms, LANE_ANSWER_MS - 1, lane),
            ("answer_ms", self.answer_ms, self.reserve_ms, reserve),
            ("reserve_ms", self.reserve_ms, LANE_ANSWER_MS - 1, lane),
            ("replica_wait_ms", self.replica_wait_ms, self.reserve_ms, reserve),
            ("block_ms", self.block_ms, ANSWER_MS_MAX / 2, machine),
            ("cache_ms", self.cache_ms, CACHE_READ_MS, "the database is then the shorter way"),
            ("ping_ms", self.ping_ms, ANSWER_MS_MAX, machine),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(RedisConfig::default().validate().map(|addresses| addresses.len()), Ok(1));
    }

    #[test]
    fn every_error_is_told_at_once() {
        let text = "mode = 'sentinel'\naddresses = ['here', 'host:1', 'host:x']\nusername = 'u'\nreserve_ms = 9000\nblock_ms = 0";
        let config: RedisConfig = toml::from_str(text).unwrap();
        let fields: Vec<_> = config.validate().unwrap_err().into_iter().map(|error| error.field).collect();
        assert_eq!(fields, ["addresses", "addresses", "master_name", "password", "reserve_ms", "block_ms"]);
    }

    #[test]
    fn sentinels_have_credentials_of_their_own() {
        let fields = |text: &str| -> Vec<_> {
            let config: RedisConfig = toml::from_str(text).unwrap();
            config.validate().err().unwrap_or_default().into_iter().map(|error| error.field).collect()
        };
        let watched = "mode = 'sentinel'\nmaster_name = 'main'\n";
        assert_eq!(fields(&format!("{watched}sentinel_username = 'u'\nsentinel_password = 'p'")), [""; 0]);
        assert_eq!(fields(&format!("{watched}sentinel_username = 'u'\npassword = 'p'")), ["sentinel_password"]);
        assert_eq!(fields("sentinel_password = 'p'"), ["sentinel_password"]);
    }

    #[test]
    fn a_field_that_nobody_knows_is_refused_and_a_password_is_not_shown() {
        assert!(toml::from_str::<RedisConfig>("nobody = 1").is_err());
        let config: RedisConfig = toml::from_str("password = 'hidden'").unwrap();
        assert!(!format!("{config:?}").contains("hidden"));
    }
}
