//! Events on the wire: CloudEvents 1.0 in Kafka's binary mode, key = the subject.
//!
//! <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md>

use crate::letter::Letter;
use data_encoding::HEXLOWER;
use doorbuster_core::database::event::Event;
use sha2::{Digest, Sha256};

/// What the type of every event of this format begins and ends with; a later format ends with another version.
const TYPE_PREFIX: &str = "doorbuster.";
const TYPE_SUFFIX: &str = ".v1";

/// An event as a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloudEvent {
    /// Names it: the same event told twice has the same id.
    pub id: String,
    /// What happened, with the version of the format.
    pub kind: String,
    /// The topic's name without the prefix of the cluster.
    pub source: String,
    /// What it is about.
    pub subject: String,
    /// When, where the event says it.
    pub time: Option<String>,
    /// JSON.
    pub data: Vec<u8>,
}

impl CloudEvent {
    /// An event in this form.
    pub fn of(event: &Event) -> CloudEvent {
        let (variant, name) = names(event);
        let whole = serde_json::to_vec(event).expect("an event holds nothing that JSON cannot tell");
        // The format names a variant by a field around its content; here its name is the type, and the content the data.
        let around = variant.len() + r#"{"":"#.len();
        let data = whole[around..whole.len() - 1].to_vec();
        CloudEvent {
            id: HEXLOWER.encode(&Sha256::digest(&whole)[..16]),
            kind: format!("{TYPE_PREFIX}{name}{TYPE_SUFFIX}"),
            source: format!("/doorbuster/{}", event.topic().name()),
            subject: event.subject(),
            time: None,
            data,
        }
    }

    /// Its headers, in the order of the specification.
    pub fn headers(&self) -> Vec<(&'static str, &str)> {
        let mut headers = vec![
            ("ce_specversion", "1.0"),
            ("ce_id", self.id.as_str()),
            ("ce_source", self.source.as_str()),
            ("ce_type", self.kind.as_str()),
            ("ce_subject", self.subject.as_str()),
        ];
        headers.extend(self.time.as_deref().map(|time| ("ce_time", time)));
        headers.push(("content-type", "application/json"));
        headers
    }
}

/// The event of a record.
///
/// # Errors
/// What is wrong with it, for whoever looks at dead letters.
pub fn decode(letter: &Letter) -> Result<Event, String> {
    if letter.header("ce_specversion") != Some("1.0") {
        return Err("no CloudEvent of version 1.0".to_owned());
    }
    let kind = letter.header("ce_type").ok_or("a CloudEvent without a type")?;
    let name = kind.strip_prefix(TYPE_PREFIX).and_then(|rest| rest.strip_suffix(TYPE_SUFFIX));
    let name = name.ok_or_else(|| format!("the type {kind:?} is not known here"))?;
    let (variant, _) = NAMES.iter().find(|(_, known)| *known == name).ok_or_else(|| format!("no event {name:?}"))?;
    let data = letter.value.as_deref().ok_or("a CloudEvent without data")?;
    let mut whole = Vec::with_capacity(data.len() + variant.len() + 5);
    whole.extend_from_slice(b"{\"");
    whole.extend_from_slice(variant.as_bytes());
    whole.extend_from_slice(b"\":");
    whole.extend_from_slice(data);
    whole.push(b'}');
    serde_json::from_slice(&whole).map_err(|error| error.to_string())
}

/// Each variant with the name that its type carries.
const NAMES: [(&str, &str); 11] = [
    ("OrderChanged", "order-changed"),
    ("TimeoutDue", "timeout-due"),
    ("Settled", "settled"),
    ("Granted", "granted"),
    ("ReservationLost", "reservation-lost"),
    ("PaymentLate", "payment-late"),
    ("RefundDue", "refund-due"),
    ("SaleChanged", "sale-changed"),
    ("CatalogChanged", "catalog-changed"),
    ("SalesMoved", "sales-moved"),
    ("SalesAdvanced", "sales-advanced"),
];

fn names(event: &Event) -> (&'static str, &'static str) {
    NAMES[match event {
        Event::OrderChanged(_) => 0,
        Event::TimeoutDue { .. } => 1,
        Event::Settled { .. } => 2,
        Event::Granted { .. } => 3,
        Event::ReservationLost { .. } => 4,
        Event::PaymentLate { .. } => 5,
        Event::RefundDue { .. } => 6,
        Event::SaleChanged { .. } => 7,
        Event::CatalogChanged { .. } => 8,
        Event::SalesMoved(_) => 9,
        Event::SalesAdvanced { .. } => 10,
    }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorbuster_core::ids::{Epoch, PaymentId, ProductId, SaleId, ShardId, SkuId, Version};

    fn events() -> Vec<Event> {
        let sale = SaleId::parse("demo").unwrap();
        let (sku, product) = (SkuId::parse("sku-1").unwrap(), ProductId::parse("p").unwrap());
        let order = "demo.0.aaaaaaaaaaaaaaaaaaaaaaaaaa".parse().unwrap();
        vec![
            Event::SaleChanged { sale, version: Version(u64::MAX) },
            Event::CatalogChanged { product, version: Version(0) },
            Event::Granted { shard: ShardId { sale, k: 1 }, epoch: Epoch(2), sku, quantity: 3, grant_seq: 4 },
            Event::RefundDue { payment: PaymentId::parse("pay-1").unwrap(), order },
        ]
    }

    fn letter(event: &CloudEvent) -> Letter {
        Letter {
            topic: String::new(),
            partition: 0,
            offset: 0,
            timestamp_ms: None,
            key: None,
            value: Some(event.data.clone()),
            headers: event.headers().into_iter().map(|(name, value)| (name.into(), Some(value.into()))).collect(),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for event in events() {
            let (variant, _) = names(&event);
            assert!(format!("{event:?}").starts_with(variant), "{variant} names {event:?}");
            let told = CloudEvent::of(&event);
            assert_eq!(told, CloudEvent::of(&event), "the same event has the same id");
            assert!(serde_json::from_slice::<serde_json::Value>(&told.data).unwrap().is_object());
            assert_eq!(decode(&letter(&told)), Ok(event));
        }
    }

    #[test]
    fn another_format_is_not_guessed() {
        let told = CloudEvent::of(&events()[0]);
        let mut later = letter(&told);
        later.headers[3].1 = Some(b"doorbuster.sale-changed.v2".to_vec());
        assert!(decode(&later).is_err_and(|reason| reason.contains("v2")));
        let mut torn = letter(&told);
        torn.value = Some(b"{}, \"x\": {}".to_vec());
        assert!(decode(&torn).is_err());
        assert!(decode(&Letter { headers: Vec::new(), ..letter(&told) }).is_err());
    }
}
