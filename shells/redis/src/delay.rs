//! The delay queue: one per shard, so that a shard's tasks live and die with its server.

use crate::directory::Directory;
use crate::route::Routes;
use crate::script::Answered;
use crate::servers::{Purpose, Servers};
use crate::trouble::Trouble;
use async_trait::async_trait;
use doorbuster_core::delay::queue::{Completion, StaleToken, Task, Token};
use doorbuster_core::ids::{OrderId, ShardId};
use doorbuster_core::limits::DELAY_TASKS_MAX;
use doorbuster_core::outcome::Outcome;
use doorbuster_core::time::Mono;
use doorbuster_lua::call::Call;
use doorbuster_lua::reply::Reply;
use doorbuster_runtime::ports::Unavailable;
use doorbuster_runtime::ports::delay::DelayQueue;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Queues that one claim or recovery asks, one after the other: some milliseconds of round trips. With more shards than
/// that the next call goes on where this one ended.
const TURNS_MAX: usize = 64;
/// The list of shards is read again after this: a new sale's first tasks are due a second after its opening at the
/// earliest.
const SHARDS_AGE_MS: u64 = 500;

/// The delay queues of all shards as one.
pub struct RedisDelayQueue {
    servers: Arc<Servers>,
    directory: Arc<dyn Directory>,
    routes: Routes,
    shards: tokio::sync::Mutex<Option<(Mono, Arc<Vec<ShardId>>)>>,
    claims: Turns,
    recoveries: Turns,
}

/// Which shard was asked last.
#[derive(Default)]
struct Turns(Mutex<Option<ShardId>>);

impl Turns {
    /// Shards in the order in which they are to be asked, at most `TURNS_MAX`; `asked` is told of each that was.
    fn order(&self, shards: &[ShardId]) -> Vec<ShardId> {
        let last = *self.0.lock().expect("no holder of this lock panics");
        let begin = last.map_or(0, |last| shards.partition_point(|shard| *shard <= last));
        shards[begin..].iter().chain(&shards[..begin]).take(TURNS_MAX).copied().collect()
    }

    fn asked(&self, shard: ShardId) {
        *self.0.lock().expect("no holder of this lock panics") = Some(shard);
    }
}

/// What several calls came to together.
#[derive(Default)]
struct Sum {
    done: usize,
    unknown: usize,
    refusal: Option<String>,
}

impl Sum {
    fn count(&mut self, trouble: Trouble) {
        match trouble {
            Trouble::Nothing(why) => self.refusal = Some(why),
            Trouble::Fenced => self.refusal = Some("no script of the delay queue is fenced".to_owned()),
            Trouble::Unknown(_) => self.unknown += 1,
        }
    }

    /// What was done counts, if that may be told without the rest.
    fn in_part<T>(self, value: T) -> Outcome<T, Unavailable> {
        match self {
            Sum { done: 0, unknown: 0, refusal: Some(why) } => Outcome::Refused(Unavailable(why)),
            Sum { done: 0, unknown: 1.., .. } => Outcome::Unknown,
            Sum { .. } => Outcome::Done(value),
        }
    }

    /// Only all of it counts.
    fn in_full<T>(self, value: T) -> Outcome<T, Unavailable> {
        match self {
            Sum { unknown: 0, refusal: None, .. } => Outcome::Done(value),
            Sum { done: 0, unknown: 0, refusal: Some(why) } => Outcome::Refused(Unavailable(why)),
            // Some of it is done or may be: doing it again is harmless.
            Sum { .. } => Outcome::Unknown,
        }
    }
}

impl RedisDelayQueue {
    /// Over these servers; the directory tells which shards there are.
    pub fn new(servers: Arc<Servers>, directory: Arc<dyn Directory>) -> RedisDelayQueue {
        let (claims, recoveries) = (Turns::default(), Turns::default());
        RedisDelayQueue {
            servers,
            directory,
            routes: Routes::default(),
            shards: Default::default(),
            claims,
            recoveries,
        }
    }

    async fn run(&self, shard: ShardId, call: &Call) -> Result<Reply, Trouble> {
        let keys = self.routes.keys(shard);
        let Answered { value, .. } = self.servers.run(&keys, Purpose::Delay, call, self.servers.answer()).await?;
        Ok(value)
    }

    async fn shards(&self) -> Result<Arc<Vec<ShardId>>, Unavailable> {
        let mut known = self.shards.lock().await;
        let now = self.servers.connector.env.now().mono;
        if let Some((_, shards)) = known.as_ref().filter(|(at, _)| now < at.after_ms(SHARDS_AGE_MS)) {
            return Ok(shards.clone());
        }
        match self.directory.shards().await {
            Ok(mut shards) => {
                shards.sort_unstable();
                let shards = Arc::new(shards);
                *known = Some((now, shards.clone()));
                Ok(shards)
            }
            // Yesterday's shards are served while nobody tells of new ones.
            Err(error) => known.as_ref().map(|(_, shards)| shards.clone()).ok_or(error),
        }
    }
}

