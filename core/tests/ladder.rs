//! The epoch ladder, phases a to f: a crash at each of them, and what a rebuild must remember.

mod common;

use common::{HOLD_MS, START, World, basket, item, key, sku, user};
use doorbuster_core::database::command::{Command, Refusal};
use doorbuster_core::database::rows::{Lease, Phase, SealReason};
use doorbuster_core::ids::{Epoch, Nonce, ServerId};
use doorbuster_core::ledger::entry::Intent;
use doorbuster_core::ledger::epoch::{LadderCommand, LadderStep, chunks, load_head};
use doorbuster_core::ledger::load::{Chunk, LoadRefusal};
use doorbuster_core::ledger::reserve::{ItemReply, ReserveRefusal};
use doorbuster_core::ledger::settle::Settlement;
use doorbuster_core::ledger::shard::{Fence, Shard, ShardState};
use doorbuster_core::limits::{LEASE_MS, LOAD_CHUNK_MAX};
use doorbuster_core::order::command::OrderCommand;
use doorbuster_core::order::status::Ending;
use doorbuster_core::sale::command::SaleCommand;
use doorbuster_core::settler::ShardChange;
use proptest::prelude::*;

/// Buys, pays, cancels and expires, so that pages are live, ended and full of keys.
fn lived_in(clicks: &[(usize, usize, u32, usize)]) -> World {
    let mut world = World::open(1, 6, &[25, 25]);
    let mut payments = 0;
    for (who, n, quantity, fate) in clicks {
        let lines = [(0, *quantity), (1, 1)];
        let reply = world.click(&user(*who), &key(*n), &basket(&lines[..1 + fate % 2]));
        world.drain();
        let id = world.order_id(&user(*who), &key(*n));
        match (reply, fate) {
            (ItemReply::Accepted(_), 0 | 1) => {
                payments += 1;
                world.pay_order(id, payments);
            }
            (ItemReply::Accepted(_), 2 | 3) => {
                let cancel = OrderCommand::Cancel { order: id, user: None, ending: Ending::Buyer };
                world.order_command(cancel).unwrap();
            }
            _ => {}
        }
    }
    world.settle();
    world.check_at_rest();
    world
}

fn clicks() -> impl Strategy<Value = Vec<(usize, usize, u32, usize)>> {
    prop::collection::vec((0usize..5, 0usize..5, 1u32..4, 0usize..7), 1..15)
}

