//! Rules 1, 2, 5, 6, 7 and 8 of the ledger on the shard's side, against a naive model that knows only lists.

mod common;

use common::{START, basket, item, key, sku, user};
use doorbuster_core::ids::{Epoch, Nonce, ReservationId, Seq, ServerId};
use doorbuster_core::ledger::basket::{Basket, BodyHash};
use doorbuster_core::ledger::entry::EntryKind;
use doorbuster_core::ledger::load::{Chunk, LoadHead, LoadedStock};
use doorbuster_core::ledger::page::{Acceptance, RecordState};
use doorbuster_core::ledger::reserve::{ItemReply, ReserveItem, ReserveRefusal};
use doorbuster_core::ledger::settle::Settlement;
use doorbuster_core::ledger::shard::{Fence, Shard, ShardState, Window};
use doorbuster_core::limits::KEYS_MAX;
use doorbuster_core::time::Wall;
use proptest::prelude::*;

const FENCE: Fence = Fence { server: ServerId(1), epoch: Epoch(3), nonce: Nonce(9) };
const END: Wall = Wall(2_000_000);
const LIMIT: u32 = 4;

/// Rule 1 once more, as a list of records and a list of counters.
#[derive(Clone)]
struct Naive {
    state: ShardState,
    seq: u64,
    /// user, id, body, lines, live, acceptance
    records: Vec<(usize, ReservationId, BodyHash, Basket, bool, Acceptance)>,
    available: Vec<u64>,
    granted: Vec<u64>,
}

impl Naive {
    fn reserve(&mut self, now: Wall, clicks: &[(usize, ReserveItem)]) -> Vec<ItemReply> {
        let acceptance = Acceptance { epoch: FENCE.epoch, seq: Seq(self.seq + 1), reserved_at: now };
        let mut replies = Vec::new();
        for (who, item) in clicks {
            let reply = self.one(now, *who, item, acceptance);
            if let ItemReply::Accepted(_) = reply {
                for line in item.basket.lines() {
                    self.available[number(line.sku)] -= u64::from(line.quantity);
                }
                self.records.push((*who, item.id, item.body, item.basket.clone(), true, acceptance));
            }
            replies.push(reply);
        }
        if replies.iter().any(|reply| matches!(reply, ItemReply::Accepted(_))) {
            self.seq += 1;
        }
        replies
    }

    fn one(&self, now: Wall, who: usize, item: &ReserveItem, acceptance: Acceptance) -> ItemReply {
        use ReserveRefusal::{
            Ended, KeyReused, KeysExhausted, LimitReached, NotReady, NotStarted, SoldOut, Stopped, UnknownSku,
        };
        if self.state == ShardState::Loading {
            return ItemReply::Refused(NotReady);
        }
        let own: Vec<_> = self.records.iter().filter(|record| record.0 == who).collect();
        if let Some(known) = own.iter().find(|record| record.1 == item.id) {
            return if known.2 == item.body { ItemReply::Replayed(known.5) } else { ItemReply::Refused(KeyReused) };
        }
        let held: u32 = own.iter().filter(|record| record.4).map(|record| record.3.units()).sum();
        let refusal = match self.state {
            ShardState::Stopped => Some(Stopped),
            ShardState::Sealed | ShardState::Loading => Some(NotReady),
            ShardState::Open if now < START => Some(NotStarted),
            ShardState::Open if now >= END => Some(Ended),
            ShardState::Open if own.len() >= KEYS_MAX => Some(KeysExhausted),
            ShardState::Open if held + item.basket.units() > LIMIT => Some(LimitReached),
            ShardState::Open => {
                item.basket.lines().iter().find_map(|line| match self.available.get(number(line.sku)) {
                    None => Some(UnknownSku(line.sku)),
                    Some(available) if *available < u64::from(line.quantity) => Some(SoldOut(line.sku)),
                    Some(_) => None,
                })
            }
        };
        refusal.map_or(ItemReply::Accepted(acceptance), ItemReply::Refused)
    }

    fn settle(&mut self, id: ReservationId) {
        let Some(record) = self.records.iter_mut().find(|record| record.1 == id && record.4) else { return };
        record.4 = false;
        for line in record.3.lines() {
            self.available[number(line.sku)] += u64::from(line.quantity);
        }
    }

