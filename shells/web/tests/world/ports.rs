//! The ports over the world.

use super::{Fault, StillEnv, World};
use async_trait::async_trait;
use doorbuster_core::database::command::{Command, Refusal, Reply};
use doorbuster_core::database::rows::{Currency, OrderRow, PaymentRow, Phase, ProductRow, SaleRow};
use doorbuster_core::database::tables::{Reads, Rows};
use doorbuster_core::ids::{Epoch, PaymentId, ProductId, ReservationId, Seq, ServerId, ShardId, SkuId, UserId};
use doorbuster_core::ledger::load::{Chunk, LoadRefusal};
use doorbuster_core::ledger::page::Record;
use doorbuster_core::ledger::reserve::{ItemReply, ReserveItem};
use doorbuster_core::ledger::settle::Settlement;
use doorbuster_core::ledger::shard::{Fence, Fenced, ShardState};
use doorbuster_core::outcome::Outcome;
use doorbuster_core::settler::ShardChange;
use doorbuster_core::time::{Now, Wall};
use doorbuster_runtime::env::Env;
use doorbuster_runtime::ports::Unavailable;
use doorbuster_runtime::ports::admit::{Admission, Admit};
use doorbuster_runtime::ports::ledger::{Ledger, NotServed, ServerView};
use doorbuster_runtime::ports::provider::Provider;
use doorbuster_runtime::ports::store::{Due, Snapshot, Store};
use std::sync::Arc;

pub struct SharedStill(pub Arc<World>);

impl Env for SharedStill {
    fn now(&self) -> Now {
        let still: &StillEnv = &self.0.env;
        still.now()
    }

    fn entropy(&self) -> u64 {
        7
    }
}

impl World {
    async fn faulty(&self) -> Result<(), Unavailable> {
        let faults = self.state().faults.clone();
        assert!(!faults.contains(&Fault::StorePanics), "a bug of ours");
        if faults.contains(&Fault::StoreHangs) {
            self.release.notified().await;
        }
        if faults.contains(&Fault::StoreUnavailable) { Err(Unavailable("switched off".into())) } else { Ok(()) }
    }
}

#[async_trait]
impl Store for World {
    async fn apply(&self, command: Command) -> Outcome<Reply, Refusal> {
        if self.faulty().await.is_err() || self.state().faults.contains(&Fault::StoreUnknown) {
            return Outcome::Unknown;
        }
        match World::apply(self, &command) {
            Ok(reply) => Outcome::Done(reply),
            Err(refusal) => Outcome::Refused(refusal),
        }
    }

    async fn read(&self, reads: Reads) -> Result<Rows, Unavailable> {
        self.state().product_reads += u64::from(!reads.products.is_empty());
        self.faulty().await?;
        Ok(self.state().rows.select(&reads))
    }

    async fn snapshot(&self) -> Result<Arc<dyn Snapshot>, Unavailable> {
        self.faulty().await?;
        Ok(Arc::new(Frozen { rows: self.state().rows.clone(), at: self.env.now().wall }))
    }

    async fn due(&self, _: ShardId, _: Wall, _: Option<Due>, _: usize) -> Result<Vec<Due>, Unavailable> {
        Ok(Vec::new())
    }
}

struct Frozen {
    rows: Rows,
    at: Wall,
}

#[async_trait]
impl Snapshot for Frozen {
    fn taken_at(&self) -> Wall {
        self.at
    }

    async fn read(&self, reads: Reads) -> Result<Rows, Unavailable> {
        Ok(self.rows.select(&reads))
    }

    async fn sales(&self) -> Result<Vec<SaleRow>, Unavailable> {
        Ok(self.rows.sales.values().cloned().collect())
    }

    async fn products(&self, after: Option<ProductId>, limit: usize) -> Result<Vec<ProductRow>, Unavailable> {
        let later = self.rows.products.values().filter(|row| after.is_none_or(|after| row.id > after));
        Ok(later.take(limit).cloned().collect())
    }

    async fn payments(&self, after: Option<PaymentId>, limit: usize) -> Result<Vec<PaymentRow>, Unavailable> {
        let later = self.rows.payments.values().filter(|row| after.is_none_or(|after| row.id > after));
        Ok(later.take(limit).cloned().collect())
    }

