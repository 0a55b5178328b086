//! What the client of every member is told.

use crate::client;
use crate::config::KafkaConfig;

/// A member that has not polled for so long is out of the group: its thread polls every few milliseconds.
const POLL_INTERVAL_MS: u64 = 60_000;
/// Kilobytes that the client reads ahead of this adapter's own rows.
const AHEAD_KBYTES: u64 = 8_192;
/// Records that the client tries to have ready.
const AHEAD_RECORDS: u64 = 1_000;

/// A member of this group.
pub(super) fn settings(config: &KafkaConfig, group_id: &str) -> rdkafka::ClientConfig {
    let mut client = client::base(config);
    client.set("group.id", group_id);
    client.set("partition.assignment.strategy", "cooperative-sticky");
    client.set("session.timeout.ms", config.session_ms.to_string());
    client.set("heartbeat.interval.ms", (config.session_ms / 4).max(1).to_string());
    client.set("max.poll.interval.ms", POLL_INTERVAL_MS.max(config.session_ms).to_string());
    // A request that is not answered for a session's time will not be, and the thread that waits for it has other work.
    client.set("socket.timeout.ms", (config.session_ms + 1_000).to_string());
    client.set("enable.auto.commit", "false").set("enable.auto.offset.store", "false");
    // A group without a place reads everything: nothing may be passed over.
    client.set("auto.offset.reset", "earliest");
    client.set("isolation.level", "read_committed");
    client.set("allow.auto.create.topics", "false");
    client.set("fetch.wait.max.ms", config.fetch_ms.to_string());
    client.set("queued.min.messages", AHEAD_RECORDS.to_string());
    client.set("queued.max.messages.kbytes", AHEAD_KBYTES.to_string());
    client
}
