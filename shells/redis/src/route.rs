//! Under which keys a shard is kept.

use doorbuster_core::ids::ShardId;
use doorbuster_lua::keys::ShardKeys;
use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

/// The hash tag of a shard: all of its keys are on one server.
pub fn tag_of(shard: ShardId) -> String {
    format!("{}:{}:0", shard.sale, shard.k)
}

/// Keys by shard, built once. Bounded by the shards of all sales.
#[derive(Default)]
pub struct Routes {
    keys: RwLock<BTreeMap<ShardId, Arc<ShardKeys>>>,
}

impl Routes {
    pub fn keys(&self, shard: ShardId) -> Arc<ShardKeys> {
        if let Some(keys) = self.keys.read().expect("no holder of this lock panics").get(&shard) {
            return keys.clone();
        }
        let mut keys = self.keys.write().expect("no holder of this lock panics");
        keys.entry(shard).or_insert_with(|| Arc::new(ShardKeys::tagged(&tag_of(shard)))).clone()
    }
}