/// Every key's answer and every user's next click, as a client would see them.
fn answers(world: &World, shard: &Shard) -> Vec<ItemReply> {
    let mut shard = shard.clone();
    let meta = *shard.meta().unwrap();
    let fence = Fence { server: shard.server, epoch: meta.epoch, nonce: meta.nonce };
    let mut answers = Vec::new();
    for order in world.rows.orders.values() {
        let Some(origin) = &order.origin else { continue };
        for body in [origin.basket.body_hash(), basket(&[(1, 5)]).body_hash()] {
            let id = order.id.reservation;
            let again = doorbuster_core::ledger::reserve::ReserveItem {
                id,
                user: order.user.clone(),
                body,
                basket: origin.basket.clone(),
            };
            answers.extend(shard.reserve(fence, START, &[again]).unwrap().replies);
        }
    }
    answers
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn phase_e_a_rebuild_from_chunks_of_any_size_answers_like_the_memory_that_ran(clicks in clicks(), size in 1usize..9) {
        let mut world = lived_in(&clicks);
        let ran = world.shards[0].clone();
        let before = answers(&world, &ran);
        world.end_epoch(0);
        let rung = world.row(0).rung();
        world.ladder(0, LadderStep::BeginOpening(rung, ServerId(77), Nonce(77))).unwrap();
        let (fence, parts) = (world.fence(0), world.load_chunks(0, size));
        let mut rebuilt = Shard::empty(ServerId(77));
        for chunk in &parts {
            rebuilt.load(fence, chunk).unwrap();
            rebuilt.load(fence, chunk).unwrap();
        }
        rebuilt.open(fence, parts.len() as u32, false).unwrap();
        rebuilt.scan().unwrap();
        prop_assert_eq!(answers(&world, &rebuilt), before);
        prop_assert_eq!(rebuilt.counters().collect::<Vec<_>>(), ran.counters().collect::<Vec<_>>());
        let pages = |shard: &Shard| shard.pages().map(|(user, page)| {
            let mut records = page.records().to_vec();
            records.sort_by_key(|record| record.id);
            (user.clone(), records)
        }).collect::<Vec<_>>();
        prop_assert_eq!(pages(&rebuilt), pages(&ran));
    }

    #[test]
    fn phase_e_chunks_repeated_skipped_or_cut_short_never_open_a_wrong_memory(
        clicks in clicks(), order in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let mut world = lived_in(&clicks);
        world.end_epoch(0);
        let rung = world.row(0).rung();
        world.ladder(0, LadderStep::BeginOpening(rung, ServerId(77), Nonce(77))).unwrap();
        let (fence, parts) = (world.fence(0), world.load_chunks(0, 2));
        let mut straight = Shard::empty(ServerId(77));
        parts.iter().for_each(|chunk| straight.load(fence, chunk).unwrap());
        straight.open(fence, parts.len() as u32, false).unwrap();
        let mut shard = Shard::empty(ServerId(77));
        for index in order {
            let _ = shard.load(fence, index.get(&parts));
        }
        match shard.open(fence, parts.len() as u32, false) {
            Ok(()) => prop_assert_eq!(&shard, &straight),
            Err(refusal) => prop_assert_eq!(refusal, LoadRefusal::Incomplete),
        }
        for chunk in &parts {
            shard.load(fence, chunk).unwrap();
        }
        shard.open(fence, parts.len() as u32, false).unwrap();
        prop_assert_eq!(shard, straight);
    }

    #[test]
    fn a_crash_at_each_phase_costs_an_epoch_at_most_and_no_decided_order(clicks in clicks(), phase in 0usize..6) {
        let mut world = lived_in(&clicks);
        let orders = world.rows.orders.clone();
        let rung = world.row(0).rung();
        // Climb to the phase, crash there, and let the next keeper go on from what the row says.
        if phase >= 1 {
            world.ladder(0, LadderStep::BeginSealing(rung, SealReason::ServerLost)).unwrap();
        }
        if phase >= 2 {
            world.shards[0].seal(rung.epoch);
        }
        if phase >= 3 {
            world.log[0].push(Intent::Seal(World::shard_id(0), rung.epoch));
            world.drain();
        }
        let mut abandoned = None;
        if phase >= 4 {
            let rung = world.row(0).rung();
            world.ladder(0, LadderStep::BeginOpening(rung, ServerId(50), Nonce(50))).unwrap();
            let mut half = Shard::empty(ServerId(50));
            half.load(world.fence(0), &world.load_chunks(0, 2)[0]).unwrap();
            abandoned = Some((half, world.fence(0)));
        }
        // The keeper's takeover: what is half loaded is never opened by another.
        match world.row(0).phase {
            Phase::Open | Phase::Opening => world.end_epoch(0),
            Phase::Sealing => {
                let epoch = world.row(0).epoch;
                world.log[0].push(Intent::Seal(World::shard_id(0), epoch));
                world.drain();
            }
            Phase::Sealed | Phase::Closed => {}
        }
        world.open_epoch(0);
        prop_assert_eq!(&world.rows.orders, &orders);
        world.check_at_rest();
        // The old keeper wakes up: its memory is not the one that the row names.
        if let Some((mut half, fence)) = abandoned {
            prop_assert!(world.fence(0) != fence);
            prop_assert!(half.reserve(world.fence(0), START, &[]).is_err());
            let stale = world.row(0).rung();
            let refused = world.ladder(0, LadderStep::FinishOpening(doorbuster_core::ledger::epoch::Rung { nonce: Nonce(50), ..stale }));
            prop_assert_eq!(refused, Err(Refusal::StaleRung));
        }
    }

    #[test]
    fn every_step_of_the_ladder_is_refused_from_every_other_rung(
        phase in 0usize..5, epoch in 1u64..4, nonce in 100u64..103, step in 0usize..4,
    ) {
        let mut world = World::open(1, 2, &[3]);
        let phases = [Phase::Sealed, Phase::Opening, Phase::Open, Phase::Sealing, Phase::Closed];
        let rung = doorbuster_core::ledger::epoch::Rung { phase: phases[phase], epoch: Epoch(epoch), nonce: Nonce(nonce) };
        let own = world.row(0).rung();
        let steps = [
            LadderStep::BeginSealing(rung, SealReason::Operator),
            LadderStep::BeginOpening(rung, ServerId(5), Nonce(5)),
            LadderStep::FinishOpening(rung),
            LadderStep::Close(rung),
        ];
        let rows = world.rows.clone();
        let outcome = world.ladder(0, steps[step]);
        let allowed = rung == own && step == 0;
        prop_assert_eq!(outcome.is_ok(), allowed);
        if !allowed {
            prop_assert_eq!(outcome, Err(Refusal::StaleRung));
            prop_assert_eq!(&world.rows, &rows);
        }
    }

    #[test]
    fn a_cancel_between_seal_and_open_is_counted_once(clicks in clicks(), when in 0usize..3) {
        let mut world = lived_in(&clicks);
        let id = world.buy(&user(9), &key(0), &basket(&[(0, 1)]));
        let cancel = OrderCommand::Cancel { order: id, user: None, ending: Ending::Operator };
        if when == 0 {
            world.order_command(cancel.clone()).unwrap();
        }
        world.end_epoch(0);
        if when == 1 {
            world.order_command(cancel.clone()).unwrap();
        }
        world.open_epoch(0);
        if when == 2 {
            world.order_command(cancel).unwrap();
        }
        world.settle();
        world.settle();
        world.check_at_rest();
    }

    #[test]
    fn an_old_server_that_goes_on_selling_takes_nothing_from_the_rows(clicks in clicks(), late in 1usize..6) {
        let mut world = lived_in(&clicks);
        let (mut old, fence) = (world.shards[0].clone(), world.fence(0));
        world.ladder(0, LadderStep::BeginSealing(world.row(0).rung(), SealReason::ServerLost)).unwrap();
        // The old server was not told: it has accepted more, and its log arrives behind the seal.
        world.log[0].push(Intent::Seal(World::shard_id(0), fence.epoch));
        world.drain();
        world.open_epoch(0);
        let rows = world.rows.clone();
        for who in 0..late {
            let reply = old.reserve(fence, START, &[item(&user(50 + who), &key(0), &basket(&[(0, 1)]))]).unwrap();
            world.publish(0, reply.entry);
        }
        world.drain();
        prop_assert_eq!(&world.rows, &rows);
        world.check_at_rest();
    }
}

