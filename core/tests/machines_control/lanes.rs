//! A lane before a server that answers late, twice, wrongly fenced, or never.

use super::hosts::Hosts;
use super::world::{World, sale, skus};
use super::{at_rest, heal};
use doorbuster_core::database::rows::{Phase, SaleState};
use doorbuster_core::ids::{Key, OrderId, ReservationId, UserId};
use doorbuster_core::lane::{Lane, LaneAnswer, LaneEffect, LaneEvent};
use doorbuster_core::ledger::basket::{Basket, Line};
use doorbuster_core::ledger::reserve::{ItemReply, ReserveItem};
use doorbuster_core::limits::{BATCH_MAX, LANE_FLIGHTS_MAX, LANE_WAITING_MAX};
use doorbuster_core::machine::Machine;
use doorbuster_core::outcome::Outcome;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

struct Edge {
    world: World,
    lane: Lane,
    sends: Vec<LaneEffect>,
    asked: BTreeMap<u64, ReserveItem>,
    answers: BTreeMap<u64, LaneAnswer>,
    /// Reservations of batches whose answer was lost: they may not travel together again.
    lost: BTreeSet<ReservationId>,
    healed: bool,
}

fn wish(user: usize, key: usize) -> ReserveItem {
    let user = UserId::parse(&format!("u{user}")).unwrap();
    let key = Key::parse(&format!("k{key}")).unwrap();
    let basket = Basket::parse(&[Line { sku: skus()[0], quantity: 1 }]).unwrap();
    let id = OrderId::derive(sale(), 1, &user, &key).reservation;
    ReserveItem { id, user, body: basket.body_hash(), basket }
}

impl Edge {
    fn new(seed: u64) -> Edge {
        let mut hosts = Hosts::new(seed);
        hosts.world.enter(SaleState::Open);
        heal(&mut hosts, at_rest);
        let mut world = hosts.world;
        let lane = Lane::new(BATCH_MAX, world.rng.draw());
        let (asked, answers) = (BTreeMap::new(), BTreeMap::new());
        Edge { world, lane, sends: Vec::new(), asked, answers, lost: BTreeSet::new(), healed: false }
    }

    fn tell(&mut self, event: LaneEvent) {
        let mut out = Vec::new();
        self.lane.step(self.world.now(), event, &mut out);
        self.lane.check();
        for effect in out {
            match effect {
                LaneEffect::Reply { token, answer } => {
                    assert!(self.answers.insert(token, answer).is_none(), "a buyer is answered once");
                    self.check_answer(token, answer);
                    self.lost.remove(&self.asked[&token].id);
                }
                LaneEffect::Send { ref items, .. } => {
                    let together = items.len() > 1 && items.iter().any(|item| self.lost.contains(&item.id));
                    assert!(!together, "a lost batch goes again item by item");
                    self.sends.push(effect);
                }
                LaneEffect::ReadRow(_) => self.sends.push(effect),
            }
        }
    }

    fn check_answer(&self, token: u64, answer: LaneAnswer) {
        let item = &self.asked[&token];
        let record = self.world.server.look_up(&item.user, item.id);
        match answer {
            LaneAnswer::Decided(ItemReply::Accepted(at) | ItemReply::Replayed(at)) => {
                assert_eq!(record.expect("accepted").acceptance, at, "S15: one acceptance per key");
            }
            LaneAnswer::NotReady => {
                let first = self.asked.range(..token).all(|(_, earlier)| earlier.id != item.id);
                assert!(!first || record.is_none(), "not ready means that nothing was taken");
            }
            LaneAnswer::Decided(ItemReply::Refused(_)) | LaneAnswer::Overloaded | LaneAnswer::Unknown => {}
        }
    }

    fn ask(&mut self, item: ReserveItem) {
        let token = self.asked.len() as u64;
        self.asked.insert(token, item.clone());
        self.tell(LaneEvent::Asked { token, item });
    }

