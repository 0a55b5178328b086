//! The document of topics and events says what the code does: no topic, group, event, header or field more or less.

#[path = "support/events.rs"]
mod events;
#[path = "support/schemas.rs"]
mod schemas;

use doorbuster_core::database::event::Event;
use doorbuster_core::ids::{Epoch, SaleId, ShardId};
use doorbuster_core::ledger::entry::Intent;
use doorbuster_deploy::asyncapi::{Action, Channel, Document, Message};
use doorbuster_deploy::files;
use doorbuster_kafka::config::KafkaConfig;
use doorbuster_kafka::event::CloudEvent;
use doorbuster_kafka::intent;
use doorbuster_kafka::topic::{DEAD, TopicId, wanted};
use doorbuster_runtime::roles::{indexer, invalidator, payment, reaper, sales, settler};
use schemas::Schemas;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const PATH: &str = "../../docs/asyncapi.yaml";
const MESSAGES: &str = "#/components/messages/";
const CHANNELS: &str = "#/channels/";

fn document() -> Document {
    files::yaml(PATH)
}

/// The names of the messages of a topic.
fn messages(channel: &Channel) -> BTreeSet<&str> {
    let named = channel.messages.iter().map(|(name, reference)| {
        let to = reference.below(MESSAGES).expect("messages stand among the components");
        assert_eq!(name, to, "{}", channel.address);
        name.as_str()
    });
    named.collect()
}

fn channel<'a>(document: &'a Document, address: &str) -> &'a Channel {
    let found = document.channels.values().find(|channel| channel.address == address);
    found.unwrap_or_else(|| panic!("the document has no topic {address}"))
}

/// The message of a type.
fn message<'a>(document: &'a Document, kind: &str) -> (&'a str, &'a Message) {
    let found = document.components.messages.iter().find(|(_, message)| message.name == kind);
    found.map(|(name, message)| (name.as_str(), message)).unwrap_or_else(|| panic!("the document has no {kind}"))
}

#[test]
fn topics_are_those_that_are_made() {
    let (document, config) = (document(), KafkaConfig::default());
    let wanted = wanted(&config);
    assert_eq!(document.channels.len(), wanted.len());
    for topic in wanted {
        let binding = &channel(&document, &topic.name).bindings.kafka;
        assert_eq!(binding.topic, topic.name);
        assert_eq!((binding.partitions, binding.replicas), (config.partitions, config.replication), "{}", topic.name);
        let text = |value: &Value| match value {
            Value::String(text) => text.clone(),
            Value::Array(values) => values.iter().map(|value| value.as_str().unwrap_or("?")).collect(),
            other => other.to_string(),
        };
        let said: BTreeMap<&str, String> =
            binding.topic_configuration.iter().map(|(name, value)| (name.as_str(), text(value))).collect();
        assert_eq!(said, topic.settings.into_iter().collect(), "{}", topic.name);
    }
}

#[test]
fn every_event_has_a_message_in_its_topic_and_none_is_extra() {
    let document = document();
    let mut published: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::from([("intents", BTreeSet::from(["intent"]))]);
    for event in events::all() {
        let (name, _) = message(&document, &CloudEvent::of(&event).kind);
        published.entry(event.topic().name()).or_default().insert(name);
    }
    let mut named = BTreeSet::new();
    for topic in TopicId::all() {
        let messages = messages(channel(&document, topic.name()));
        assert_eq!(published.get(topic.name()), Some(&messages), "{}", topic.name());
        assert_eq!(self::messages(channel(&document, &topic.dead_name(""))), BTreeSet::from(["deadLetter"]));
        named.extend(messages);
    }
    named.insert("deadLetter");
    let all: BTreeSet<&str> = document.components.messages.keys().map(String::as_str).collect();
    assert_eq!(named, all, "messages that stand in no topic");
}

#[test]
fn what_the_code_writes_is_what_the_document_says() {
    let (document, schemas) = (document(), Schemas::strict(&files::yaml(PATH)));
    for event in events::all() {
        let told = CloudEvent::of(&event);
        let (name, message) = message(&document, &told.kind);
        let headers: Value = told.headers().into_iter().map(|(name, text)| (name.to_owned(), json!(text))).collect();
        schemas.hold(&format!("{MESSAGES}{name}/headers"), &headers);
        let data: Value = serde_json::from_slice(&told.data).expect("an event's data is JSON");
        schemas.hold(&format!("{MESSAGES}{name}/payload"), &data);
        schemas.hold(&format!("{MESSAGES}{name}/bindings/kafka/key"), &json!(told.subject));
        let kind = message.content_type.as_ref().unwrap_or(&document.default_content_type);
        assert_eq!(headers["content-type"], json!(kind), "{name}");
    }
}

