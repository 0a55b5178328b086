//! Rules 5, 6 and 7: what the database gives to a shard, and what it takes from one.

use crate::contract::world::{Memory, World, certain, counter, reserve, sku, taken, user, view};
use crate::ports::ledger::Ledger;
use doorbuster_core::ids::{Epoch, ReservationId, Seq, ShardId};
use doorbuster_core::ledger::reserve::{ItemReply, ReserveRefusal};
use doorbuster_core::ledger::settle::Settlement;
use doorbuster_core::ledger::shard::ShardState;
use doorbuster_core::settler::ShardChange;

async fn settle(ledger: &dyn Ledger, shard: ShardId, changes: &[ShardChange]) -> Vec<Settlement> {
    let settled = certain(async || ledger.settle(shard, changes.to_vec()).await).await.expect("the shard is served");
    assert_eq!(settled.len(), changes.len(), "one answer per change");
    settled
}

fn back(epoch: u64, buyer: usize, id: ReservationId) -> ShardChange {
    ShardChange::GiveBack { epoch: Epoch(epoch), user: user(buyer), id }
}

fn grant(epoch: u64, number: usize, quantity: u64, grant_seq: u64) -> ShardChange {
    ShardChange::Grant { epoch: Epoch(epoch), sku: sku(number), quantity, grant_seq }
}

pub async fn units_come_back_once(ledger: &dyn Ledger) {
    let world = World::named("back");
    let shard = world.shard(0);
    let fence = Memory::of(2).open(ledger, shard, 1).await;
    let (item, next) = (world.item(1, 1, &[(0, 2)]), world.item(2, 1, &[(0, 2)]));
    let accepted = taken(&reserve(ledger, shard, fence, std::slice::from_ref(&item)).await[0]);
    let changes = [back(1, 1, item.id), back(1, 1, item.id), back(1, 2, next.id), back(1, 9, item.id)];
    assert_eq!(settle(ledger, shard, &changes).await, [Settlement::Done; 4], "each is dealt with");
    assert_eq!(counter(ledger, shard, 0).await.available, 2, "units come back once");
    assert_eq!(reserve(ledger, shard, fence, std::slice::from_ref(&item)).await, [ItemReply::Replayed(accepted)]);
    taken(&reserve(ledger, shard, fence, &[next]).await[0]);
    assert_eq!(settle(ledger, shard, &[back(1, 1, item.id)]).await, [Settlement::Done], "a late repetition");
    assert_eq!(counter(ledger, shard, 0).await.available, 0, "gives nothing back that others hold");
}

pub async fn a_change_of_another_epoch_waits_or_is_passed_over(ledger: &dyn Ledger) {
    let world = World::named("epochs");
    let shard = world.shard(0);
    let item = world.item(1, 1, &[(0, 1)]);
    assert_eq!(settle(ledger, shard, &[back(1, 1, item.id)]).await, [Settlement::Retry], "there is no memory yet");
    let fence = Memory::of(2).open(ledger, shard, 2).await;
    taken(&reserve(ledger, shard, fence, std::slice::from_ref(&item)).await[0]);
    let before = view(ledger, shard).await;
    let changes = [back(1, 1, item.id), back(3, 1, item.id), grant(1, 0, 7, 2), grant(3, 0, 7, 2)];
    let expected = [Settlement::Done, Settlement::Retry, Settlement::Done, Settlement::Retry];
    assert_eq!(settle(ledger, shard, &changes).await, expected, "counted by a rebuild, or to come");
    assert_eq!(view(ledger, shard).await, before, "a change of another epoch changes nothing");
}

pub async fn grants_come_in_order(ledger: &dyn Ledger) {
    let world = World::named("grants");
    let shard = world.shard(0);
    Memory::of(2).open(ledger, shard, 1).await;
    let changes = [grant(1, 0, 10, 3), grant(1, 0, 5, 2), grant(1, 0, 5, 2), grant(1, 0, 10, 3), grant(1, 0, 9, 1)];
    let expected = [Settlement::Retry, Settlement::Done, Settlement::Done, Settlement::Done, Settlement::Done];
    assert_eq!(settle(ledger, shard, &changes).await, expected);
    let counted = counter(ledger, shard, 0).await;
    assert_eq!((counted.granted, counted.grant_seq), (17, 3), "each grant once");
    assert_eq!(settle(ledger, shard, &[grant(1, 1, 4, 1)]).await, [Settlement::Done], "a SKU that was not loaded");
    assert_eq!(counter(ledger, shard, 1).await.available, 4);
}

pub async fn what_is_available_can_be_withdrawn(ledger: &dyn Ledger) {
    let world = World::named("withdraw");
    let shard = world.shard(0);
    let fence = Memory::of(5).open(ledger, shard, 1).await;
    let item = world.item(1, 1, &[(0, 2)]);
    taken(&reserve(ledger, shard, fence, std::slice::from_ref(&item)).await[0]);
    let withdraw = async |number: usize, quantity: u64| match ledger.withdraw(shard, fence, sku(number), quantity).await
    {
        doorbuster_core::outcome::Outcome::Done(seq) => seq,
        other => panic!("a withdrawal in a quiet world is answered, not {other:?}"),
    };
    assert_eq!(withdraw(0, 1).await, Some(Seq(2)), "a withdrawal is an entry of the log");
    assert_eq!(withdraw(7, 1).await, None, "there is nothing of an unknown SKU");
    let state = certain(async || ledger.set_state(shard, fence, true).await).await;
    assert_eq!(state, Ok(ShardState::Stopped));
    assert_eq!(withdraw(0, 99).await, Some(Seq(3)), "a stopped shard gives what it has");
    assert_eq!(withdraw(0, 1).await, None, "what buyers hold is not withdrawn");
    let counted = counter(ledger, shard, 0).await;
    assert_eq!((counted.available, counted.live, counted.granted), (0, 2, 2));
    certain(async || ledger.set_state(shard, fence, false).await).await.expect("the fence is the memory's");
    let sold_out = ItemReply::Refused(ReserveRefusal::SoldOut(sku(0)));
    assert_eq!(reserve(ledger, shard, fence, &[world.item(2, 1, &[(0, 1)])]).await, [sold_out]);
}
