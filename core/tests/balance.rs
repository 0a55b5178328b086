//! The policy that shares units among shards: it takes from nobody what they need, loses nothing, and comes to rest.

mod common;

use doorbuster_core::database::rows::{Phase, ShardRow, StockRow};
use doorbuster_core::ids::{Nonce, ServerId};
use doorbuster_core::keeper::balance::{Move, Slice, observe, plan};
use doorbuster_core::ledger::shard::{Meta, ShardState};
use proptest::prelude::*;

const SHARDS_MAX: usize = 6;

#[derive(Clone, Debug)]
struct Share {
    pool: u64,
    slices: Vec<Slice>,
}

fn slice(k: u16, available: u64, wanted: Option<u64>) -> Slice {
    Slice { k, available, wanted, expected: 0, fed: false, moving: false, grant_seq: 0 }
}

fn shares() -> impl Strategy<Value = Share> {
    let amount = prop_oneof![Just(0_u64), 0..4_u64, 0..2_000_000_u64];
    let wanted = prop_oneof![Just(None), Just(Some(0_u64)), (0..6_u64).prop_map(Some)];
    let one = (amount.clone(), wanted, 0..40_u64, any::<bool>());
    (amount, proptest::collection::vec(one, 0..SHARDS_MAX)).prop_map(|(pool, drawn)| {
        let slices = drawn.into_iter().zip(0..).map(|((available, wanted, expected, fed), k)| Slice {
            expected,
            fed: fed && available % 3 == 0,
            ..slice(k, available, wanted)
        });
        Share { pool, slices: slices.collect() }
    })
}

impl Share {
    fn total(&self) -> u64 {
        self.pool + self.slices.iter().map(|slice| slice.available).sum::<u64>()
    }

    fn next(&self) -> Vec<Move> {
        plan(self.pool, &self.slices)
    }

    /// Makes the moves as the rows would: nothing is taken that is not there.
    fn make(&mut self, moves: &[Move]) {
        for step in moves {
            match *step {
                Move::Withdraw { k, quantity } => {
                    let slice = &mut self.slices[usize::from(k)];
                    assert!((1..=slice.available).contains(&quantity), "{k} was asked for {quantity}");
                    slice.available -= quantity;
                    self.pool += quantity;
                }
                Move::Grant { k, quantity, after } => {
                    let slice = &mut self.slices[usize::from(k)];
                    assert!((1..=self.pool).contains(&quantity), "{quantity} of a pool of {}", self.pool);
                    assert_eq!(after, slice.grant_seq, "two grants of one plan went to one shard");
                    slice.available += quantity;
                    slice.grant_seq += 1;
                    self.pool -= quantity;
                }
                Move::Distribute => {
                    let count = self.slices.len() as u64;
                    for (index, slice) in self.slices.iter_mut().enumerate() {
                        slice.available += self.pool / count + u64::from((index as u64) < self.pool % count);
                    }
                    self.pool = 0;
                }
            }
        }
    }