    fn perform(&mut self) {
        if self.sends.is_empty() {
            return;
        }
        let index = if self.healed { 0 } else { self.world.below(self.sends.len()) };
        let fault = if self.healed { 9 } else { self.world.below(10) };
        let event = match self.sends.remove(index) {
            LaneEffect::ReadRow(ticket) => {
                let row = self.world.row();
                let open = row.phase == Phase::Open && fault != 0;
                LaneEvent::RowRead { ticket, fence: open.then(|| row.fence()) }
            }
            LaneEffect::Send { ticket, fence, items } => {
                let done = if fault == 0 { None } else { Some(self.world.reserve(fence, &items)) };
                let outcome = match done {
                    _ if fault <= 2 => {
                        self.lost.extend(items.iter().map(|item| item.id));
                        Outcome::Unknown
                    }
                    Some(Ok(replies)) => Outcome::Done(replies),
                    Some(Err(fenced)) => Outcome::Refused(fenced),
                    None => Outcome::Unknown,
                };
                LaneEvent::Replied { ticket, outcome }
            }
            LaneEffect::Reply { .. } => unreachable!("replies are taken at once"),
        };
        if fault == 3 {
            self.tell(event.clone());
        }
        if fault != 4 {
            self.tell(event);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_buyer_is_answered_once_and_the_same_key_gets_the_same_answer(seed: u64) {
        let mut edge = Edge::new(seed);
        for _ in 0..600 {
            match edge.world.below(10) {
                0..=4 => {
                    let (user, key) = (edge.world.below(40), edge.world.below(3));
                    edge.ask(wish(user, key));
                }
                5..=7 => edge.perform(),
                8 => {
                    edge.world.mono.0 += edge.world.rng.below(300_000);
                    edge.tell(LaneEvent::Tick);
                }
                _ => edge.tell(LaneEvent::Tick),
            }
        }
        edge.healed = true;
        for _ in 0..2_000 {
            edge.perform();
            if edge.sends.is_empty() && let Some((at, _)) = edge.lane.wake_at() {
                edge.world.mono = edge.world.mono.max(at);
                edge.tell(LaneEvent::Tick);
            }
        }
        prop_assert_eq!(edge.lane.pending(), None);
        prop_assert_eq!(edge.answers.len(), edge.asked.len());
    }
}

#[test]
fn what_waits_leaves_in_batches_and_a_full_lane_says_so() {
    let mut edge = Edge::new(3);
    for user in 0..3 {
        edge.ask(wish(user, 0));
    }
    edge.healed = true;
    edge.perform();
    let sizes = |edge: &Edge| -> Vec<usize> {
        let size = |effect: &LaneEffect| match effect {
            LaneEffect::Send { items, .. } => items.len(),
            LaneEffect::ReadRow(_) | LaneEffect::Reply { .. } => 0,
        };
        edge.sends.iter().map(size).collect()
    };
    assert_eq!(sizes(&edge), [3], "all that waited for the row leave together");
    for user in 3..1_000 {
        edge.ask(wish(user, 0));
    }
    assert_eq!(sizes(&edge), [3, 1]);
    let overloaded = edge.answers.values().filter(|answer| **answer == LaneAnswer::Overloaded).count();
    assert_eq!(overloaded, 1_000 - LANE_WAITING_MAX - 3 - 1);
    edge.perform();
    assert_eq!(sizes(&edge), [1, BATCH_MAX]);
    assert!(edge.sends.len() <= LANE_FLIGHTS_MAX);
}

#[test]
fn a_second_click_joins_the_first() {
    let mut edge = Edge::new(4);
    edge.healed = true;
    edge.ask(wish(0, 0));
    edge.perform();
    edge.ask(wish(0, 0));
    edge.perform();
    assert_eq!(edge.answers[&0], edge.answers[&1]);
    assert!(matches!(edge.answers[&0], LaneAnswer::Decided(ItemReply::Accepted(_))));
    edge.ask(wish(0, 0));
    edge.perform();
    assert!(matches!(edge.answers[&2], LaneAnswer::Decided(ItemReply::Replayed(_))));
}

#[test]
fn a_lane_in_which_nobody_waits_is_not_woken_for_its_row() {
    use doorbuster_core::limits::{LANE_ANSWER_MS, LANE_PATIENCE_MS};
    use doorbuster_core::time::{Mono, Now, Wall};
    let at = |ms: u64| Now { mono: Mono(0).after_ms(ms), wall: Wall(ms) };
    let (mut lane, mut out) = (Lane::new(BATCH_MAX, 1), Vec::new());
    lane.step(at(0), LaneEvent::Asked { token: 1, item: wish(0, 0) }, &mut out);
    // The row is never answered: it is asked for again and again, until the buyer is told to come again.
    for ms in (0..=LANE_PATIENCE_MS).step_by(LANE_ANSWER_MS as usize / 2) {
        lane.step(at(ms), LaneEvent::Tick, &mut out);
    }
    assert!(out.contains(&LaneEffect::Reply { token: 1, answer: LaneAnswer::NotReady }), "{out:?}");
    assert_eq!(lane.wake_at(), None, "a due time for which nothing is done is a busy loop");
}
