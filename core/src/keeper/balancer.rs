//! The balancer of one sale with several shards: it looks where buyers are refused, and has units brought there.
//!
//! It keeps nothing that must not be lost: a look finds units that are on their way, and units that a dead balancer left
//! in the pool. Two balancers of one sale are harmless: a shard gives only what its memory has, and a grant that another
//! one made meanwhile voids this one's.

use super::balance::{Move, Observed, Slice, plan};
use crate::call::{Call, earliest};
use crate::database::rows::SaleState;
use crate::ids::SkuId;
use crate::limits::{
    BALANCE_LOOK_MS, BALANCE_MOVES_PER_MINUTE, BALANCE_REACH_MS, BALANCE_REST_MS, BALANCE_SKUS_MAX, BALANCE_STAY_MS,
    BALANCE_WANT_MS, BALANCE_WANTS_MAX,
};
use crate::machine::{Machine, Ticket};
use crate::time::{Mono, Now};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Unbounded};

/// The balancer of one sale.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Balancer {
    tickets: Ticket,
    look: Call,
    /// Pause before the next look: it grows while looks find nothing to move.
    pause_ms: u64,
    looked_at: Mono,
    /// When the pools of all SKUs are to be looked at again.
    pools_at: Mono,
    /// Buyers who were refused for want of units.
    wants: BTreeMap<Place, Want>,
    /// What was seen last.
    seen: BTreeMap<Place, Seen>,
    /// The SKU that was looked at last: the next ones have their turn.
    last: Option<SkuId>,
    minute: Minute,
    closed: bool,
}

type Place = (SkuId, u16);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Want {
    quantity: u64,
    until: Mono,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Seen {
    live: u64,
    at: Mono,
    fed_until: Mono,
}

/// Moves of the current minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Minute {
    began: Mono,
    moves: usize,
}

/// What a balancer hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BalancerEvent {
    /// The time asked for has come.
    Woken,
    /// A buyer was refused because the shard has fewer units.
    SoldOut {
        /// In which shard of the sale.
        k: u16,
        /// Of which SKU.
        sku: SkuId,
        /// How many were wanted.
        quantity: u64,
    },
    /// Answers `Look`; `None` when it could not be read.
    Looked {
        /// Of the question.
        ticket: Ticket,
        /// What was seen.
        view: Option<SaleView>,
    },
}

/// A sale as a balancer sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaleView {
    /// What the operator wants.
    pub state: SaleState,
    /// The SKUs that were asked for and exist.
    pub skus: Vec<SkuView>,
}

/// One SKU's units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkuView {
    /// Which.
    pub sku: SkuId,
    /// Units that no shard has.
    pub pool: u64,
    /// The shards that sell, in order.
    pub shards: Vec<Observed>,
}

/// What a balancer asks for. Moves are not answered: the next look tells what became of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum BalancerEffect {
    /// Read the sale, the rows of these SKUs and what the shards' servers have of them.
    Look {
        /// Of the question.
        ticket: Ticket,
        /// At most `BALANCE_SKUS_MAX`.
        skus: Vec<SkuId>,
        /// Also every SKU with units in its pool.
        pools: bool,
    },
    /// Make this move.
    Make {
        /// Of which SKU.
        sku: SkuId,
        /// Which.
        step: Move,
    },
}

impl Balancer {
    /// A balancer that knows of no buyer; it begins with a look at the pools.
    pub fn new(now: Mono) -> Balancer {
        Balancer {
            tickets: Ticket::default(),
            look: Call::due(now),
            pause_ms: BALANCE_LOOK_MS,
            looked_at: now,
            pools_at: now,
            wants: BTreeMap::new(),
            seen: BTreeMap::new(),
            last: None,
            minute: Minute { began: now, moves: 0 },
            closed: false,
        }
    }

    fn sold_out(&mut self, now: Mono, place: Place, quantity: u64) {
        let want = Want { quantity, until: now.after_ms(BALANCE_WANT_MS) };
        if let Some(known) = self.wants.get_mut(&place) {
            // The smallest wish is the easiest to meet, and met first.
            *known = Want { quantity: quantity.min(known.quantity), ..want };
        } else if self.wants.len() < BALANCE_WANTS_MAX {
            self.wants.insert(place, want);
            self.pause_ms = BALANCE_LOOK_MS;
            self.look.wish(now.max(self.looked_at.after_ms(BALANCE_LOOK_MS)));
        }
    }

    fn looked(&mut self, now: Mono, ticket: Ticket, view: Option<SaleView>, out: &mut Vec<BalancerEffect>) {
        if !self.look.take(ticket) {
            return;
        }
        let Some(view) = view else { return self.look.again_at(now.after_ms(BALANCE_REST_MS)) };
        let mut moved = false;
        match view.state {
            SaleState::Closed => {
                self.closed = true;
                return self.look.rest();
            }
            SaleState::Draft | SaleState::Stopped => self.wants.clear(),
            SaleState::Open => {
                for sku in &view.skus {
                    moved |= self.balance(now, sku, out);
                }
            }
        }
        self.pause_ms = if moved { BALANCE_LOOK_MS } else { (2 * self.pause_ms).min(BALANCE_REST_MS) };
        let next = if self.wants.is_empty() && !moved { self.pools_at } else { now.after_ms(self.pause_ms) };
        self.look.again_at(next.min(self.pools_at).max(now.after_ms(BALANCE_LOOK_MS)));
    }