    fn agrees_with(&self, shard: &Shard) {
        shard.scan().unwrap();
        let meta = shard.meta().unwrap();
        assert_eq!((meta.state, meta.seq.0), (self.state, self.seq));
        for (sku, counter) in shard.counters() {
            let number = number(sku);
            assert_eq!((counter.available, counter.granted), (self.available[number], self.granted[number]));
        }
        assert_eq!(shard.pages().map(|(_, page)| page.records().len()).sum::<usize>(), self.records.len());
        for (who, id, _, _, live, acceptance) in &self.records {
            let record = shard.look_up(&user(*who), *id).unwrap();
            assert_eq!((record.state == RecordState::Live, record.acceptance), (*live, *acceptance));
        }
    }
}

fn number(sku: doorbuster_core::ids::SkuId) -> usize {
    sku.as_str().strip_prefix("sku-").unwrap().parse().unwrap()
}

fn open(stock: &[u64]) -> (Shard, Naive) {
    let head = LoadHead {
        window: Window { starts_at: START, ends_at: END },
        limit: LIMIT,
        stock: stock
            .iter()
            .enumerate()
            .map(|(index, granted)| (sku(index), LoadedStock { granted: *granted, consumed: 0, grant_seq: 1 }))
            .collect(),
    };
    let mut shard = Shard::empty(FENCE.server);
    shard.load(FENCE, &Chunk { number: 1, head: Some(head), records: Vec::new() }).unwrap();
    shard.open(FENCE, 1, false).unwrap();
    let naive = Naive {
        state: ShardState::Open,
        seq: 0,
        records: Vec::new(),
        available: stock.to_vec(),
        granted: stock.to_vec(),
    };
    (shard, naive)
}

/// User, key, lines.
type Wish = (usize, usize, Vec<(usize, u32)>);

#[derive(Clone, Debug)]
enum Step {
    /// One batch, and the server's clock.
    Reserve(Vec<Wish>, u64),
    Settle(usize, usize, u64),
    Pause(bool),
    Grant(usize, u64, u64),
    Withdraw(usize, u64),
    Seal,
}

fn click() -> impl Strategy<Value = Wish> {
    let lines = prop::sample::subsequence(vec![0usize, 1, 2], 1..=2)
        .prop_flat_map(|skus| {
            let length = skus.len();
            (Just(skus), prop::collection::vec(1u32..4, length))
        })
        .prop_map(|(skus, quantities)| skus.into_iter().zip(quantities).collect());
    (0usize..4, 0usize..11, lines)
}

fn step() -> impl Strategy<Value = Step> {
    let now = prop_oneof![10 => START.0..END.0, 1 => Just(START.0 - 1), 1 => Just(END.0)];
    prop_oneof![
        12 => (prop::collection::vec(click(), 1..6), now).prop_map(|(clicks, now)| Step::Reserve(clicks, now)),
        6 => (0usize..4, 0usize..11, 2u64..5).prop_map(|(who, key, epoch)| Step::Settle(who, key, epoch)),
        1 => any::<bool>().prop_map(Step::Pause),
        2 => (0usize..2, 0u64..5, 0u64..5).prop_map(|(sku, quantity, seq)| Step::Grant(sku, quantity, seq)),
        2 => (0usize..3, 1u64..4).prop_map(|(sku, quantity)| Step::Withdraw(sku, quantity)),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..40).prop_flat_map(|steps| {
        let length = steps.len();
        (Just(steps), prop::option::weighted(0.2, 0..length)).prop_map(|(mut steps, seal)| {
            if let Some(at) = seal {
                steps.insert(at, Step::Seal);
            }
            steps
        })
    })
}

