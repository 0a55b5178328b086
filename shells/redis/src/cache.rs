//! The shared cache: what its scripts do, and the channel that tells every process of a change.

use crate::script::Answered;
use crate::servers::{Purpose, Servers};
use crate::subscription;
use crate::trouble::Trouble;
use async_trait::async_trait;
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
use doorbuster_runtime::drive::Stop;
use doorbuster_runtime::ports::Unavailable;
use doorbuster_runtime::ports::cache::{Listen, SharedCache};
use futures_util::future::join_all;
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
pub struct RedisSharedCache {
    servers: Arc<Servers>,
}

#[async_trait]
impl SharedCache for RedisSharedCache {
    async fn read(&self, product: ProductId) -> Outcome<Found, Infallible> {
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

    async fn fill(
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

    async fn floor(&self, changes: Vec<(ProductId, Version)>) -> Outcome<Vec<Floored>, Unavailable> {
        // Each is a call of its own, because a cluster has each on another server; all are on their way at once.
        let calls = changes.into_iter().map(|(product, version)| self.floor_one(product, version));
        together(join_all(calls).await)
    }

    async fn announce(&self, changes: Vec<(ProductId, Version)>) -> Outcome<(), Unavailable> {
        let calls = changes.into_iter().map(|(product, version)| self.announce_one(product, version));
        match together(join_all(calls).await) {
            Outcome::Done(_) => Outcome::Done(()),
            Outcome::Refused(why) => Outcome::Refused(why),
            Outcome::Unknown => Outcome::Unknown,
        }
    }

    fn listen(&self, stop: Stop) -> Box<dyn Listen> {
        Box::new(subscription::listen(self.servers.clone(), stop))
    }
}

impl RedisSharedCache {
    /// Over these servers.
    pub fn new(servers: Arc<Servers>) -> RedisSharedCache {
        RedisSharedCache { servers }
    }

    async fn floor_one(&self, product: ProductId, version: Version) -> Result<Floored, Trouble> {
        match self.run(&Call::CacheFloor(product, version)).await? {
            Reply::Floored { floored, .. } => Ok(floored),
            reply => unreachable!("a floor is not answered with {reply:?}"),
        }
    }

    async fn announce_one(&self, product: ProductId, version: Version) -> Result<(), Trouble> {
        let mut commands = Pipeline::new();
        commands.cmd("PUBLISH").arg(CHANNEL).arg(announcement(product, version));
        let asked = self.servers.ask(&cache_key(product), Purpose::Cache, &commands, self.answer()).await?;
        match asked.value[0] {
            Value::Integer(_) => Ok(()),
            // Told or not: telling it again drops what is older once more.
            _ => Err(Trouble::Unknown("a message was not answered with a count".to_owned())),
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

/// Calls of one wish: done when all are, refused when nothing was done.
fn together<T>(answers: Vec<Result<T, Trouble>>) -> Outcome<Vec<T>, Unavailable> {
    let (mut done, mut refusal, mut unknown) = (Vec::new(), None, false);
    for answer in answers {
        match answer {
            Ok(value) => done.push(value),
            Err(Trouble::Nothing(why)) => refusal = Some(Unavailable(why)),
            Err(Trouble::Fenced | Trouble::Unknown(_)) => unknown = true,
        }
    }
    match refusal {
        None if !unknown => Outcome::Done(done),
        Some(why) if !unknown && done.is_empty() => Outcome::Refused(why),
        // Some of them, or nobody knows: all are repeated, and a second time changes nothing.
        Some(_) | None => Outcome::Unknown,
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
