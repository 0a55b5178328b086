//! A new generation of the index, made while the old one is searched and written.
//!
//! 1. A generation is made without an alias, and filled by whoever rebuilds it, with whole documents of new snapshots.
//!    Indexers do not know of it: they go on writing behind the alias.
//! 2. The alias that is written moves to it, in one call. An indexer's bulk goes where the alias leads when it is there.
//! 3. The old generation is blocked for writes. The server answers when every bulk that had begun in it has ended, and one
//!    that comes later fails and is written again, behind the alias. So the old generation now stands still.
//! 4. What it has is copied. External versions refuse every copy that is older than what the new one has. Now the new
//!    generation has of every product at least what the old one shows.
//! 5. The alias that is searched moves to it, in one call, and what is shown does not go back.
//! 6. The old one is deleted when searches that began on it have ended.
//!
//! No step waits for a clock or for indexers to hear of anything. Each is found again in the standing of the aliases, and
//! may be done twice or by two: [`Reindex::finish`] goes on where a dead one stopped, and one that was overtaken is refused
//! because the alias is not where it takes it from. Between 2 and 5 what is shown stands still.

mod copy;

use crate::answer::{Trouble, heard};
use crate::bulk::Target;
use crate::cluster::Cluster;
use crate::index;
use crate::names::Generation;
use crate::standing::Standing;
use crate::template::{FORMAT, create};
pub use copy::Copied;
use copy::Copying;
use doorbuster_core::outcome::Outcome;
use doorbuster_core::search::document::{Document, SnapshotTime};
use doorbuster_core::search::indexer::{PushedBack, Written};
use elasticsearch::indices::{IndicesAddBlockParts, IndicesDeleteParts, IndicesGetMappingParts, IndicesRefreshParts};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// What a rebuild has to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Every product is to be written to this generation with [`Reindex::write`]; then it is finished.
    Fill(Generation),
    /// This one was filled by somebody who died after it: it is finished with [`SnapshotTime`] 0.
    Finish(Generation),
}

/// Why a rebuild stopped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReindexTrouble {
    /// The servers; asked again, it goes on.
    #[error(transparent)]
    Server(#[from] Trouble),
    /// There is no index yet to take the place of.
    #[error("there is no index yet")]
    NoIndex,
    /// Another generation has taken the old one's place.
    #[error("generation {0} is written now: another rebuild was faster")]
    Overtaken(Generation),
}

/// The rebuilding of one index.
pub struct Reindex(Arc<Cluster>);

impl Reindex {
    /// In this cluster.
    pub fn new(cluster: Arc<Cluster>) -> Reindex {
        Reindex(cluster)
    }

    /// Makes a generation, or finds the one that a rebuild before was filling or finishing.
    ///
    /// # Errors
    /// The servers cannot be asked now, or there is no index.
    pub async fn begin(&self) -> Result<Next, ReindexTrouble> {
        let standing = Standing::read(&self.0).await?;
        let (Some(reads), Some(writes)) = (standing.reads, standing.writes) else {
            return Err(ReindexTrouble::NoIndex);
        };
        if writes > reads {
            return Ok(Next::Finish(writes));
        }
        let last = standing.generations.last().copied().filter(|last| *last > writes);
        if let Some(last) = last
            && self.format(last).await? == Some(FORMAT)
        {
            return Ok(Next::Fill(last));
        }
        // One of another release's mapping is passed over, and deleted with the others at the end.
        let next = standing.unused();
        create(&self.0, next, json!({})).await?;
        Ok(Next::Fill(next))
    }

    /// Writes documents to a generation that is being filled, as the port does behind the alias.
    pub async fn write(&self, generation: Generation, documents: Vec<Document>) -> Outcome<Vec<Written>, PushedBack> {
        index::write(&self.0, Target::Index(&self.0.names.index(generation)), documents).await
    }

