//! The section `[spanner]` of the configuration.

use doorbuster_core::limits::{ANSWER_MS_MAX, CACHE_LOAD_MS};
use doorbuster_runtime::config::ConfigError;
use doorbuster_runtime::ports::FETCH_WAIT_MS;
use serde::Deserialize;

/// Which database, and how long anything may take. All times in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SpannerConfig {
    /// The project's id.
    pub project: String,
    /// The instance's id.
    pub instance: String,
    /// The database's id.
    pub database: String,
    /// Another address than Google's, as a URL. Credentials are the environment's default ones.
    pub endpoint: Option<String>,
    /// `host:port` of an emulator's gRPC port; its REST port is ten higher. Without TLS and credentials.
    pub emulator: Option<String>,
    /// A read of a few rows without an answer for this long has failed: somebody waits for it.
    pub read_ms: u64,
    /// The same for many rows, for pages and for documents, which only workers wait for.
    pub scan_ms: u64,
    /// A transaction that is not committed after this, its repetitions after aborts included, is `Unknown`.
    pub transaction_ms: u64,
    /// The longest wait for news of a partition of the change stream that has none.
    pub block_ms: u64,
    /// How often the change stream says of a partition that nothing has happened.
    pub heartbeat_ms: u64,
    /// A change of the schema without an end for this long has failed; the server may go on with it.
    pub schema_ms: u64,
    /// Transactions of this process that write at once; more wait for one of them.
    pub transactions_max: usize,
    /// Connections to the server.
    pub channels: usize,
}

impl Default for SpannerConfig {
    fn default() -> SpannerConfig {
        SpannerConfig {
            project: "doorbuster".to_owned(),
            instance: "doorbuster".to_owned(),
            database: "doorbuster".to_owned(),
            endpoint: None,
            emulator: None,
            read_ms: 1_800,
            scan_ms: 10_000,
            transaction_ms: 10_000,
            block_ms: FETCH_WAIT_MS,
            heartbeat_ms: 1_000,
            schema_ms: 300_000,
            transactions_max: 16,
            channels: 4,
        }
    }
}

impl SpannerConfig {
    /// Looks for mistakes.
    ///
    /// # Errors
    /// Everything that is wrong with the section, not only the first thing.
    pub fn validate(&self) -> Result<(), Vec<ConfigError>> {
        let mut errors = Vec::new();
        let mut wrong = |field, problem: String| errors.push(ConfigError { section: "spanner", field, problem });
        for (field, name, most) in self.names() {
            let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
            let colons = field == "project" && name.contains(':');
            if name.is_empty() || name.len() > most || !(colons || name.bytes().all(fits)) {
                wrong(field, format!("{name:?} is not an id: 1 to {most} of a-z, 0-9, - and _"));
            }
        }
        match &self.emulator {
            Some(_) if self.endpoint.is_some() => {
                wrong("endpoint", "stands beside emulator: name one server".to_owned());
            }
            Some(emulator) if Emulator::parse(emulator).is_none() => {
                wrong("emulator", format!("{emulator:?} is not host:port, with a port below 65526"));
            }
            Some(_) | None => {}
        }
        for (field, value, least, most, why) in self.bounds() {
            if !(least..=most).contains(&value) {
                wrong(field, format!("is {value}, but must be {least} to {most}: {why}"));
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// The database's full name.
    pub fn database_name(&self) -> String {
        format!("{}/databases/{}", self.instance_name(), self.database)
    }

    /// The instance's full name.
    pub fn instance_name(&self) -> String {
        format!("projects/{}/instances/{}", self.project, self.instance)
    }

    /// The emulator's addresses.
    pub(crate) fn emulator(&self) -> Option<Emulator> {
        Emulator::parse(self.emulator.as_deref()?)
    }

    fn names(&self) -> [(&'static str, &str, usize); 3] {
        [("project", &self.project, 64), ("instance", &self.instance, 64), ("database", &self.database, 30)]
    }

    /// Each number with its least, its most, and why.
    fn bounds(&self) -> [(&'static str, u64, u64, u64, &'static str); 8] {
        let machine = "a machine counts a question without an answer as lost after 15 s";
        let stream = "the change stream takes no other";
        [
            (
                "read_ms",
                self.read_ms,
                100,
                CACHE_LOAD_MS - 1,
                "a cache counts a load without an answer as lost after 2 s",
            ),
            ("scan_ms", self.scan_ms, self.read_ms, ANSWER_MS_MAX - 1, machine),
            ("transaction_ms", self.transaction_ms, 1_000, ANSWER_MS_MAX - 1, machine),
            ("block_ms", self.block_ms, 1, ANSWER_MS_MAX / 2, machine),
            ("heartbeat_ms", self.heartbeat_ms, 1_000, 300_000, stream),
            ("schema_ms", self.schema_ms, 1_000, 3_600_000, "an index of a large table takes minutes"),
            ("transactions_max", self.transactions_max as u64, 1, 1_000, "each has a session of its own"),
            ("channels", self.channels as u64, 1, 256, "each is a connection, good for a hundred calls at once"),
        ]
    }
}

/// Where an emulator listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Emulator {
    /// For data, as a URL.
    pub grpc: String,
    /// For administration, as a URL.
    pub rest: String,
}

impl Emulator {
    fn parse(text: &str) -> Option<Emulator> {
        let (host, port) = text.rsplit_once(':')?;
        let (port, rest): (u16, u16) = (port.parse().ok()?, port.parse::<u16>().ok()?.checked_add(10)?);
        let fits = !host.is_empty() && !host.contains('/') && port > 0;
        fits.then(|| Emulator { grpc: format!("http://{host}:{port}"), rest: format!("http://{host}:{rest}") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(SpannerConfig::default().validate(), Ok(()));
        assert_eq!(
            SpannerConfig::default().database_name(),
            "projects/doorbuster/instances/doorbuster/databases/doorbuster"
        );
    }

    #[test]
    fn every_error_is_told_at_once() {
        let text = "project = ''\ndatabase = 'Up'\nemulator = 'here'\nread_ms = 2500\ntransactions_max = 0";
        let config: SpannerConfig = toml::from_str(text).unwrap();
        let fields: Vec<_> = config.validate().unwrap_err().into_iter().map(|error| error.field).collect();
        assert_eq!(fields, ["project", "database", "emulator", "read_ms", "transactions_max"]);
    }

    #[test]
    fn one_server_is_named() {
        let config: SpannerConfig = toml::from_str("emulator = 'h:9010'\nendpoint = 'https://x'").unwrap();
        assert_eq!(config.validate().unwrap_err()[0].field, "endpoint");
        assert!(toml::from_str::<SpannerConfig>("nobody = 1").is_err());
    }

    #[test]
    fn an_emulators_rest_port_is_ten_higher() {
        let emulator = Emulator::parse("127.0.0.1:9110").unwrap();
        assert_eq!(
            (emulator.grpc.as_str(), emulator.rest.as_str()),
            ("http://127.0.0.1:9110", "http://127.0.0.1:9120")
        );
        assert_eq!(Emulator::parse("127.0.0.1:65530"), None);
    }
}
