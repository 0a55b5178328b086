//! A change of core as one atomic batch of the store.

use super::outbox::{Batch, Ends};
use super::{expiry, key};
use doorbuster_core::database::draft::Change;
use doorbuster_core::database::event::{Event, Topic};
use doorbuster_core::database::rows::OrderRow;
use doorbuster_core::database::tables::View;
use doorbuster_core::ids::Version;
use doorbuster_core::order::status::Status;
use fjall::{Keyspace, OwnedWriteBatch};
use serde::Serialize;

/// Puts and removes rows, moves the index of due orders, and appends the events; tells where the topics end then.
pub fn stage(
    batch: &mut OwnedWriteBatch,
    keyspaces: (&Keyspace, &Keyspace),
    view: &View,
    change: Change,
    ends: Ends,
) -> Result<Ends, fjall::Error> {
    let (rows, outbox) = keyspaces;
    macro_rules! put {
        ($($table:ident: $encode:path,)*) => {
            $(for (id, row) in &change.rows.$table {
                batch.insert(rows, $encode(id), encode(row));
            }
            for id in &change.removed.$table {
                batch.remove(rows, $encode(id));
            })*
        };
    }
    put! {
        sales: key::sale,
        ranges: key::range,
        products: key::product,
        skus: key::sku,
        shards: key::shard,
        stock: key::stock,
        orders: key::order,
        quotas: key::quota,
        payments: key::payment,
        top_ups: key::top_up,
        sales_rings: key::sales_ring,
        sales_cursors: key::sales_cursor,
        counted: key::counted,
    }
    expiry::stage(batch, rows, &change.rows.counted)?;
    for (id, row) in &change.rows.orders {
        move_due(batch, rows, view.rows.orders.get(id), row);
    }
    Ok(append(batch, outbox, change.events, ends))
}

fn move_due(batch: &mut OwnedWriteBatch, rows: &Keyspace, before: Option<&OrderRow>, after: &OrderRow) {
    let indexed = |row: &OrderRow| (row.status == Status::PendingPayment).then_some((row.expires_at, row.version));
    let (old, new) = (before.and_then(indexed), indexed(after));
    if old == new {
        return;
    }
    let id = after.id;
    if let Some((expires_at, _)) = old {
        batch.remove(rows, key::due(id.shard, expires_at, id.reservation));
    }
    if let Some((expires_at, Version(version))) = new {
        batch.insert(rows, key::due(id.shard, expires_at, id.reservation), encode(&version));
    }
}

fn append(batch: &mut OwnedWriteBatch, outbox: &Keyspace, events: Vec<Event>, mut ends: Ends) -> Ends {
    let mut batches = Topic::ALL.map(|topic| (topic, Vec::new()));
    for event in events {
        let topic = event.topic();
        batches.iter_mut().find(|(own, _)| *own == topic).expect("every topic is in the list").1.push(event);
    }
    for (topic, events) in batches {
        if events.is_empty() {
            continue;
        }
        let count = events.len() as u64;
        batch.insert(outbox, key::outbox(topic, ends.of(topic)), encode(&Batch { events }));
        ends.advance(topic, count);
    }
    ends
}

/// The bytes of a row.
pub fn encode(row: &impl Serialize) -> Vec<u8> {
    postcard::to_stdvec(row).expect("rows hold nothing that the format cannot tell")
}
