//! The settler of what goes down to shards: units given back and units granted.
//!
//! Both are idempotent at the shard (rules 5 and 6), so everything that is not known to be dealt with is sent again.
//! What a shard cannot take yet is parked, in order of arrival, and its row is read: a load that is yet to come
//! will count it, and a closed shard has returned it to the pool.

mod parking;

use crate::call::earliest;
use crate::database::event::Event;
use crate::database::rows::Phase;
use crate::ids::{Epoch, ReservationId, ShardId, SkuId, UserId};
use crate::inbox::partitions::{News, Partitions};
use crate::inbox::{self, LaneId, Offset};
use crate::ledger::settle::Settlement;
use crate::limits::PARKED_MAX;
use crate::machine::{Machine, Ticket};
use crate::outcome::Outcome;
use crate::rng::Rng;
use crate::time::{Mono, Now};
use parking::Parking;
use std::collections::BTreeMap;

/// The settler of one process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Settler {
    tickets: Ticket,
    rng: Rng,
    partitions: Partitions,
    shards: BTreeMap<LaneId, Parking>,
}

/// What a settler hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettlerEvent {
    /// Time has passed.
    Tick,
    /// Something of the partitions of what goes down; see [`ShardChange::of`].
    Inbox(inbox::Event<(ShardId, ShardChange)>),
    /// Answer to `Settle`.
    Settled {
        /// Of the question.
        ticket: Ticket,
        /// One per change, in their order; `Refused` when nothing was sent because no server was reached.
        outcome: Outcome<Vec<Settlement>, Unreachable>,
    },
    /// Answer to `ReadShard`; `None` when it failed. An old row only lets less be dropped: what is concluded from it stays
    /// true.
    ShardRead {
        /// Of the question.
        ticket: Ticket,
        /// Where the shard stands.
        rung: Option<(Phase, Epoch)>,
    },
}

/// No server of the shard answers: nothing was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Unreachable;

/// What a settler asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SettlerEffect {
    /// Apply these changes to the shard's memory, in this order, whatever server holds it.
    Settle {
        /// Of the question.
        ticket: Ticket,
        /// Which shard.
        shard: ShardId,
        /// At most `SETTLEMENTS_MAX`.
        changes: Vec<ShardChange>,
    },
    /// Read the shard's row.
    ReadShard {
        /// Of the question.
        ticket: Ticket,
        /// Which shard.
        shard: ShardId,
    },
    /// Forget that units of this shard were sold out, in this process; all its SKUs when none is named.
    ClearLatch {
        /// Which shard.
        shard: ShardId,
        /// Which SKU.
        sku: Option<SkuId>,
    },
    /// Something of the partitions.
    Inbox(inbox::Effect),
}

/// One change that goes down to a shard.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ShardChange {
    /// Rule 5.
    GiveBack {
        /// The last epoch that may not have counted it, by the row at the time of the change.
        epoch: Epoch,
        /// Whose page.
        user: UserId,
        /// Which record.
        id: ReservationId,
    },
    /// Rule 6.
    Grant {
        /// The last epoch that may not have counted it, by the row at the time of the grant.
        epoch: Epoch,
        /// Which SKU.
        sku: SkuId,
        /// How many.
        quantity: u64,
        /// Which grant of this SKU to this shard.
        grant_seq: u64,
    },
}

impl ShardChange {
    /// The change that an event sends down, and to which shard; `None` for what goes elsewhere.
    pub fn of(event: Event) -> Option<(ShardId, ShardChange)> {
        match event {
            Event::Settled { shard, epoch, user, id } => Some((shard, ShardChange::GiveBack { epoch, user, id })),
            Event::Granted { shard, epoch, sku, quantity, grant_seq } => {
                Some((shard, ShardChange::Grant { epoch, sku, quantity, grant_seq }))
            }
            Event::OrderChanged(_)
            | Event::TimeoutDue { .. }
            | Event::ReservationLost { .. }
            | Event::PaymentLate { .. }
            | Event::RefundDue { .. }
            | Event::SaleChanged { .. }
            | Event::CatalogChanged { .. }
            | Event::SalesMoved(_)
            | Event::SalesAdvanced { .. } => None,
        }
    }

    /// The last epoch that may not have counted it, by the row when it was written.
    pub fn epoch(&self) -> Epoch {
        match self {
            ShardChange::GiveBack { epoch, .. } | ShardChange::Grant { epoch, .. } => *epoch,
        }
    }
}

