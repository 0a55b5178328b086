//! The outbox: what a transaction tells, one row per subject.

use super::{Cells, Misread, Write};
use crate::value::json;
use doorbuster_core::database::event::Event;
use google_cloud_spanner::mutation::Mutation;
use google_cloud_spanner::value::Value;
use std::collections::BTreeMap;

/// What Spanner replaces by the commit's own time.
const COMMIT_TIMESTAMP: &str = "spanner.commit_timestamp()";

/// Cells of one row.
const CELLS: usize = 4;

/// One row as the change stream shows it: all events of one transaction about one subject, in their order.
pub struct OutboxRow {
    /// The events.
    pub events: Vec<Event>,
}

impl OutboxRow {
    /// From the column `events`: JSON, or a text of it.
    pub fn parse(column: &serde_json::Value) -> Result<OutboxRow, Misread> {
        let events = match column.as_str() {
            Some(text) => serde_json::from_str(text),
            None => serde_json::from_value(column.clone()),
        };
        let misread =
            |error: serde_json::Error| Cells::of("outbox", &[]).misread(format!("JSON of no events: {error}"));
        Ok(OutboxRow { events: events.map_err(misread)? })
    }
}

/// The rows of one attempt's events. `batch` is drawn for this attempt alone: two transactions may tell of one subject
/// at the same commit time.
pub fn outbox_mutations(events: Vec<Event>, batch: &str) -> Vec<Write> {
    let mut by_subject: BTreeMap<String, Vec<Event>> = BTreeMap::new();
    for event in events {
        by_subject.entry(event.subject()).or_default().push(event);
    }
    let row = |(subject, events): (String, Vec<Event>)| {
        let columns: [(&str, Value); CELLS] = [
            ("subject", subject.into()),
            ("batch", batch.into()),
            ("events", json(&events)),
            ("committed_at", COMMIT_TIMESTAMP.into()),
        ];
        let builder = Mutation::new_insert_builder("outbox");
        let mutation = columns.into_iter().fold(builder, |builder, (name, value)| builder.set(name).to(value)).build();
        Write { mutation, cells: CELLS }
    };
    by_subject.into_iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorbuster_core::ids::{Epoch, SaleId, ShardId, SkuId, Version};

    fn granted(grant_seq: u64) -> Event {
        let shard = ShardId { sale: SaleId::parse("demo").unwrap(), k: 0 };
        Event::Granted { shard, epoch: Epoch(1), sku: SkuId::parse("a").unwrap(), quantity: 1, grant_seq }
    }

    #[test]
    fn events_of_one_subject_share_a_row_and_keep_their_order() {
        let changed = Event::SaleChanged { sale: SaleId::parse("demo").unwrap(), version: Version(2) };
        let rows = outbox_mutations(vec![granted(1), changed, granted(2)], "b");
        assert_eq!(rows.len(), 2);
        assert_eq!(rows.iter().map(|row| row.cells).sum::<usize>(), 8);
    }

    #[test]
    fn events_survive_as_json_and_as_its_text() {
        let events = vec![granted(u64::MAX), granted(2)];
        let column = serde_json::to_value(&events).unwrap();
        let text = serde_json::Value::String(column.to_string());
        for column in [column, text] {
            assert_eq!(OutboxRow::parse(&column).unwrap().events, events);
        }
        assert!(OutboxRow::parse(&serde_json::Value::Null).is_err());
    }
}
