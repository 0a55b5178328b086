//! An AsyncAPI document: the part of version 3.0 that ours uses; anything else in it is refused.
//!
//! <https://www.asyncapi.com/docs/reference/specification/v3.0.0>

use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// The document.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Document {
    /// Version of the specification.
    pub asyncapi: String,
    /// What it is about.
    pub info: Info,
    /// Of messages that say nothing else.
    pub default_content_type: String,
    /// Topics, by an identifier.
    pub channels: BTreeMap<String, Channel>,
    /// What the platform does with them, by an identifier.
    pub operations: BTreeMap<String, Operation>,
    /// What is referred to.
    pub components: Components,
}

/// What the document is about.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Info {
    /// For people.
    pub title: String,
    /// Of the platform.
    pub version: String,
    /// Of the document.
    pub license: Value,
    /// For people.
    pub description: String,
}

/// A topic.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Channel {
    /// Its name in Kafka.
    pub address: String,
    /// For people.
    pub description: String,
    /// What stands in it, by the name of the message.
    pub messages: BTreeMap<String, Reference>,
    /// How Kafka keeps it.
    pub bindings: Bindings<ChannelBinding>,
}

/// What the platform does with a topic.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operation {
    /// Which way.
    pub action: Action,
    /// With which topic.
    pub channel: Reference,
    /// As which group.
    pub bindings: Option<Bindings<OperationBinding>>,
}

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// The platform writes.
    Send,
    /// The platform reads.
    Receive,
}

/// What is referred to.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Components {
    /// Messages by name.
    pub messages: BTreeMap<String, Message>,
    /// Schemas by name.
    pub schemas: BTreeMap<String, Value>,
}

/// A record.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Message {
    /// An event's type.
    pub name: String,
    /// What it tells.
    pub title: String,
    /// More of it.
    pub description: Option<String>,
    /// Where it is not the document's.
    pub content_type: Option<String>,
    /// A schema over an object of the headers' texts.
    pub headers: Option<Value>,
    /// A schema of the value.
    pub payload: Value,
    /// Its key; a dead letter has that of its origin.
    pub bindings: Option<Bindings<MessageBinding>>,
}

/// To somewhere in the document.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// A JSON pointer behind `#`.
    #[serde(rename = "$ref")]
    pub to: String,
}

/// What a protocol adds.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bindings<T> {
    /// Kafka's part.
    pub kafka: T,
}

/// How Kafka keeps a topic.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ChannelBinding {
    /// Of this binding.
    pub binding_version: String,
    /// Its name.
    pub topic: String,
    /// How many.
    pub partitions: u32,
    /// Copies of each.
    pub replicas: u16,
    /// By Kafka's names.
    pub topic_configuration: BTreeMap<String, Value>,
}

/// As which group a topic is read.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct OperationBinding {
    /// Of this binding.
    pub binding_version: String,
    /// The group's name.
    pub group_id: OneOf,
}

/// A schema that names its values.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OneOf {
    /// Text.
    #[serde(rename = "type")]
    pub kind: String,
    /// The values.
    #[serde(rename = "enum")]
    pub values: Vec<String>,
}

/// A record's key.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct MessageBinding {
    /// Of this binding.
    pub binding_version: String,
    /// A schema of the key's text.
    pub key: Value,
}

impl Reference {
    /// What stands behind this prefix, where it does.
    pub fn below(&self, prefix: &str) -> Option<&str> {
        self.to.strip_prefix(prefix)
    }
}
