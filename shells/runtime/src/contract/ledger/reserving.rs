//! Rule 1: what is taken, what is refused, and in which order that is decided.

use crate::contract::world::{ALWAYS, Memory, World, certain, counter, reserve, sku, taken, view};
use crate::ports::ledger::Ledger;
use doorbuster_core::ids::Seq;
use doorbuster_core::ledger::page::Acceptance;
use doorbuster_core::ledger::reserve::{ItemReply, ReserveRefusal};
use doorbuster_core::ledger::shard::{ShardState, Window};
use doorbuster_core::limits::KEYS_MAX;
use doorbuster_core::outcome::Outcome;
use doorbuster_core::time::Wall;

fn refused(refusal: ReserveRefusal) -> ItemReply {
    ItemReply::Refused(refusal)
}

pub async fn the_same_key_gets_the_same_answer(ledger: &dyn Ledger) {
    let world = World::named("key");
    let shard = world.shard(0);
    let fence = Memory::of(5).open(ledger, shard, 1).await;
    let (item, other_body) = (world.item(1, 1, &[(0, 2)]), world.item(1, 1, &[(0, 1)]));
    let first = taken(&reserve(ledger, shard, fence, std::slice::from_ref(&item)).await[0]);
    let before = view(ledger, shard).await;
    let again = reserve(ledger, shard, fence, &[item.clone(), other_body]).await;
    assert_eq!(again, [ItemReply::Replayed(first), refused(ReserveRefusal::KeyReused)]);
    assert_eq!(view(ledger, shard).await, before, "an answer that is given again takes nothing");
    // A refusal is not stored: the same key may succeed later.
    let wish = world.item(2, 1, &[(0, 4)]);
    assert_eq!(
        reserve(ledger, shard, fence, std::slice::from_ref(&wish)).await,
        [refused(ReserveRefusal::SoldOut(sku(0)))]
    );
    let smaller = world.item(2, 1, &[(0, 3)]);
    taken(&reserve(ledger, shard, fence, &[smaller]).await[0]);
}

pub async fn a_key_twice_in_one_batch_is_taken_once(ledger: &dyn Ledger) {
    let world = World::named("twice");
    let shard = world.shard(0);
    let fence = Memory::of(5).open(ledger, shard, 1).await;
    let item = world.item(1, 1, &[(0, 1)]);
    let replies = reserve(ledger, shard, fence, &[item.clone(), item.clone(), world.item(1, 1, &[(0, 2)])]).await;
    let accepted = taken(&replies[0]);
    assert_eq!(replies[1..], [ItemReply::Replayed(accepted), refused(ReserveRefusal::KeyReused)]);
    assert_eq!(counter(ledger, shard, 0).await.available, 4, "one key takes its units once");
}

pub async fn a_basket_is_taken_whole_or_not_at_all(ledger: &dyn Ledger) {
    let world = World::named("basket");
    let shard = world.shard(0);
    let load = Memory { stock: vec![(5, 0), (1, 0)], ..Memory::of(0) };
    let fence = load.open(ledger, shard, 1).await;
    let replies = reserve(
        ledger,
        shard,
        fence,
        &[
            world.item(1, 1, &[(0, 1), (1, 2)]),
            world.item(2, 1, &[(0, 1), (7, 1)]),
            world.item(3, 1, &[(0, 2), (1, 1)]),
            world.item(4, 1, &[(1, 1)]),
        ],
    )
    .await;
    assert_eq!(replies[0], refused(ReserveRefusal::SoldOut(sku(1))), "one line is short");
    assert_eq!(replies[1], refused(ReserveRefusal::UnknownSku(sku(7))), "one line is not in this sale");
    taken(&replies[2]);
    assert_eq!(replies[3], refused(ReserveRefusal::SoldOut(sku(1))), "a batch is decided item after item");
    assert_eq!(counter(ledger, shard, 0).await.available, 3);
    assert_eq!(counter(ledger, shard, 1).await.available, 0);
}

pub async fn the_order_of_the_checks_is_kept(ledger: &dyn Ledger) {
    let world = World::named("checks");
    let shard = world.shard(0);
    let load = Memory { limit: 3, ..Memory::of(4) };
    let fence = load.open(ledger, shard, 1).await;
    taken(&reserve(ledger, shard, fence, &[world.item(1, 1, &[(0, 3)])]).await[0]);
    let replies = reserve(
        ledger,
        shard,
        fence,
        &[
            // The limit is asked before the stock, and counts all live units of the buyer.
            world.item(1, 2, &[(0, 2)]),
            world.item(2, 1, &[(0, 4)]),
            world.item(2, 2, &[(0, 2)]),
            world.item(2, 3, &[(9, 4)]),
        ],
    )
    .await;
    let limit = refused(ReserveRefusal::LimitReached);
    assert_eq!(replies, [limit, limit, refused(ReserveRefusal::SoldOut(sku(0))), limit]);
}

