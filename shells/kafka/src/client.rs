//! What every client of the library has in common: addresses, time-outs, and where its words go.

use crate::config::KafkaConfig;
use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// A configuration with what all clients share.
pub(crate) fn base(config: &KafkaConfig) -> ClientConfig {
    let mut client = ClientConfig::new();
    for (name, value) in &config.properties {
        client.set(name, value);
    }
    client.set("bootstrap.servers", config.bootstrap.join(","));
    client.set("client.id", "doorbuster");
    // A connection is tried again soon: whoever waits for a broker waits for seconds at most.
    client.set("reconnect.backoff.ms", "50").set("reconnect.backoff.max.ms", "1000");
    client.set("socket.keepalive.enable", "true");
    // Small requests go at once: a transaction is several of them, one after the other.
    client.set("socket.nagle.disable", "true");
    client.set_log_level(RDKafkaLogLevel::Warning);
    client
}

/// Sends the library's words to the log of the platform.
#[derive(Clone, Copy, Debug, Default)]
pub struct Logged;

impl ClientContext for Logged {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "kafka");
    }
}

impl ConsumerContext for Logged {}

pub(crate) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    use RDKafkaLogLevel::{Alert, Critical, Debug, Emerg, Error, Info, Notice, Warning};
    match level {
        Emerg | Alert | Critical | Error => tracing::error!(facility, message, "kafka"),
        Warning => tracing::warn!(facility, message, "kafka"),
        Notice | Info => tracing::info!(facility, message, "kafka"),
        Debug => tracing::debug!(facility, message, "kafka"),
    }
}

/// Whether this says that a later producer of the same transactional id was taken.
pub(crate) fn is_fenced(code: Option<RDKafkaErrorCode>) -> bool {
    use RDKafkaErrorCode::{Fenced, InvalidProducerEpoch, ProducerFenced};
    matches!(code, Some(Fenced | InvalidProducerEpoch | ProducerFenced))
}