#[test]
fn phase_b_a_sealed_memory_answers_known_keys_settles_and_takes_nothing() {
    let mut world = World::open(1, 4, &[3]);
    let id = world.buy(&user(0), &key(0), &basket(&[(0, 1)]));
    let fence = world.fence(0);
    world.shards[0].seal(fence.epoch);
    let clicks = [item(&user(0), &key(0), &basket(&[(0, 1)])), item(&user(1), &key(0), &basket(&[(0, 1)]))];
    let reply = world.shards[0].reserve(fence, START, &clicks).unwrap();
    assert!(matches!(reply.replies[0], ItemReply::Replayed(_)));
    assert_eq!(reply.replies[1], ItemReply::Refused(ReserveRefusal::NotReady));
    assert_eq!(world.shards[0].settle(fence.epoch, &user(0), id.reservation), Settlement::Done);
    assert_eq!(world.shards[0].meta().unwrap().state, ShardState::Sealed);
    assert_eq!(world.available(0, 0), 3);
}

#[test]
fn phase_d_only_the_seal_of_the_epoch_that_ends_moves_the_row() {
    let mut world = World::open(1, 4, &[3]);
    let seal = |epoch| Intent::Seal(World::shard_id(0), epoch);
    world.intake(0, &[seal(Epoch(1))]);
    assert_eq!((world.row(0).phase, world.row(0).epoch), (Phase::Open, Epoch(1)), "nobody ends it");
    world.ladder(0, LadderStep::BeginSealing(world.row(0).rung(), SealReason::Operator)).unwrap();
    world.intake(0, &[seal(Epoch(2)), seal(Epoch(1)), seal(Epoch(1))]);
    assert_eq!((world.row(0).phase, world.row(0).epoch), (Phase::Sealed, Epoch(2)), "once");
}