    async fn orders(
        &self,
        shard: ShardId,
        after: Option<ReservationId>,
        limit: usize,
    ) -> Result<Vec<OrderRow>, Unavailable> {
        let of_shard = self.rows.orders.values().filter(|row| row.id.shard == shard);
        let later = of_shard.filter(|row| after.is_none_or(|after| row.id.reservation > after));
        Ok(later.take(limit).cloned().collect())
    }
}

#[async_trait]
impl Admit for World {
    async fn reserve(&self, shard: ShardId, item: ReserveItem) -> Admission {
        let now = self.env.now().wall;
        let mut state = self.state();
        state.asked += 1;
        if let Some(scripted) = state.scripted.take() {
            return scripted;
        }
        let row = state.rows.shards[&shard].clone();
        if row.phase != Phase::Open {
            return Admission::NotReady;
        }
        let memory = state.shards.get_mut(&shard).expect("an open shard has a memory");
        let Ok(batch) = memory.reserve(row.fence(), now, &[item]) else { return Admission::NotReady };
        state.log.extend(batch.entry.map(|entry| (shard, entry)));
        match batch.replies[0] {
            ItemReply::Accepted(acceptance) => Admission::Accepted(acceptance),
            ItemReply::Replayed(acceptance) => Admission::Replayed(acceptance),
            ItemReply::Refused(refusal) => Admission::Refused(refusal),
        }
    }
}

/// Only what the edge asks is served; the rest belongs to other roles.
#[async_trait]
impl Ledger for World {
    async fn inspect(&self, shard: ShardId) -> Outcome<ServerView, NotServed> {
        let state = self.state();
        if state.faults.contains(&Fault::LedgerSilent) {
            return Outcome::Unknown;
        }
        let Some(memory) = state.shards.get(&shard) else { return Outcome::Refused(NotServed) };
        let counters = memory.counters().collect();
        Outcome::Done(ServerView { server: memory.server, meta: memory.meta().copied(), counters })
    }

    async fn look_up(&self, shard: ShardId, user: UserId, id: ReservationId) -> Outcome<Option<Record>, NotServed> {
        let state = self.state();
        if state.faults.contains(&Fault::LedgerSilent) {
            return Outcome::Unknown;
        }
        match state.shards.get(&shard) {
            Some(memory) => Outcome::Done(memory.look_up(&user, id).cloned()),
            None => Outcome::Refused(NotServed),
        }
    }

    async fn reserve(&self, _: ShardId, _: Fence, _: Vec<ReserveItem>) -> Outcome<Vec<ItemReply>, Fenced> {
        Outcome::Unknown
    }

    async fn settle(&self, _: ShardId, _: Vec<ShardChange>) -> Outcome<Vec<Settlement>, NotServed> {
        Outcome::Unknown
    }

    async fn withdraw(&self, _: ShardId, _: Fence, _: SkuId, _: u64) -> Outcome<Option<Seq>, Fenced> {
        Outcome::Unknown
    }

    async fn set_state(&self, _: ShardId, _: Fence, _: bool) -> Outcome<ShardState, Fenced> {
        Outcome::Unknown
    }

    async fn seal(&self, _: ShardId, _: ServerId, _: Epoch) -> Outcome<Option<Seq>, NotServed> {
        Outcome::Unknown
    }

    async fn load(&self, _: ShardId, _: Fence, _: Chunk) -> Outcome<(), LoadRefusal> {
        Outcome::Unknown
    }

    async fn open(&self, _: ShardId, _: Fence, _: u32, _: bool) -> Outcome<(), LoadRefusal> {
        Outcome::Unknown
    }
}

#[async_trait]
impl Provider for World {
    async fn charge(&self, payment: &PaymentRow, _: Currency, instruction: Option<String>) -> Outcome<(), Unavailable> {
        let mut state = self.state();
        if state.faults.contains(&Fault::ProviderUnavailable) {
            return Outcome::Refused(Unavailable("switched off".into()));
        }
        if state.faults.contains(&Fault::ProviderUnknown) {
            return Outcome::Unknown;
        }
        state.charges.push((payment.id.to_string(), instruction));
        Outcome::Done(())
    }

    async fn refund(&self, _: PaymentId) -> Outcome<(), Unavailable> {
        Outcome::Done(())
    }
}