fn take(shard: &mut Shard, naive: &mut Naive, grants: &mut [u64; 2], step: &Step) {
    match step {
        Step::Reserve(clicks, now) => {
            let items: Vec<(usize, ReserveItem)> =
                clicks.iter().map(|(who, n, lines)| (*who, item(&user(*who), &key(*n), &basket(lines)))).collect();
            let plain: Vec<ReserveItem> = items.iter().map(|(_, item)| item.clone()).collect();
            let before = naive.seq;
            let reply = shard.reserve(FENCE, Wall(*now), &plain).unwrap();
            assert_eq!(reply.replies, naive.reserve(Wall(*now), &items));
            // One entry per batch, complete, or none.
            let accepted: Vec<_> = plain
                .iter()
                .zip(&reply.replies)
                .filter(|(_, reply)| matches!(reply, ItemReply::Accepted(_)))
                .map(|(item, _)| item.id)
                .collect();
            assert_eq!(reply.entry.is_some(), naive.seq == before + 1);
            let Some(entry) = reply.entry else { return };
            let EntryKind::Reserved(reserved) = &entry.kind else { panic!("{entry:?}") };
            assert_eq!((entry.epoch, entry.seq.0), (FENCE.epoch, naive.seq));
            assert_eq!(reserved.iter().map(|one| one.id).collect::<Vec<_>>(), accepted);
        }
        Step::Settle(who, n, epoch) => {
            let id = item(&user(*who), &key(*n), &basket(&[(0, 1)])).id;
            let expected = if *epoch > FENCE.epoch.0 { Settlement::Retry } else { Settlement::Done };
            assert_eq!(shard.settle(Epoch(*epoch), &user(*who), id), expected);
            if *epoch == FENCE.epoch.0 {
                naive.settle(id);
            }
        }
        Step::Pause(paused) => {
            if naive.state != ShardState::Sealed {
                naive.state = if *paused { ShardState::Stopped } else { ShardState::Open };
            }
            assert_eq!(shard.set_state(FENCE, *paused).unwrap(), naive.state);
        }
        Step::Grant(number, quantity, seq) => {
            let next = grants[*number] + 1;
            let expected = if *seq > next { Settlement::Retry } else { Settlement::Done };
            assert_eq!(shard.grant(FENCE.epoch, sku(*number), *quantity, *seq), expected);
            if *seq == next {
                grants[*number] = next;
                naive.available[*number] += quantity;
                naive.granted[*number] += quantity;
            }
        }
        Step::Withdraw(number, quantity) => {
            let entry = shard.withdraw(FENCE, sku(*number), *quantity).unwrap();
            let possible = (*quantity).min(naive.available.get(*number).copied().unwrap_or(0));
            if possible == 0 || naive.state == ShardState::Sealed {
                assert_eq!(entry, None);
                return;
            }
            naive.seq += 1;
            naive.available[*number] -= possible;
            naive.granted[*number] -= possible;
            let kind = EntryKind::Withdrawn { sku: sku(*number), quantity: possible };
            assert_eq!(entry.map(|entry| (entry.seq.0, entry.kind)), Some((naive.seq, kind)));
        }
        Step::Seal => {
            assert_eq!(shard.seal(Epoch(2)), None, "another epoch is not sealed");
            assert_eq!(shard.seal(FENCE.epoch), Some(Seq(naive.seq)));
            naive.state = ShardState::Sealed;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn rules_1_5_6_7_are_the_naive_model_step_by_step(steps in steps(), stock in prop::collection::vec(0u64..9, 2)) {
        let (mut shard, mut naive) = open(&stock);
        let mut grants = [1, 1];
        for step in &steps {
            take(&mut shard, &mut naive, &mut grants, step);
            naive.agrees_with(&shard);
        }
    }

    #[test]
    fn rule_1_does_not_care_how_clicks_are_cut_into_batches(
        clicks in prop::collection::vec(click(), 1..24), cut in 1usize..8,
    ) {
        let (mut whole, _) = open(&[5, 5]);
        let mut cuts = whole.clone();
        let items: Vec<_> = clicks.iter().map(|(who, n, lines)| item(&user(*who), &key(*n), &basket(lines))).collect();
        let kind = |reply: &ItemReply| match reply {
            ItemReply::Accepted(_) => "accepted".to_owned(),
            ItemReply::Replayed(_) => "replayed".to_owned(),
            ItemReply::Refused(refusal) => format!("{refusal:?}"),
        };
        let one: Vec<_> = whole.reserve(FENCE, START, &items).unwrap().replies.iter().map(kind).collect();
        let mut many = Vec::new();
        for batch in items.chunks(cut) {
            many.extend(cuts.reserve(FENCE, START, batch).unwrap().replies.iter().map(kind));
        }
        prop_assert_eq!(one, many);
        prop_assert_eq!(whole.counters().collect::<Vec<_>>(), cuts.counters().collect::<Vec<_>>());
    }

    #[test]
    fn rule_2_a_wrong_fence_writes_nothing(server in 0u128..3, epoch in 2u64..5, nonce in 8u64..11) {
        let (mut shard, _) = open(&[5, 5]);
        let before = shard.clone();
        let fence = Fence { server: ServerId(server), epoch: Epoch(epoch), nonce: Nonce(nonce) };
        prop_assume!(fence != FENCE);
        let click = item(&user(0), &key(0), &basket(&[(0, 1)]));
        prop_assert!(shard.reserve(fence, START, &[click]).is_err());
        prop_assert!(shard.withdraw(fence, sku(0), 1).is_err());
        prop_assert!(shard.set_state(fence, true).is_err());
        prop_assert!(shard.ack(fence, Seq(0)).is_err());
        prop_assert_eq!(shard, before);
    }

    #[test]
    fn rule_5_settles_in_any_order_and_number_end_equal(
        clicks in prop::collection::vec(click(), 1..12),
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..30),
    ) {
        let (mut shard, _) = open(&[9, 9]);
        let items: Vec<_> = clicks.iter().map(|(who, n, lines)| (user(*who), item(&user(*who), &key(*n), &basket(lines)))).collect();
        for (_, click) in &items {
            shard.reserve(FENCE, START, std::slice::from_ref(click)).unwrap();
        }
        let mut once = shard.clone();
        for (user, click) in &items {
            once.settle(FENCE.epoch, user, click.id);
        }
        for index in order {
            let (user, click) = index.get(&items);
            shard.settle(FENCE.epoch, user, click.id);
            prop_assert!(shard.scan().is_ok());
        }
        for (user, click) in items.iter().rev() {
            shard.settle(FENCE.epoch, user, click.id);
            shard.settle(FENCE.epoch, user, click.id);
        }
        prop_assert_eq!(shard, once);
    }

    #[test]
    fn rule_6_grants_in_any_order_and_repeated_end_equal(
        quantities in prop::collection::vec(1u64..9, 1..6),
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let (mut shard, _) = open(&[3, 3]);
        let grants: Vec<(u64, u64)> = quantities.iter().enumerate().map(|(n, quantity)| (n as u64 + 2, *quantity)).collect();
        let mut straight = shard.clone();
        for (seq, quantity) in &grants {
            prop_assert_eq!(straight.grant(FENCE.epoch, sku(0), *quantity, *seq), Settlement::Done);
        }
        let mut owed: Vec<(u64, u64)> = order.iter().map(|index| *index.get(&grants)).chain(grants.iter().rev().copied()).collect();
        // What asks for a retry comes again; every round takes in at least one more grant.
        for _ in 0..=grants.len() {
            owed.retain(|(seq, quantity)| shard.grant(FENCE.epoch, sku(0), *quantity, *seq) == Settlement::Retry);
        }
        prop_assert!(owed.is_empty());
        prop_assert_eq!(shard, straight);
    }

    #[test]
    fn rule_7_what_is_withdrawn_is_exactly_what_the_log_tells(
        sold in 0usize..6, asked in prop::collection::vec((0usize..2, 1u64..6), 1..8),
    ) {
        let (mut shard, _) = open(&[6, 6]);
        for who in 0..sold {
            shard.reserve(FENCE, START, &[item(&user(who), &key(0), &basket(&[(0, 1)]))]).unwrap();
        }
        let mut told = [0, 0];
        for (number, quantity) in asked {
            if let Some(entry) = shard.withdraw(FENCE, sku(number), quantity).unwrap() {
                let EntryKind::Withdrawn { quantity, .. } = entry.kind else { panic!() };
                told[number] += quantity;
            }
        }
        for (sku, counter) in shard.counters() {
            prop_assert_eq!(counter.granted + told[number(sku)], 6);
            prop_assert_eq!(counter.granted, counter.available + counter.live);
        }
        shard.scan().unwrap();
    }

    #[test]
    fn rule_8_time_gives_nothing_back(now in START.0..END.0) {
        let (mut shard, _) = open(&[1, 1]);
        shard.reserve(FENCE, START, &[item(&user(0), &key(0), &basket(&[(0, 1)]))]).unwrap();
        let reply = shard.reserve(FENCE, Wall(now), &[item(&user(1), &key(0), &basket(&[(0, 1)]))]).unwrap();
        prop_assert_eq!(reply.replies, [ItemReply::Refused(ReserveRefusal::SoldOut(sku(0)))]);
    }
}

#[test]
fn a_ninth_key_is_refused_even_when_all_the_others_have_ended() {
    let (mut shard, _) = open(&[50, 50]);
    let buyer = user(0);
    for n in 0..KEYS_MAX {
        let click = item(&buyer, &key(n), &basket(&[(0, 1)]));
        let reply = shard.reserve(FENCE, START, std::slice::from_ref(&click)).unwrap();
        assert!(matches!(reply.replies[0], ItemReply::Accepted(_)));
        shard.settle(FENCE.epoch, &buyer, click.id);
    }
    let ninth = shard.reserve(FENCE, START, &[item(&buyer, &key(KEYS_MAX), &basket(&[(0, 1)]))]).unwrap();
    assert_eq!(ninth.replies, [ItemReply::Refused(ReserveRefusal::KeysExhausted)]);
    let first = shard.reserve(FENCE, END, &[item(&buyer, &key(0), &basket(&[(0, 1)]))]).unwrap();
    assert!(
        matches!(first.replies[0], ItemReply::Replayed(_)),
        "an ended key is answered as before, after the window too"
    );
}
