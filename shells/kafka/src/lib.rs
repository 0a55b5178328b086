//! Kafka behind the ports: the topics that forwarders and relays write, and that consumer groups read.
//!
//! Every call of librdkafka that may block runs on a thread of its own; what waits in between is bounded.

pub mod client;
pub mod config;
pub mod dead;
pub mod event;
pub mod feed;
pub mod group;
pub mod intent;
pub mod kafka;
pub mod letter;
mod member;
pub mod publish;
mod thread;
pub mod topic;
pub mod topics;