/// The epochs under which events since then tell the shard, and what its memory says to each.
fn told_since(world: &mut World, first: usize) -> Vec<(Epoch, Settlement)> {
    let events = world.outbox[first..].to_vec();
    let told = events.into_iter().filter_map(|event| {
        let settlement = world.send_down(&event)?;
        Some((ShardChange::of(event)?.1.epoch(), settlement))
    });
    told.collect()
}

#[test]
fn phase_d_the_load_to_come_counts_what_changes_before_it_and_nobody_else_needs_to_know() {
    let mut world = World::open(1, 4, &[3]);
    let orders = [0, 1].map(|who| world.buy(&user(who), &key(0), &basket(&[(0, 1)])));
    let cancel = |order| OrderCommand::Cancel { order, user: None, ending: Ending::Buyer };
    let top_up = |n| SaleCommand::TopUp { sale: common::sale(), sku: common::sku(0), quantity: 2, key: key(n) };
    world.end_epoch(0);
    let sealed = world.outbox.len();
    world.order_command(cancel(orders[0])).unwrap();
    world.sale(top_up(1)).unwrap();
    assert_eq!(told_since(&mut world, sealed), [(Epoch(1), Settlement::Done); 2], "the last memory may know");
    world.open_epoch(0);
    world.check_at_rest();
    assert_eq!(told_since(&mut world, sealed), [(Epoch(1), Settlement::Done); 2], "it was counted");
    let open = world.outbox.len();
    world.order_command(cancel(orders[1])).unwrap();
    world.sale(top_up(2)).unwrap();
    assert_eq!(told_since(&mut world, open), [(Epoch(2), Settlement::Done); 2]);
    world.check_at_rest();
}

#[test]
fn a_lease_is_its_owners_until_its_end_and_then_anybodys() {
    let mut world = World::open(1, 4, &[3]);
    let keep = |world: &mut World, owner| {
        let command = LadderCommand { shard: World::shard_id(0), owner: Some(owner), step: LadderStep::KeepLease };
        world.apply(Command::Ladder(command)).map(|_| world.row(0).lease.unwrap())
    };
    let until = world.now.after_ms(LEASE_MS);
    assert_eq!(keep(&mut world, 1), Ok(Lease { owner: 1, until }));
    world.now = world.now.after_ms(LEASE_MS - 1);
    assert_eq!(keep(&mut world, 2), Err(Refusal::LeaseHeld), "a millisecond before its end");
    world.now = until;
    assert_eq!(keep(&mut world, 2), Ok(Lease { owner: 2, until: until.after_ms(LEASE_MS) }), "at its end");
    assert_eq!(keep(&mut world, 1), Err(Refusal::LeaseHeld));
    world.now = until.after_ms(1);
    assert_eq!(keep(&mut world, 2), Ok(Lease { owner: 2, until: until.after_ms(LEASE_MS + 1) }), "kept by its owner");
}

#[test]
fn phase_f_a_memory_is_never_loaded_over_by_the_same_epoch_under_another_nonce() {
    let mut world = World::open(1, 4, &[3]);
    world.end_epoch(0);
    world.ladder(0, LadderStep::BeginOpening(world.row(0).rung(), ServerId(7), Nonce(7))).unwrap();
    let (fence, parts) = (world.fence(0), world.load_chunks(0, 5));
    let mut shard = Shard::empty(ServerId(7));
    shard.load(fence, &parts[0]).unwrap();
    let rival = Fence { nonce: Nonce(8), ..fence };
    assert_eq!(shard.load(rival, &parts[0]), Err(LoadRefusal::Taken));
    assert_eq!(shard.open(rival, 1, false), Err(LoadRefusal::Taken));
    assert_eq!(shard.load(Fence { server: ServerId(8), ..fence }, &parts[0]), Err(LoadRefusal::WrongServer));
    let mut next = shard.clone();
    let later = Fence { epoch: fence.epoch.next(), ..fence };
    next.load(later, &parts[0]).expect("a later epoch begins anew, whatever its nonce");
    assert_eq!(next.meta().unwrap().epoch, later.epoch);
    assert_eq!(shard.open(fence, 2, false), Err(LoadRefusal::Incomplete));
    shard.open(fence, 1, false).unwrap();
    shard.seal(fence.epoch);
    assert_eq!(shard.open(fence, 1, false), Err(LoadRefusal::Sealed));
}