    /// Makes the moves of one SKU, as many as the minute allows; whether there was any.
    fn balance(&mut self, now: Mono, view: &SkuView, out: &mut Vec<BalancerEffect>) -> bool {
        let slices: Vec<Slice> = view.shards.iter().map(|observed| self.slice(now, view.sku, observed)).collect();
        let moves = plan(view.pool, &slices);
        let allowed = BALANCE_MOVES_PER_MINUTE - self.minute.moves;
        for step in moves.iter().take(allowed) {
            if let Move::Grant { k, .. } = step
                && let Some(seen) = self.seen.get_mut(&(view.sku, *k))
            {
                seen.fed_until = now.after_ms(BALANCE_STAY_MS);
            }
            out.push(BalancerEffect::Make { sku: view.sku, step: *step });
        }
        self.minute.moves += moves.len().min(allowed);
        // Units that are on their way have not been given out yet.
        !moves.is_empty() || slices.iter().any(|slice| slice.moving && slice.is_short())
    }

    fn slice(&mut self, now: Mono, sku: SkuId, observed: &Observed) -> Slice {
        let place = (sku, observed.k);
        let before = self.seen.get(&place).copied();
        let fed_until = before.map_or(Mono(0), |seen| seen.fed_until);
        self.seen.insert(place, Seen { live: observed.live, at: now, fed_until });
        if self.wants.get(&place).is_some_and(|want| want.quantity <= observed.available) {
            self.wants.remove(&place);
        }
        Slice {
            k: observed.k,
            available: observed.available,
            wanted: Some(self.wants.get(&place).map_or(0, |want| want.quantity)),
            expected: before.map_or(0, |seen| expected(seen, now, observed.live)),
            fed: now < fed_until,
            moving: observed.moving,
            grant_seq: observed.grant_seq,
        }
    }

    fn ask(&mut self, now: Mono, out: &mut Vec<BalancerEffect>) {
        self.wants.retain(|_, want| now < want.until);
        if now >= self.minute.began.after_ms(60_000) {
            self.minute = Minute { began: now, moves: 0 };
        }
        let pools = now >= self.pools_at;
        let skus = self.next_skus();
        if pools {
            self.pools_at = now.after_ms(BALANCE_REST_MS);
            // What was seen long ago tells nothing of the pace of now.
            self.seen.retain(|_, seen| now < seen.at.after_ms(BALANCE_STAY_MS));
        }
        if skus.is_empty() && !pools {
            return self.look.again_at(self.pools_at);
        }
        self.looked_at = now;
        let ticket = self.look.ask(now, self.tickets.advance());
        out.push(BalancerEffect::Look { ticket, skus, pools });
    }

    /// The wanted SKUs, in turn.
    fn next_skus(&mut self) -> Vec<SkuId> {
        let wanted: BTreeSet<SkuId> = self.wants.keys().map(|(sku, _)| *sku).collect();
        let after = self.last.map_or(Unbounded, Excluded);
        let later = wanted.range((after, Unbounded));
        let turn = later.chain(&wanted).take(wanted.len().min(BALANCE_SKUS_MAX)).copied();
        let skus: Vec<SkuId> = turn.collect();
        self.last = skus.last().copied();
        skus
    }
}

/// Units that will be taken while a move is on its way, at the pace since the last look.
fn expected(seen: Seen, now: Mono, live: u64) -> u64 {
    let elapsed_ms = (now.0.saturating_sub(seen.at.0) / 1000).max(1);
    live.saturating_sub(seen.live).saturating_mul(BALANCE_REACH_MS).div_ceil(elapsed_ms)
}

impl Machine for Balancer {
    type Event = BalancerEvent;
    type Effect = BalancerEffect;

    fn step(&mut self, now: Now, event: BalancerEvent, out: &mut Vec<BalancerEffect>) {
        match event {
            BalancerEvent::Woken => {}
            BalancerEvent::SoldOut { k, sku, quantity } => self.sold_out(now.mono, (sku, k), quantity),
            BalancerEvent::Looked { ticket, view } => self.looked(now.mono, ticket, view, out),
        }
        if !self.closed && self.look.is_due(now.mono) {
            self.ask(now.mono, out);
        }
    }

    fn wake_at(&self) -> Option<(Mono, &'static str)> {
        let look = if self.closed { None } else { self.look.wake_at() };
        earliest([(look, "a sale's shards are to be looked at")])
    }

    fn check(&self) {
        assert!(self.wants.len() <= BALANCE_WANTS_MAX, "wants are bounded");
        assert!(self.minute.moves <= BALANCE_MOVES_PER_MINUTE, "moves of a minute are bounded");
    }
}