pub async fn a_ninth_key_is_refused(ledger: &dyn Ledger) {
    let world = World::named("keys");
    let shard = world.shard(0);
    let fence = Memory::of(50).open(ledger, shard, 1).await;
    for key in 0..KEYS_MAX {
        taken(&reserve(ledger, shard, fence, &[world.item(1, key, &[(0, 1)])]).await[0]);
    }
    let replies = reserve(ledger, shard, fence, &[world.item(1, 99, &[(0, 1)]), world.item(2, 99, &[(0, 1)])]).await;
    assert_eq!(replies[0], refused(ReserveRefusal::KeysExhausted));
    taken(&replies[1]);
}

pub async fn outside_of_its_window_nothing_is_sold(ledger: &dyn Ledger) {
    let early = Window { starts_at: Wall(u64::MAX - 1), ends_at: Wall(u64::MAX) };
    let late = Window { starts_at: Wall(0), ends_at: Wall(1) };
    for (name, window, refusal) in [("early", early, ReserveRefusal::NotStarted), ("late", late, ReserveRefusal::Ended)]
    {
        let world = World::named(name);
        let shard = world.shard(0);
        let fence = Memory { window, ..Memory::of(5) }.open(ledger, shard, 1).await;
        assert_eq!(reserve(ledger, shard, fence, &[world.item(1, 1, &[(0, 1)])]).await, [refused(refusal)]);
        assert_eq!(counter(ledger, shard, 0).await.available, 5);
    }
}

pub async fn entries_are_numbered_without_a_gap(ledger: &dyn Ledger) {
    let world = World::named("numbers");
    let shard = world.shard(0);
    let fence = Memory { window: ALWAYS, ..Memory::of(3) }.open(ledger, shard, 1).await;
    let batch = reserve(ledger, shard, fence, &[world.item(1, 1, &[(0, 1)]), world.item(2, 1, &[(0, 1)])]).await;
    let places: Vec<Seq> = batch.iter().map(|reply| taken(reply).seq).collect();
    assert_eq!(places, [Seq(1), Seq(1)], "one batch is one entry");
    reserve(ledger, shard, fence, &[world.item(3, 1, &[(0, 9)])]).await;
    let next = taken(&reserve(ledger, shard, fence, &[world.item(3, 1, &[(0, 1)])]).await[0]);
    assert_eq!((next.epoch, next.seq), (fence.epoch, Seq(2)), "a batch of refusals writes no entry");
    assert_eq!(view(ledger, shard).await.meta.map(|meta| meta.seq), Some(Seq(2)));
}

pub async fn calls_of_one_caller_are_applied_in_order(ledger: &dyn Ledger) {
    let world = World::named("in-order");
    let shard = world.shard(0);
    let fence = Memory::of(50).open(ledger, shard, 1).await;
    let start = |buyer: usize| ledger.reserve(shard, fence, vec![world.item(buyer, 1, &[(0, 1)])]);
    let (one, two, three, four) = tokio::join!(biased; start(1), start(2), start(3), start(4));
    let seq = |outcome: Outcome<Vec<ItemReply>, _>| match outcome {
        Outcome::Done(replies) => Some(taken(&replies[0])),
        Outcome::Refused(_) | Outcome::Unknown => None,
    };
    let places: Vec<Acceptance> = [one, two, three, four].into_iter().filter_map(seq).collect();
    assert!(places.windows(2).all(|pair| pair[0].seq < pair[1].seq), "applied in the order of the start: {places:?}");
}

pub async fn stopped_sells_nothing_and_remembers_everything(ledger: &dyn Ledger) {
    let world = World::named("stopped");
    let shard = world.shard(0);
    let fence = Memory::of(5).open(ledger, shard, 1).await;
    let item = world.item(1, 1, &[(0, 1)]);
    let accepted = taken(&reserve(ledger, shard, fence, std::slice::from_ref(&item)).await[0]);
    let state = certain(async || ledger.set_state(shard, fence, true).await).await;
    assert_eq!(state, Ok(ShardState::Stopped));
    let replies = reserve(ledger, shard, fence, &[item, world.item(2, 1, &[(0, 1)])]).await;
    assert_eq!(replies, [ItemReply::Replayed(accepted), refused(ReserveRefusal::Stopped)]);
    let state = certain(async || ledger.set_state(shard, fence, false).await).await;
    assert_eq!(state, Ok(ShardState::Open));
    taken(&reserve(ledger, shard, fence, &[world.item(2, 1, &[(0, 1)])]).await[0]);
}
