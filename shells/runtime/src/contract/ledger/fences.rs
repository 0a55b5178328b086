//! Fences and seals: who may still write to a memory.

use crate::contract::world::{Memory, World, certain, counter, reserve, sku, taken, user, view};
use crate::ports::ledger::Ledger;
use doorbuster_core::ids::{Epoch, Nonce, Seq, ServerId};
use doorbuster_core::ledger::load::LoadRefusal;
use doorbuster_core::ledger::page::RecordState;
use doorbuster_core::ledger::reserve::{ItemReply, ReserveRefusal};
use doorbuster_core::ledger::settle::Settlement;
use doorbuster_core::ledger::shard::{Fence, Fenced, ShardState};
use doorbuster_core::settler::ShardChange;

pub async fn a_foreign_fence_changes_nothing(ledger: &dyn Ledger) {
    let world = World::named("fence");
    let shard = world.shard(0);
    let own = Memory::of(5).open(ledger, shard, 2).await;
    let item = world.item(1, 1, &[(0, 1)]);
    taken(&reserve(ledger, shard, own, std::slice::from_ref(&item)).await[0]);
    let before = view(ledger, shard).await;
    let foreign = [
        Fence { server: ServerId(own.server.0 ^ 1), ..own },
        Fence { epoch: Epoch(1), ..own },
        Fence { epoch: Epoch(3), ..own },
        Fence { nonce: Nonce(own.nonce.0 ^ 1), ..own },
    ];
    for fence in foreign {
        let items = vec![item.clone(), world.item(2, 1, &[(0, 1)])];
        let reserved = certain(async || ledger.reserve(shard, fence, items.clone()).await).await;
        assert_eq!(reserved, Err(Fenced), "{fence:?} is not the memory's, even for a known key");
        let withdrawn = certain(async || ledger.withdraw(shard, fence, sku(0), 1).await).await;
        assert_eq!(withdrawn, Err(Fenced), "{fence:?} is not the memory's");
        let state = certain(async || ledger.set_state(shard, fence, true).await).await;
        assert_eq!(state, Err(Fenced), "{fence:?} is not the memory's");
    }
    assert_eq!(view(ledger, shard).await, before, "a call that was fenced has changed nothing");
}

pub async fn a_seal_ends_its_own_epoch_and_no_other(ledger: &dyn Ledger) {
    let world = World::named("seal");
    let shard = world.shard(0);
    let server = view(ledger, shard).await.server;
    let seal = async |server: ServerId, epoch: u64| {
        // A server that cannot be asked has not been sealed either.
        certain(async || ledger.seal(shard, server, Epoch(epoch)).await).await.unwrap_or(None)
    };
    assert_eq!(seal(server, 1).await, None, "there is no memory to seal");
    let fence = Memory::of(5).open(ledger, shard, 2).await;
    taken(&reserve(ledger, shard, fence, &[world.item(1, 1, &[(0, 1)])]).await[0]);
    let before = view(ledger, shard).await;
    assert_eq!(seal(ServerId(server.0 ^ 1), 2).await, None, "another server's memory is not this one");
    assert_eq!(seal(server, 1).await, None, "an earlier epoch is not this memory");
    assert_eq!(seal(server, 3).await, None, "a later epoch is not this memory");
    assert_eq!(view(ledger, shard).await, before, "nothing was sealed");
    assert_eq!(seal(server, 2).await, Some(Seq(1)), "a seal tells the last entry");
    assert_eq!(seal(server, 2).await, Some(Seq(1)), "a seal can be repeated");
    let state = certain(async || ledger.set_state(shard, fence, false).await).await;
    assert_eq!(state, Ok(ShardState::Sealed), "a sealed memory does not open again");
    let opened = certain(async || ledger.open(shard, fence, 1, false).await).await;
    assert_eq!(opened, Err(LoadRefusal::Sealed), "a sealed memory does not open again");
    let withdrawn = certain(async || ledger.withdraw(shard, fence, sku(0), 1).await).await;
    assert_eq!(withdrawn, Ok(None), "a sealed memory writes nothing more");
}

pub async fn a_sealed_memory_replays_and_gives_back(ledger: &dyn Ledger) {
    let world = World::named("sealed");
    let shard = world.shard(0);
    let fence = Memory::of(5).open(ledger, shard, 1).await;
    let item = world.item(1, 1, &[(0, 2)]);
    let accepted = taken(&reserve(ledger, shard, fence, std::slice::from_ref(&item)).await[0]);
    let sealed = certain(async || ledger.seal(shard, fence.server, fence.epoch).await).await;
    assert_eq!(sealed, Ok(Some(accepted.seq)));
    let replies = reserve(ledger, shard, fence, &[item.clone(), world.item(2, 1, &[(0, 1)])]).await;
    assert_eq!(replies, [ItemReply::Replayed(accepted), ItemReply::Refused(ReserveRefusal::NotReady)]);
    let back = ShardChange::GiveBack { epoch: fence.epoch, user: user(1), id: item.id };
    let settled = certain(async || ledger.settle(shard, vec![back.clone()]).await).await;
    assert_eq!(settled, Ok(vec![Settlement::Done]), "a sealed memory still settles");
    assert_eq!(counter(ledger, shard, 0).await.available, 5);
    let found = certain(async || ledger.look_up(shard, user(1), item.id).await).await.expect("the shard is served");
    assert_eq!(found.map(|record| record.state), Some(RecordState::Ended));
}