    /// Moves until there is none; the number of plans that it took.
    fn settle(&mut self) -> usize {
        for rounds in 0..200 {
            let moves = self.next();
            if moves.is_empty() {
                return rounds;
            }
            self.make(&moves);
        }
        panic!("units go round in circles: {self:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_plan_asks_for_more_than_there_is_and_every_unit_stays_in_the_sale(share in shares()) {
        let (mut share, total) = (share.clone(), share.total());
        for _ in 0..20 {
            let moves = share.next();
            share.make(&moves);
            prop_assert_eq!(share.total(), total);
        }
    }

    #[test]
    fn while_nothing_else_changes_moves_end(share in shares()) {
        let mut share = share;
        // A share is halved at each move, and between two moves lies one grant.
        prop_assert!(share.settle() <= 2 * (64 - share.total().leading_zeros() as usize) + 3);
        prop_assert_eq!(share.next(), []);
    }

    #[test]
    fn nobody_gives_what_its_own_buyers_want_or_are_about_to_take(share in shares()) {
        for step in share.next() {
            if let Move::Withdraw { k, quantity } = step {
                let giver = &share.slices[usize::from(k)];
                prop_assert!(!giver.is_short() && !giver.fed);
                let kept = giver.available - quantity;
                prop_assert!(kept >= giver.wanted.unwrap_or(1) && kept >= giver.expected);
            }
        }
    }

    #[test]
    fn a_sale_in_which_nobody_is_short_is_left_alone(share in shares()) {
        let mut share = Share { pool: 0, ..share };
        share.slices.retain(|slice| !slice.is_short());
        prop_assert_eq!(share.next(), []);
    }

    #[test]
    fn units_that_are_on_their_way_are_waited_for(share in shares(), which in 0..SHARDS_MAX) {
        let mut share = Share { pool: 0, ..share };
        if let Some(slice) = share.slices.get_mut(which) {
            slice.moving = true;
            prop_assert_eq!(share.next(), []);
        }
    }

    #[test]
    fn a_shard_whose_buyers_want_all_gets_all(mut units in proptest::collection::vec(0..5_000_u64, 2..SHARDS_MAX)) {
        units[0] = 0;
        let total: u64 = units.iter().sum();
        let slices = units.iter().zip(0..).map(|(units, k)| slice(k, *units, Some(u64::from(k == 0)))).collect();
        let (mut share, mut sold, mut rounds) = (Share { pool: 0, slices }, 0, 0);
        while sold < total {
            rounds += share.settle();
            prop_assert!(share.slices[0].available > 0, "a unit stays behind: {:?}", share);
            sold += std::mem::take(&mut share.slices[0].available);
        }
        prop_assert!(rounds <= 2 * 13, "5,000 are halved thirteen times, not {rounds} / 2");
    }
}

#[test]
fn where_refusals_are_not_known_an_empty_shard_gets_a_part_and_each_keeps_a_unit() {
    let slices = [(0, 0), (1, 9), (2, 1)].map(|(k, available)| slice(k, available, None));
    let mut share = Share { pool: 0, slices: slices.to_vec() };
    share.settle();
    let available: Vec<u64> = share.slices.iter().map(|slice| slice.available).collect();
    assert_eq!(available, [4, 5, 1]);
}

#[test]
fn two_shards_that_both_want_the_last_unit_do_not_pass_it_on() {
    let slices = [(0, 1), (1, 0)].map(|(k, available)| slice(k, available, Some(1)));
    assert_eq!(plan(0, &slices), []);
}

#[test]
fn what_a_dead_balancer_left_in_the_pool_is_shared() {
    let slices = [(0, 3), (1, 4)].map(|(k, available)| slice(k, available, Some(0)));
    assert_eq!(plan(5, &slices), [Move::Distribute]);
    assert_eq!(plan(5, &[]), [], "no shard sells now");
}

#[test]
fn only_the_rows_own_memory_that_sells_is_looked_at() {
    let world = common::World::open(1, 2, &[5]);
    let (row, stock) = (world.row(0), world.stock(0, 0));
    let meta = *world.shards[0].meta().expect("an open shard has a memory");
    let counter = world.shards[0].counters().next().expect("it has a SKU").1;
    let seen = observe(row, &stock, row.server, &meta, &counter).expect("it is the row's own");
    assert_eq!((seen.available, seen.moving), (5, false));
    let other = [
        observe(row, &stock, ServerId(99), &meta, &counter),
        observe(row, &stock, row.server, &Meta { epoch: meta.epoch.next(), ..meta }, &counter),
        observe(row, &stock, row.server, &Meta { nonce: Nonce(99), ..meta }, &counter),
        observe(row, &stock, row.server, &Meta { state: ShardState::Stopped, ..meta }, &counter),
        observe(&ShardRow { phase: Phase::Sealing, ..row.clone() }, &stock, row.server, &meta, &counter),
    ];
    assert_eq!(other, [None; 5]);
    let granted = StockRow { granted: stock.granted + 1, ..stock };
    assert!(observe(row, &granted, row.server, &meta, &counter).is_some_and(|seen| seen.moving), "on its way");
}