impl Settler {
    /// A settler without partitions; the seed varies its delays.
    pub fn new(seed: u64) -> Settler {
        let (tickets, rng, partitions) = (Ticket::default(), Rng::seeded(seed), Partitions::new(PARKED_MAX));
        Settler { tickets, rng, partitions, shards: BTreeMap::new() }
    }

    fn absorb(&mut self, now: Now, event: inbox::Event<(ShardId, ShardChange)>) {
        match self.partitions.absorb(now.mono, &mut self.rng, event) {
            News::Nothing => {}
            News::Gone(partition) => self.shards.retain(|id, _| id.0 != partition),
            News::Fresh(partition, records) => {
                for (offset, (shard, change)) in records {
                    self.shards.entry((partition, shard)).or_default().park(now, offset, change);
                }
            }
        }
    }

    fn settled(
        &mut self,
        now: Now,
        ticket: Ticket,
        outcome: Outcome<Vec<Settlement>, Unreachable>,
        out: &mut Vec<SettlerEffect>,
    ) {
        let asked = self.shards.iter_mut().find_map(|(id, parking)| {
            let awaited = parking.awaits_settlement(ticket);
            awaited.then_some((*id, parking))
        });
        let Some(((partition, shard), parking)) = asked else { return };
        match outcome {
            Outcome::Done(settlements) => {
                let changed = parking.settle(now, &settlements, &mut self.rng);
                clear_latches(shard, &changed, out);
                for (offset, _) in changed {
                    self.partitions.finish(partition, offset);
                }
            }
            Outcome::Refused(Unreachable) => parking.retry(now, &mut self.rng),
            // Applied or not: rule 5 ends a record once and rule 6 takes a numbered grant once, so all go again.
            Outcome::Unknown => parking.retry(now, &mut self.rng),
        }
    }

    fn shard_read(&mut self, now: Now, ticket: Ticket, rung: Option<(Phase, Epoch)>) {
        let asked = self.shards.iter_mut().find_map(|(id, parking)| {
            let awaited = parking.awaits_row(ticket);
            awaited.then_some((id.0, parking))
        });
        let Some((partition, parking)) = asked else { return };
        match rung {
            Some((phase, epoch)) => {
                for offset in parking.drop_counted(now, phase, epoch) {
                    self.partitions.finish(partition, offset);
                }
            }
            None => parking.retry_row(now, &mut self.rng),
        }
    }

    fn send_due(&mut self, now: Now, out: &mut Vec<SettlerEffect>) {
        self.shards.retain(|_, parking| !parking.is_empty());
        for (id, parking) in &mut self.shards {
            parking.send_due(now, id.1, &mut self.tickets, &mut self.rng, out);
        }
        let mut effects = Vec::new();
        self.partitions.pump(now.mono, &mut self.tickets, &mut effects);
        out.extend(effects.into_iter().map(SettlerEffect::Inbox));
    }
}

/// Units came back: whoever was told "sold out" in this process may ask again. A record's SKUs are not known here.
fn clear_latches(shard: ShardId, changed: &[(Offset, ShardChange)], out: &mut Vec<SettlerEffect>) {
    let mut given_back = false;
    for (_, change) in changed {
        match change {
            ShardChange::GiveBack { .. } => given_back = true,
            ShardChange::Grant { sku, .. } => out.push(SettlerEffect::ClearLatch { shard, sku: Some(*sku) }),
        }
    }
    if given_back {
        out.push(SettlerEffect::ClearLatch { shard, sku: None });
    }
}

impl Machine for Settler {
    type Event = SettlerEvent;
    type Effect = SettlerEffect;

    fn step(&mut self, now: Now, event: SettlerEvent, out: &mut Vec<SettlerEffect>) {
        match event {
            SettlerEvent::Tick => {}
            SettlerEvent::Inbox(event) => self.absorb(now, event),
            SettlerEvent::Settled { ticket, outcome } => self.settled(now, ticket, outcome, out),
            SettlerEvent::ShardRead { ticket, rung } => self.shard_read(now, ticket, rung),
        }
        self.send_due(now, out);
    }

    fn wake_at(&self) -> Option<(Mono, &'static str)> {
        earliest(self.partitions.wakes().chain(self.shards.values().flat_map(Parking::wakes)))
    }

    fn pending(&self) -> Option<&'static str> {
        if self.shards.is_empty() { self.partitions.owes() } else { Some("changes are on their way down to shards") }
    }
}
