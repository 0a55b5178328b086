//! The shared cache: what its scripts do, and the channel that tells every process of a change.

use crate::script::Answered;
use crate::servers::{Purpose, Servers};
use crate::trouble::Trouble;
use doorbuster_core::cache::Value as Product;
use doorbuster_core::cache::shared::{FillRefusal, Floored, Found};
use doorbuster_core::ids::{ProductId, Version};
use doorbuster_core::outcome::Outcome;
use doorbuster_core::time::Wall;
use doorbuster_lua::cache::{decode_document, decode_time};
use doorbuster_lua::call::Call;
use doorbuster_lua::keys::{ShardKeys, cache_key};
use doorbuster_lua::reply::Reply;
use doorbuster_lua::value::{ReplyError, Value};
use doorbuster_runtime::ports::Unavailable;
use redis::Pipeline;
use std::convert::Infallible;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// Where changes are told, as `product version`.
pub const CHANNEL: &str = "cache:invalidated";

/// A call about a product names its own key; those of a shard are not used.
pub(crate) static NO_SHARD: LazyLock<ShardKeys> = LazyLock::new(|| ShardKeys::tagged("none"));

/// The cache that all processes share.
#[derive(Clone)]
pub struct SharedCache {
    servers: Arc<Servers>,
}

impl SharedCache {
    /// Over these servers.
    pub fn new(servers: Arc<Servers>) -> SharedCache {
        SharedCache { servers }
    }

    /// What stands under a product, and the server's clock before that was read.
    pub async fn read(&self, product: ProductId) -> Outcome<Found, Infallible> {
        let key = cache_key(product);
        let mut questions = Pipeline::new();
        questions.cmd("TIME");
        questions.cmd("GET").arg(&key);
        let Ok(asked) = self.servers.ask(&key, Purpose::Cache, &questions, self.answer()).await else {
            // A read changes nothing: whoever asked loads the product from the database.
            return Outcome::Unknown;
        };
        match found(&asked.value) {
            Ok(found) => Outcome::Done(found),
            Err(error) => {
                tracing::warn!(%error, key, "the shared cache cannot be read");
                Outcome::Unknown
            }
        }
    }

    /// Fills in a product that was read after `asked_at`. An answer that is lost changes nothing for anybody.
    pub async fn fill(
        &self,
        product: ProductId,
        version: Version,
        value: Product,
        asked_at: Wall,
    ) -> Outcome<(), FillRefusal> {
        match self.run(&Call::CacheFill { product, version, value, asked_at }).await {
            Ok(Reply::Filled { verdict: Ok(()), .. }) => Outcome::Done(()),
            Ok(Reply::Filled { verdict: Err(refusal), .. }) => Outcome::Refused(refusal),
            Ok(reply) => unreachable!("a fill is not answered with {reply:?}"),
            Err(_) => Outcome::Unknown,
        }
    }

    /// Writes the floor of a committed change. Repeated until it is done; only then may the change be announced.
    pub async fn floor(&self, product: ProductId, version: Version) -> Outcome<Floored, Unavailable> {
        match self.run(&Call::CacheFloor(product, version)).await {
            Ok(Reply::Floored { floored, .. }) => Outcome::Done(floored),
            Ok(reply) => unreachable!("a floor is not answered with {reply:?}"),
            Err(Trouble::Nothing(why)) => Outcome::Refused(Unavailable(why)),
            Err(Trouble::Fenced | Trouble::Unknown(_)) => Outcome::Unknown,
        }
    }

    /// Tells every process that listens now. Others hear of it by the age of what they keep.
    pub async fn announce(&self, product: ProductId, version: Version) -> Outcome<(), Unavailable> {
        let mut commands = Pipeline::new();
        commands.cmd("PUBLISH").arg(CHANNEL).arg(announcement(product, version));
        match self.servers.ask(&cache_key(product), Purpose::Cache, &commands, self.answer()).await {
            Ok(asked) if matches!(asked.value[0], Value::Integer(_)) => Outcome::Done(()),
            Err(Trouble::Nothing(why)) => Outcome::Refused(Unavailable(why)),
            // Told or not: telling it again drops what is older once more.
            Ok(_) | Err(Trouble::Fenced | Trouble::Unknown(_)) => Outcome::Unknown,
        }
    }

    async fn run(&self, call: &Call) -> Result<Reply, Trouble> {
        let Answered { value, .. } = self.servers.run(&NO_SHARD, Purpose::Cache, call, self.answer()).await?;
        Ok(value)
    }

    fn answer(&self) -> Duration {
        Duration::from_millis(self.servers.config.cache_ms)
    }
}

fn found(replies: &[Value]) -> Result<Found, ReplyError> {
    let [time, document] = replies else { return Err(ReplyError::Truncated) };
    Ok(Found { at: decode_time(time)?, document: decode_document(document)? })
}

/// A change as the channel carries it.
pub(crate) fn announcement(product: ProductId, version: Version) -> String {
    format!("{product} {}", version.0)
}

/// Reads what [`announcement`] writes.
pub(crate) fn read_announcement(text: &[u8]) -> Option<(ProductId, Version)> {
    let (product, version) = std::str::from_utf8(text).ok()?.split_once(' ')?;
    Some((ProductId::parse(product).ok()?, Version(version.parse().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announcement_is_read_as_it_was_written() {
        let lamp = ProductId::parse("lamp").unwrap();
        assert_eq!(read_announcement(announcement(lamp, Version(7)).as_bytes()), Some((lamp, Version(7))));
        for noise in ["", "lamp", "lamp x", " 7", "lamp -1"] {
            assert_eq!(read_announcement(noise.as_bytes()), None, "{noise:?}");
        }
    }
}