#[test]
fn phase_e_what_comes_down_waits_for_the_end_of_the_load() {
    let mut world = World::open(1, 4, &[3]);
    let id = world.buy(&user(0), &key(0), &basket(&[(0, 2)]));
    world.end_epoch(0);
    world.ladder(0, LadderStep::BeginOpening(world.row(0).rung(), ServerId(7), Nonce(7))).unwrap();
    let (fence, parts) = (world.fence(0), world.load_chunks(0, 5));
    let mut shard = Shard::empty(ServerId(7));
    shard.load(fence, &parts[0]).unwrap();
    assert_eq!(shard.settle(fence.epoch, &user(0), id.reservation), Settlement::Retry, "the record may come yet");
    assert_eq!(shard.grant(fence.epoch, sku(0), 5, 2), Settlement::Retry);
    shard.open(fence, 1, false).unwrap();
    assert_eq!(shard.settle(fence.epoch, &user(0), id.reservation), Settlement::Done);
    assert_eq!(shard.grant(fence.epoch, sku(0), 5, 2), Settlement::Done);
    let counter = shard.counters().next().unwrap().1;
    assert_eq!((counter.available, counter.live, counter.granted), (8, 0, 8));
}

#[test]
fn phase_e_records_that_do_not_add_up_to_the_counters_are_not_opened() {
    let mut world = World::open(1, 4, &[9]);
    world.buy(&user(0), &key(0), &basket(&[(0, 2)]));
    world.end_epoch(0);
    world.ladder(0, LadderStep::BeginOpening(world.row(0).rung(), ServerId(7), Nonce(7))).unwrap();
    let (fence, mut parts) = (world.fence(0), world.load_chunks(0, 5));
    parts[0].records.clear();
    let mut shard = Shard::empty(ServerId(7));
    shard.load(fence, &parts[0]).unwrap();
    assert_eq!(shard.open(fence, 1, false), Err(LoadRefusal::Unbalanced));
}

#[test]
fn phase_e_a_load_has_a_head_without_records_and_every_record_of_many() {
    let world = World::open(1, 4, &[3]);
    let head = || load_head(&world.rows.sales[&common::sale()], &[]);
    let empty: Vec<Chunk> = chunks(head(), [].into_iter()).collect();
    assert_eq!(empty, [Chunk { number: 1, head: Some(head()), records: vec![] }]);
    let mut bought = World::open(1, 4, &[3]);
    let id = bought.buy(&user(0), &key(0), &basket(&[(0, 1)]));
    let many = std::iter::repeat_n(bought.order(id), 2 * LOAD_CHUNK_MAX + 1);
    let sizes = chunks(head(), many).map(|chunk| (chunk.number, chunk.head.is_some(), chunk.records.len()));
    let full = LOAD_CHUNK_MAX;
    assert_eq!(sizes.collect::<Vec<_>>(), [(1, true, full), (2, false, full), (3, false, 1)]);
}

#[test]
fn an_extension_survives_a_rebuild_and_the_old_end_does_not_expire_it() {
    let mut world = World::open(1, 4, &[9]);
    let id = world.buy(&user(0), &key(0), &basket(&[(0, 2)]));
    let later = START.after_ms(3 * HOLD_MS);
    world.order_command(OrderCommand::Extend { order: id, expires_at: later }).unwrap();
    world.end_epoch(0);
    world.open_epoch(0);
    world.now = START.after_ms(2 * HOLD_MS);
    assert_eq!(world.expire(vec![id]), 0);
    world.now = later;
    assert_eq!(world.expire(vec![id]), 1);
    world.settle();
    world.check_at_rest();
}
