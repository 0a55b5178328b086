//! Which shards there are: followed from the sales' rows, for roles that keep one machine per shard.

use super::Ports;
use crate::drive::{Stop, spawn};
use doorbuster_core::ids::ShardId;
use std::collections::BTreeSet;
use std::time::Duration;

/// A new sale's shards are found within this: a buyer who comes at once is told to come again in a moment.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Calls `found` once for each shard of each sale, now and whenever one appears, until stopped.
pub fn follow(ports: &Ports, stop: &Stop, mut found: impl FnMut(ShardId) + Send + 'static) {
    let (ports, mut stop) = (ports.clone(), stop.clone());
    spawn(async move {
        let following = async {
            let mut known = BTreeSet::new();
            loop {
                for shard in shards(&ports).await {
                    if known.insert(shard) {
                        found(shard);
                    }
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        tokio::select! {
            biased;
            _ = stop.wait_for(|stopped| *stopped) => {}
            () = following => {}
        }
    });
}

/// All shards of all sales; none when the database cannot be asked now.
async fn shards(ports: &Ports) -> Vec<ShardId> {
    let Ok(snapshot) = ports.store.snapshot().await else { return Vec::new() };
    let Ok(sales) = snapshot.sales().await else { return Vec::new() };
    sales.iter().flat_map(|sale| (0..sale.shards).map(|k| ShardId { sale: sale.id, k })).collect()
}
