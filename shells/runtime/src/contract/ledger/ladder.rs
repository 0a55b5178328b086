//! Memory and open: a memory is built whole or not at all.

use crate::contract::world::{Memory, World, certain, counter, reserve, taken, user, view};
use crate::ports::ledger::{Ledger, NotServed};
use doorbuster_core::ids::{Epoch, Nonce, Seq, ServerId, SkuId};
use doorbuster_core::ledger::load::{Chunk, LoadRefusal};
use doorbuster_core::ledger::page::{Acceptance, Record, RecordState};
use doorbuster_core::ledger::reserve::{ItemReply, ReserveItem, ReserveRefusal};
use doorbuster_core::ledger::settle::Settlement;
use doorbuster_core::ledger::shard::{Fence, Fenced, ShardState};
use doorbuster_core::settler::ShardChange;
use doorbuster_core::time::Wall;

fn fence(server: ServerId, epoch: u64, nonce: u64) -> Fence {
    Fence { server, epoch: Epoch(epoch), nonce: Nonce(nonce) }
}

fn later_chunk(number: u32) -> Chunk {
    Chunk { number, head: None, records: Vec::new() }
}

pub async fn a_memory_answers_only_when_it_is_whole(ledger: &dyn Ledger) {
    let world = World::named("whole");
    let (shard, item) = (world.shard(0), world.item(1, 1, &[(0, 1)]));
    let before = view(ledger, shard).await;
    assert!(before.meta.is_none() && before.counters.is_empty(), "a server begins without a memory");
    let fence = fence(before.server, 1, 7);
    let refused = certain(async || ledger.reserve(shard, fence, vec![item.clone()]).await).await;
    assert_eq!(refused, Err(Fenced), "without a memory there is nothing to reserve from");
    let looked = certain(async || ledger.look_up(shard, item.user.clone(), item.id).await).await;
    assert_eq!(looked, Err(NotServed), "without a memory nobody knows whether there is a record");

    let load = Memory::of(5);
    certain(async || ledger.load(shard, fence, load.chunk()).await).await.expect("an empty server can be loaded");
    let refused = reserve(ledger, shard, fence, std::slice::from_ref(&item)).await;
    assert_eq!(refused, [ItemReply::Refused(ReserveRefusal::NotReady)], "a memory that is being loaded sells nothing");
    let back = vec![ShardChange::GiveBack { epoch: Epoch(1), user: item.user.clone(), id: item.id }];
    let settled = certain(async || ledger.settle(shard, back.clone()).await).await;
    assert_eq!(settled, Ok(vec![Settlement::Retry]), "a memory that is being loaded cannot tell yet");
    let looked = certain(async || ledger.look_up(shard, item.user.clone(), item.id).await).await;
    assert_eq!(looked, Err(NotServed), "nor of a record");

    certain(async || ledger.open(shard, fence, 1, false).await).await.expect("a whole load can be opened");
    taken(&reserve(ledger, shard, fence, &[item]).await[0]);
}

pub async fn a_load_is_taken_once_and_in_order(ledger: &dyn Ledger) {
    let world = World::named("once");
    let (shard, load) = (world.shard(0), Memory::of(5));
    let server = view(ledger, shard).await.server;
    let (own, other) = (fence(server, 1, 7), fence(server, 1, 8));
    let refuse = async |fence: Fence, chunk: Chunk| {
        certain(async || ledger.load(shard, fence, chunk.clone()).await).await.expect_err("this chunk must be refused")
    };
    assert_eq!(refuse(fence(ServerId(server.0 ^ 1), 1, 7), load.chunk()).await, LoadRefusal::WrongServer);
    refuse(own, later_chunk(2)).await;
    certain(async || ledger.load(shard, own, load.chunk()).await).await.expect("an empty server can be loaded");
    certain(async || ledger.load(shard, own, load.chunk()).await).await.expect("a chunk can be repeated");
    assert_eq!(refuse(own, later_chunk(3)).await, LoadRefusal::Incomplete, "a chunk is missing before this one");
    assert_eq!(refuse(other, load.chunk()).await, LoadRefusal::Taken, "an epoch is loaded by one loader");
    let opened = certain(async || ledger.open(shard, own, 2, false).await).await;
    assert_eq!(opened, Err(LoadRefusal::Incomplete), "a chunk is missing at the end");
    let opened = certain(async || ledger.open(shard, other, 1, false).await).await;
    assert_eq!(opened, Err(LoadRefusal::Taken), "an epoch is opened by its loader");
    certain(async || ledger.open(shard, own, 1, true).await).await.expect("a whole load can be opened");
    assert_eq!(view(ledger, shard).await.meta.map(|meta| meta.state), Some(ShardState::Stopped), "opened as paused");
    let before = view(ledger, shard).await;
    certain(async || ledger.open(shard, own, 1, false).await).await.expect("an open can be repeated");
    certain(async || ledger.load(shard, own, load.chunk()).await)
        .await
        .expect("a chunk can be repeated after the open");
    assert_eq!(view(ledger, shard).await, before, "a repeated step writes nothing");
}