#[async_trait]
impl DelayQueue for RedisDelayQueue {
    async fn schedule(&self, tasks: Vec<Task>) -> Outcome<(), Unavailable> {
        let mut by_shard: BTreeMap<ShardId, Vec<Task>> = BTreeMap::new();
        for task in tasks {
            by_shard.entry(task.order.shard).or_default().push(task);
        }
        let mut sum = Sum::default();
        for (shard, tasks) in by_shard {
            for portion in tasks.chunks(DELAY_TASKS_MAX) {
                match self.run(shard, &Call::DelaySchedule(portion.to_vec())).await {
                    Ok(_) => sum.done += 1,
                    Err(trouble) => sum.count(trouble),
                }
            }
        }
        sum.in_full(())
    }

    async fn claim(&self, token: Token, limit: usize, lease_ms: u64) -> Outcome<Vec<OrderId>, Unavailable> {
        let shards = match self.shards().await {
            Ok(shards) => shards,
            Err(error) => return Outcome::Refused(error),
        };
        let (mut sum, mut claimed) = (Sum::default(), Vec::new());
        for shard in self.claims.order(&shards) {
            let limit = (limit - claimed.len()).min(DELAY_TASKS_MAX);
            if limit == 0 {
                break;
            }
            self.claims.asked(shard);
            match self.run(shard, &Call::DelayClaim { limit, token, lease_ms }).await {
                Ok(Reply::Claimed { orders, .. }) => {
                    sum.done += 1;
                    claimed.extend(orders);
                }
                Ok(reply) => unreachable!("a claim is not answered with {reply:?}"),
                // What this one may have claimed comes back when its lease has ended.
                Err(trouble) => sum.count(trouble),
            }
        }
        sum.in_part(claimed)
    }

    async fn complete(&self, completions: Vec<Completion>) -> Outcome<Vec<Result<(), StaleToken>>, Unavailable> {
        let mut by_shard: BTreeMap<ShardId, Vec<usize>> = BTreeMap::new();
        for (index, completion) in completions.iter().enumerate() {
            by_shard.entry(completion.order.shard).or_default().push(index);
        }
        let (mut sum, mut ended) = (Sum::default(), vec![Err(StaleToken); completions.len()]);
        for (shard, indices) in by_shard {
            for portion in indices.chunks(DELAY_TASKS_MAX) {
                let call = Call::DelayComplete(portion.iter().map(|index| completions[*index]).collect());
                match self.run(shard, &call).await {
                    Ok(Reply::Completed { completed, .. }) => {
                        sum.done += 1;
                        portion.iter().zip(completed).for_each(|(index, answer)| ended[*index] = answer);
                    }
                    Ok(reply) => unreachable!("completions are not answered with {reply:?}"),
                    Err(trouble) => sum.count(trouble),
                }
            }
        }
        sum.in_full(ended)
    }

    async fn recover(&self, limit: usize) -> Outcome<usize, Unavailable> {
        let shards = match self.shards().await {
            Ok(shards) => shards,
            Err(error) => return Outcome::Refused(error),
        };
        let (mut sum, mut recovered) = (Sum::default(), 0);
        for shard in self.recoveries.order(&shards) {
            let limit = (limit - recovered).min(DELAY_TASKS_MAX);
            if limit == 0 {
                break;
            }
            self.recoveries.asked(shard);
            match self.run(shard, &Call::DelayRecover(limit)).await {
                Ok(Reply::Recovered { count, .. }) => {
                    sum.done += 1;
                    recovered += count as usize;
                }
                Ok(reply) => unreachable!("a recovery is not answered with {reply:?}"),
                Err(trouble) => sum.count(trouble),
            }
        }
        sum.in_part(recovered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorbuster_core::ids::SaleId;

    #[test]
    fn every_shard_has_its_turn() {
        let shard = |k| ShardId { sale: SaleId::parse("many").unwrap(), k };
        let (shards, turns): (Vec<ShardId>, _) = ((0..150).map(shard).collect(), Turns::default());
        let mut seen = Vec::new();
        for _ in 0..3 {
            for shard in turns.order(&shards) {
                turns.asked(shard);
                seen.push(shard);
            }
        }
        assert_eq!(seen[..150], shards[..]);
        assert_eq!(seen[150], shard(0), "and then from the beginning");
    }
}