    /// Puts a filled generation in the place of the old one. Since when it was filled is the time of the filling's first
    /// snapshot: every product that the database had then was written to it from that snapshot or a later one, and older
    /// documents of the old generation are not copied. With 0 all are, and none needs to have been written.
    ///
    /// # Errors
    /// The servers cannot be asked now: a repetition goes on. Or another rebuild was faster.
    pub async fn finish(&self, filled: Generation, since: SnapshotTime) -> Result<Copied, ReindexTrouble> {
        let standing = Standing::read(&self.0).await?;
        let (Some(reads), Some(writes)) = (standing.reads, standing.writes) else {
            return Err(ReindexTrouble::NoIndex);
        };
        if writes > filled {
            return Err(ReindexTrouble::Overtaken(writes));
        }
        let mut copied = Copied::default();
        if writes < filled {
            self.move_alias(self.0.names.writes(), writes, filled).await?;
        }
        if reads < filled {
            self.block(reads).await?;
            self.refresh(reads).await?;
            copied = Copying { cluster: &self.0, from: reads, to: filled, since }.run().await?;
            self.refresh(filled).await?;
            self.move_alias(self.0.names.reads(), reads, filled).await?;
            tokio::time::sleep(Duration::from_millis(self.0.config.retire_ms)).await;
        }
        let old: Vec<Generation> = standing.generations.range(..filled).copied().collect();
        self.delete(&old).await?;
        Ok(copied)
    }

    async fn format(&self, generation: Generation) -> Result<Option<u64>, Trouble> {
        let (cluster, index) = (&self.0, self.0.names.index(generation));
        let answer = heard(
            cluster
                .client
                .indices()
                .get_mapping(IndicesGetMappingParts::Index(&[&index]))
                .request_timeout(cluster.change_time())
                .send()
                .await,
        )
        .await;
        Ok(answer?.success()?[&index]["mappings"]["_meta"]["format"].as_u64())
    }

    /// From the one to the other, and from nowhere else.
    async fn move_alias(&self, alias: &str, from: Generation, to: Generation) -> Result<(), Trouble> {
        let (cluster, wait) = (&self.0, self.0.change_wait());
        let (from, to) = (cluster.names.index(from), cluster.names.index(to));
        let actions = json!({"actions": [
            {"remove": {"index": from, "alias": alias, "must_exist": true}},
            {"add": {"index": to, "alias": alias, "is_write_index": true}},
        ]});
        let answer = heard(
            cluster
                .client
                .indices()
                .update_aliases()
                .master_timeout(&wait)
                .timeout(&wait)
                .request_timeout(cluster.change_time())
                .body(actions)
                .send()
                .await,
        )
        .await;
        answer?.acknowledged().map(drop)
    }

    async fn block(&self, generation: Generation) -> Result<(), Trouble> {
        let (cluster, index, wait) = (&self.0, self.0.names.index(generation), self.0.change_wait());
        let answer = heard(
            cluster
                .client
                .indices()
                .add_block(IndicesAddBlockParts::IndexBlock(&[&index], "write"))
                .master_timeout(&wait)
                .timeout(&wait)
                .request_timeout(cluster.change_time())
                .send()
                .await,
        )
        .await;
        let body = answer?.acknowledged()?;
        let blocked = body["indices"]
            .as_array()
            .is_some_and(|indices| indices.iter().any(|told| told["name"] == *index && told["blocked"] == true));
        // Without this, a bulk that had begun may still write.
        if blocked { Ok(()) } else { Err(Trouble::Unanswered(format!("not blocked: {body}"))) }
    }

    async fn refresh(&self, generation: Generation) -> Result<(), Trouble> {
        let (cluster, index) = (&self.0, self.0.names.index(generation));
        let answer = heard(
            cluster
                .client
                .indices()
                .refresh(IndicesRefreshParts::Index(&[&index]))
                .request_timeout(cluster.change_time())
                .send()
                .await,
        )
        .await;
        let body: Value = answer?.success()?;
        match body["_shards"]["failed"].as_u64() {
            Some(0) => Ok(()),
            Some(_) | None => Err(Trouble::Unanswered(format!("not refreshed: {body}"))),
        }
    }

    async fn delete(&self, generations: &[Generation]) -> Result<(), Trouble> {
        let (cluster, wait) = (&self.0, self.0.change_wait());
        for generation in generations {
            let index = cluster.names.index(*generation);
            let answer = heard(
                cluster
                    .client
                    .indices()
                    .delete(IndicesDeleteParts::Index(&[&index]))
                    // Somebody else may have been faster.
                    .ignore_unavailable(true)
                    .master_timeout(&wait)
                    .timeout(&wait)
                    .request_timeout(cluster.change_time())
                    .send()
                    .await,
            )
            .await;
            answer?.acknowledged()?;
        }
        Ok(())
    }
}