#[test]
fn fields_that_are_always_written_are_required() {
    let schemas = Schemas::strict(&files::yaml(PATH));
    let mut left_out = 0;
    for event in events::all() {
        let told = CloudEvent::of(&event);
        let document = document();
        let (name, _) = message(&document, &told.kind);
        let data: Value = serde_json::from_slice(&told.data).expect("an event's data is JSON");
        for field in data.as_object().expect("an event's data is an object").keys() {
            let mut less = data.clone();
            less.as_object_mut().expect("it is one").remove(field);
            schemas.refuse(&format!("{MESSAGES}{name}/payload"), &less);
            left_out += 1;
        }
    }
    assert!(left_out > 40, "{left_out}");
}

#[test]
fn another_value_is_refused() {
    let schemas = Schemas::strict(&files::yaml(PATH));
    let payload = |name: &str| format!("{MESSAGES}{name}/payload");
    let order = "spring.0.aaaaaaaaaaaaaaaaaaaaaaaaaa";
    schemas.hold(&payload("refundDue"), &json!({"payment": "p", "order": order}));
    schemas.refuse(&payload("refundDue"), &json!({"payment": "p", "order": "spring.0"}));
    schemas.refuse(&payload("refundDue"), &json!({"payment": "p", "order": order, "amount": 1}));
    schemas.refuse(&payload("saleChanged"), &json!({"sale": "spring", "version": -1}));
    schemas.refuse(&payload("saleChanged"), &json!({"sale": "spring", "version": "1"}));
    schemas.refuse(&payload("saleChanged"), &json!({"sale": "Spring", "version": 1}));
}

#[test]
fn intents_have_the_key_and_the_version_that_the_document_names() {
    let (document, schemas) = (document(), Schemas::strict(&files::yaml(PATH)));
    let intent = Intent::Seal(ShardId { sale: SaleId::parse("spring").expect("a sale"), k: 3 }, Epoch(1));
    schemas.hold(&format!("{MESSAGES}intent/bindings/kafka/key"), &json!(intent.shard().to_string()));
    let message = &document.components.messages["intent"];
    let version = intent::encode(&intent)[0];
    let words = message.description.as_deref().unwrap_or_default();
    assert!(words.contains(&format!("version of the format, {version}, ")), "{words}");
    assert_eq!((&message.headers, message.content_type.as_deref()), (&None, Some("application/octet-stream")));
}

#[test]
fn groups_read_the_topics_that_the_roles_read() {
    let document = document();
    let address = |reference: &doorbuster_deploy::asyncapi::Reference| {
        let name = reference.below(CHANNELS).expect("an operation has a channel");
        document.channels.get(name).unwrap_or_else(|| panic!("no channel {name}")).address.as_str()
    };
    let mut read = BTreeSet::new();
    let mut written = BTreeSet::new();
    for operation in document.operations.values() {
        let groups = operation.bindings.iter().flat_map(|bindings| &bindings.kafka.group_id.values);
        match operation.action {
            Action::Receive => read.extend(groups.map(|group| (group.clone(), address(&operation.channel).to_owned()))),
            Action::Send => drop(written.insert(address(&operation.channel).to_owned())),
        }
    }
    let readers =
        [reaper::READER, settler::READER, payment::READER, invalidator::READER, indexer::READER, sales::READER];
    let mut expected: BTreeSet<(String, String)> = readers
        .map(|reader| (format!("{}.{}", reader.group, reader.topic.name()), reader.topic.name().to_owned()))
        .into();
    expected.insert(("intake.intents".to_owned(), "intents".to_owned()));
    assert_eq!(read, expected);
    // A letter is set aside by whoever reads, so a topic that nobody here reads has no letters of ours.
    let all = TopicId::all().map(|topic| topic.name().to_owned());
    let dead = read.iter().map(|(_, topic)| format!("{topic}{DEAD}"));
    assert_eq!(written, all.chain(dead).collect());
}

#[test]
fn the_document_is_of_this_release() {
    let document = document();
    assert_eq!((document.asyncapi.as_str(), document.info.version.as_str()), ("3.0.0", env!("CARGO_PKG_VERSION")));
    assert!(events::all().iter().map(Event::topic).collect::<BTreeSet<_>>().len() == TopicId::all().count() - 1);
}
