//! What the client tells of a member while it is polled: assignments and revocations.

use super::Shared;
use crate::client::log;
use crate::letter::place;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::{ClientContext, TopicPartitionList};
use std::sync::Arc;

pub(super) struct MemberContext<T>(pub(super) Arc<Shared<T>>);

impl<T: Clone + Send + 'static> ClientContext for MemberContext<T> {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, group = self.0.group, topic = self.0.topic, "kafka");
    }
}

impl<T: Clone + Send + 'static> ConsumerContext for MemberContext<T> {
    /// Before a partition is given away, so that no place of it is committed afterwards.
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Revoke(list) => {
                self.0.with(|state| state.revoke(&partitions(list)));
                self.0.tell();
            }
            Rebalance::Assign(_) => {}
            Rebalance::Error(error) => tracing::warn!(%error, group = self.0.group, "a rebalance failed"),
        }
    }

    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(list) => {
                tracing::debug!(group = self.0.group, topic = self.0.topic, ?list, "partitions are assigned");
                self.0.with(|state| state.assign(&partitions(list)));
                self.0.tell();
            }
            Rebalance::Revoke(_) | Rebalance::Error(_) => {}
        }
    }
}

fn partitions(list: &TopicPartitionList) -> Vec<u32> {
    list.elements().iter().map(|element| place(element.partition().into()) as u32).collect()
}