pub async fn a_load_that_does_not_add_up_is_not_opened(ledger: &dyn Ledger) {
    let world = World::named("unbalanced");
    let shard = world.shard(0);
    let fence = fence(view(ledger, shard).await.server, 1, 7);
    let load = Memory { stock: vec![(5, 2)], ..Memory::of(0) };
    certain(async || ledger.load(shard, fence, load.chunk()).await).await.expect("an empty server can be loaded");
    let opened = certain(async || ledger.open(shard, fence, 1, false).await).await;
    assert_eq!(opened, Err(LoadRefusal::Unbalanced), "two units are consumed and no record holds them");
}

pub async fn a_later_epoch_is_loaded_over_an_earlier_one(ledger: &dyn Ledger) {
    let world = World::named("later");
    let (shard, item) = (world.shard(0), world.item(1, 1, &[(0, 1)]));
    let first = Memory::of(5).open(ledger, shard, 1).await;
    taken(&reserve(ledger, shard, first, std::slice::from_ref(&item)).await[0]);
    let second = Memory::of(3).open(ledger, shard, 2).await;
    let refused = certain(async || ledger.reserve(shard, first, vec![item.clone()]).await).await;
    assert_eq!(refused, Err(Fenced), "the earlier epoch is over");
    assert_eq!(counter(ledger, shard, 0).await.available, 3, "a load begins with an empty memory");
    let accepted = taken(&reserve(ledger, shard, second, &[item]).await[0]);
    assert_eq!((accepted.epoch, accepted.seq), (Epoch(2), Seq(1)), "each epoch numbers its entries from 1");
    let stale = certain(async || ledger.load(shard, first, Memory::of(9).chunk()).await).await;
    assert_eq!(stale, Err(LoadRefusal::Taken), "an earlier epoch is not loaded over a later one");
}

pub async fn what_was_loaded_is_replayed(ledger: &dyn Ledger) {
    let world = World::named("loaded");
    let shard = world.shard(0);
    let (live, ended) = (world.item(1, 1, &[(0, 2)]), world.item(1, 2, &[(0, 1)]));
    let acceptance = Acceptance { epoch: Epoch(1), seq: Seq(9), reserved_at: Wall(12_345) };
    let record = |item: &ReserveItem, state| {
        (user(1), Record { id: item.id, body: item.body, basket: item.basket.clone(), state, acceptance })
    };
    let records = vec![record(&live, RecordState::Live), record(&ended, RecordState::Ended)];
    let load = Memory { stock: vec![(5, 2)], limit: 4, records, ..Memory::of(0) };
    let fence = load.open(ledger, shard, 2).await;
    let replies = reserve(ledger, shard, fence, &[live.clone(), ended.clone(), world.item(1, 3, &[(0, 3)])]).await;
    let limit = ItemReply::Refused(ReserveRefusal::LimitReached);
    let replayed = ItemReply::Replayed(acceptance);
    assert_eq!(
        replies,
        [replayed, replayed, limit],
        "keys outlive their epoch, and live units count against the limit"
    );
    let found = certain(async || ledger.look_up(shard, user(1), live.id).await).await.expect("the shard is served");
    assert_eq!(found.map(|record| (record.state, record.acceptance)), Some((RecordState::Live, acceptance)));
    let skus: Vec<SkuId> = view(ledger, shard).await.counters.into_iter().map(|(sku, _)| sku).collect();
    assert_eq!(skus.len(), 1, "a memory counts what it was loaded with");
    assert_eq!(counter(ledger, shard, 0).await.live, 2, "live records hold their units");
}
