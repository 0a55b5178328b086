//! Loading a shard's server from one snapshot of the rows, chunk by chunk.

use super::Ports;
use crate::ports::Unavailable;
use crate::ports::store::Snapshot;
use doorbuster_core::database::rows::{OrderRow, Phase};
use doorbuster_core::database::tables::Reads;
use doorbuster_core::ids::ShardId;
use doorbuster_core::ledger::epoch::{load_head, record_of};
use doorbuster_core::ledger::load::{Chunk, LoadHead, LoadRefusal};
use doorbuster_core::ledger::shard::Fence;
use doorbuster_core::limits::LOAD_CHUNK_MAX;
use doorbuster_core::outcome::Outcome;

/// Streams the load of this fence; answers how many chunks the server took.
///
/// `Unknown` when the rows could not be read or a chunk's answer was lost: the server stays in loading, and the ladder
/// ends that epoch unopened.
pub async fn load(ports: &Ports, shard: ShardId, fence: Fence) -> Outcome<u32, LoadRefusal> {
    let Ok(snapshot) = ports.store.snapshot().await else { return Outcome::Unknown };
    let Ok(Some(head)) = head_of(snapshot.as_ref(), shard, fence).await else { return Outcome::Unknown };
    let (mut head, mut after, mut number) = (Some(head), None, 0);
    loop {
        let Ok(orders) = snapshot.orders(shard, after, LOAD_CHUNK_MAX).await else { return Outcome::Unknown };
        if orders.is_empty() && head.is_none() {
            return Outcome::Done(number);
        }
        after = orders.last().map(|order: &OrderRow| order.id.reservation);
        number += 1;
        let chunk = Chunk { number, head: head.take(), records: orders.iter().filter_map(record_of).collect() };
        match ports.ledger.load(shard, fence, chunk).await {
            Outcome::Done(()) => {}
            Outcome::Refused(refusal) => return Outcome::Refused(refusal),
            Outcome::Unknown => return Outcome::Unknown,
        }
        if after.is_none() {
            return Outcome::Done(number);
        }
    }
}

/// The head, if the shard is OPENING under this fence in the snapshot.
async fn head_of(snapshot: &dyn Snapshot, shard: ShardId, fence: Fence) -> Result<Option<LoadHead>, Unavailable> {
    let mut reads = Reads::default();
    reads.shards.insert(shard);
    reads.sales.insert(shard.sale);
    reads.ranges.insert(shard.sale);
    let rows = snapshot.read(reads).await?;
    let opening = rows.shards.get(&shard).is_some_and(|row| row.phase == Phase::Opening && row.fence() == fence);
    let (Some(sale), Some(range), true) = (rows.sales.get(&shard.sale), rows.ranges.get(&shard.sale), opening) else {
        return Ok(None);
    };
    let mut reads = Reads::default();
    reads.stock.extend(range.skus.iter().map(|sku| (shard, *sku)));
    let stock = snapshot.read(reads).await?.stock;
    let stock: Vec<_> = stock.into_iter().map(|((_, sku), row)| (sku, row)).collect();
    Ok(Some(load_head(sale, &stock)))
}
