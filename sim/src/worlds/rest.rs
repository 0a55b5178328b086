//! A run at rest, as every world judges it: what the rows alone cannot say, and which moments it has reached.

mod moments;

use super::watch::Broken;
use crate::plan::Acknowledge;
use crate::services::broker::Broker;
use crate::services::broker::log::{Payload, TopicId};
use crate::services::provider::Provider;
use crate::worlds::fast::roles::partition_of;
use doorbuster_core::database::rows::{Phase, SaleState, SealReason, ShardRow};
use doorbuster_core::database::tables::Rows;
use doorbuster_core::ids::{Epoch, OrderId, Seq, ShardId, UserId};
use doorbuster_core::ledger::entry::Intent;
use doorbuster_core::ledger::shard::{Meta, ShardState};
use doorbuster_core::oracle::audit::{Audit, MemoryLine};
use doorbuster_core::oracle::headline;
use doorbuster_core::oracle::history::History;
use doorbuster_core::oracle::judge::{Inputs, Losses, Watched, judge_watched};
use doorbuster_core::oracle::verdict::Check;
use doorbuster_core::order::fate::Fate;
use std::fmt::Display;

/// After healing, everything is at rest within so many seconds of simulated time: a pay window, its grace, a lost queue
/// that the sweep makes good, and an epoch that ends on the way.
pub const REST_S: u64 = 420;
/// Tries of one probe.
pub const PROBE_TRIES: u32 = 40;

/// A run at rest.
pub struct AtRest<'a> {
    /// What the stores hold.
    pub audit: &'a Audit,
    /// The rows that a look-up reads.
    pub rows: &'a Rows,
    /// What buyers saw.
    pub history: &'a History,
    /// The topics.
    pub broker: &'a Broker,
    /// Who takes the money; none where nobody plays that part.
    pub provider: Option<&'a Provider>,
    /// The durable log lost records that it had acknowledged.
    pub durable_lost: bool,
}

/// What a look at a run at rest finds.
pub struct Found {
    /// Acceptances that are lost.
    pub lost: u64,
    /// The first broken promise.
    pub broken: Option<Broken>,
    /// Moments that were reached.
    pub moments: Vec<&'static str>,
}

impl AtRest<'_> {
    /// Looks at everything.
    pub fn look(&self) -> Found {
        let lost = self.lost();
        let excuse = lost.iter().find_map(|(id, place)| self.unexcused(*id, *place));
        Found {
            lost: lost.len() as u64,
            broken: excuse.or_else(|| self.stuck_money()).or_else(|| self.free_order()),
            moments: moments::reached(self, !lost.is_empty()),
        }
    }

    /// Acceptances that became no order and were not given up either.
    fn lost(&self) -> Vec<(OrderId, (Epoch, Seq))> {
        let places =
            self.history.acceptances().filter_map(|(_, _, _, accepted)| Some((accepted.id, accepted.place()?)));
        let is_kept = |id: &OrderId, place: (Epoch, Seq)| {
            let order = self.audit.orders.get(id);
            order.is_some_and(|order| order.place().is_none_or(|own| own == place))
        };
        places.filter(|(id, place)| !is_kept(id, *place)).collect()
    }

    /// S23: its receipt says that it is lost. S5, sharper than rows alone can say it: it does not stand in the durable log
    /// before the end of its epoch.
    fn unexcused(&self, id: OrderId, (epoch, seq): (Epoch, Seq)) -> Option<Broken> {
        // What a buyer hears who looks it up with the receipt.
        let told = self.rows.shards.get(&id.shard).map(|row| Fate::of(self.rows.orders.get(&id), row, epoch, seq));
        if told == Some(Fate::OnItsWay) || told.is_none() {
            return Some(("S23", format!("{id} is lost at {}-{}, and its receipt says {told:?}", epoch.0, seq.0)));
        }
        let stands = intents(self.broker, id.shard)
            .take_while(|intent| !matches!(intent, Intent::Seal(_, of) if *of == epoch))
            .any(|intent| matches!(intent, Intent::Entry(_, entry) if (entry.epoch, entry.seq) == (epoch, seq)));
        let shard = self.audit.shards.get(&id.shard.k);
        let broken_by_ledger = shard.is_some_and(|shard| shard.reason == Some(SealReason::LedgerBroken));
        // Behind a gap of a durable log that lost records nothing is decided, though it stands there.
        let must_be_decided = stands && !self.durable_lost && !broken_by_ledger;
        let what = || format!("{id} is lost, but stands at {}-{} before its epoch's seal", epoch.0, seq.0);
        must_be_decided.then(|| ("S5", what()))
    }

    /// S6's other half, at the provider: money that was taken is on a paid order or went back.
    fn stuck_money(&self) -> Option<Broken> {
        let counts = |payment| {
            let row = self.audit.payments.get(&payment);
            let order = row.and_then(|row| self.audit.orders.get(&row.order));
            order.is_some_and(|order| order.payment == Some(payment))
        };
        let provider = self.provider?;
        let payment = provider.succeeded().find(|payment| counts(*payment) == provider.gave_back(*payment))?;
        let (back, row) = (provider.gave_back(payment), self.audit.payments.get(&payment));
        Some(("S6", format!("money of {payment} was taken, given back: {back}, its row is {row:?}")))
    }

    /// The same from the order's side: the payment that made it a paid one is money that the provider took.
    fn free_order(&self) -> Option<Broken> {
        let provider = self.provider?;
        let order = self.audit.orders.values().find(|order| order.payment.is_some_and(|by| !provider.took(by)))?;
        Some(("S6", format!("{} counts as paid, and the provider took no money for it", order.id)))
    }
}

/// When a run is judged.
pub enum Judged {
    /// Nothing is owed any more, and nobody has tried yet to buy what was released: what such a probe is told says less
    /// of what is wrong than the judge does.
    BeforeProbes,
    /// Nothing is owed any more.
    AtRest,
    /// Something is still owed, though the time for it is over.
    Overdue,
    /// Every stream was delivered once more; this stood before it.
    Replayed(Audit),
}

/// The finding of a run, if a promise is broken.
///
/// # Panics
/// When a promise cannot be judged for want of an input that every world has.
pub fn finding(inputs: Inputs<'_>, watched: Watched<'_>, overdue: bool) -> Option<Broken> {
    let found = if overdue {
        headline::overdue(inputs, watched)
    } else {
        let verdict = judge_watched(inputs, watched);
        let missed = verdict.unchecked().find(|(check, _)| is_due(*check, &inputs, &watched));
        assert!(missed.is_none(), "a check has lost its input: {missed:?}");
        headline::at_rest(&verdict, inputs, watched)
    };
    found.map(|(check, what)| (check.id(), what))
}

/// Whether a promise must be judged in a run with these inputs. No reader tells of S11; there are runs in which no product
/// was served; the sales windows are judged by themselves, when their hours are over.
fn is_due(check: Check, inputs: &Inputs<'_>, watched: &Watched<'_>) -> bool {
    match check {
        Check::S11 | Check::S16 | Check::S17 | Check::S18 | Check::L9 => false,
        Check::S14 => inputs.replayed.is_some(),
        Check::S21 => inputs.options.problems.is_some(),
        Check::L8 => watched.served.is_some(),
        _ => true,
    }
}

/// L12: what never comes although everything is healed, in a run in which one instance of each role is left.
pub fn of_few(few: bool, id: &str, what: String) -> (&str, String) {
    if few && id.starts_with('L') {
        ("L12", format!("{id} with one instance of each role: {what}"))
    } else {
        (id, what)
    }
}

/// Whether acceptances may be lost: the end of an epoch may lose what only its server knew, and a durable log that lost
/// records what it lost. Each loss is looked for in the durable log nevertheless.
pub fn losses(audit: &Audit, acknowledge: Acknowledge, durable_lost: bool) -> Losses {
    let ended = audit.shards.values().any(|shard| shard.epoch > Epoch(1));
    let durable = acknowledge == Acknowledge::Log;
    if (ended && !durable) || durable_lost { Losses::Uncounted } else { Losses::Forbidden }
}

/// Without memories of ended epochs: what a replay does to them nobody will ever read.
pub fn in_charge(mut audit: Audit) -> Audit {
    let shards = audit.shards.clone();
    let own = |memory: &MemoryLine| {
        let row = shards.get(&memory.k).filter(|row| row.phase == Phase::Open);
        row.is_some_and(|row| (row.server, row.epoch, row.nonce) == (memory.server, memory.epoch, memory.nonce))
    };
    audit.memories.iter_mut().for_each(|memories| memories.retain(|_, memory| own(memory)));
    audit
}

/// Whether a shard's row and the memory that it names agree; `own` is what that server remembers.
pub fn is_settled(row: &ShardRow, sale: Option<SaleState>, own: impl FnOnce() -> Option<Meta>) -> bool {
    if sale == Some(SaleState::Closed) {
        return row.phase == Phase::Closed;
    }
    row.phase == Phase::Open
        && own().is_some_and(|meta| {
            (meta.epoch, meta.nonce, meta.seq) == (row.epoch, row.nonce, row.cursor)
                && meta.state == ShardState::Open
                && meta.acked == meta.seq
        })
}

/// A probe shopper whom this shard, one of so many, serves.
pub fn prober(shard: ShardId, shards: u16, number: impl Display) -> UserId {
    let name = |turn: u32| UserId::parse(&format!("probe-{number}-{turn}")).expect("a short name");
    let found = (0..10_000).map(name).find(|user| user.shard_of(shards) == shard.k);
    found.expect("one in as many as there are shards fits")
}

/// The last entry of an epoch that stands in the durable log.
pub fn end_of_log(broker: &Broker, shard: ShardId, epoch: Epoch) -> Seq {
    let seqs = intents(broker, shard).filter_map(|intent| match intent {
        Intent::Entry(_, entry) if entry.epoch == epoch => Some(entry.seq),
        Intent::Entry(..) | Intent::Seal(..) => None,
    });
    seqs.max().unwrap_or(Seq(0))
}

fn intents(broker: &Broker, shard: ShardId) -> impl Iterator<Item = &Intent> {
    let log = broker.log(TopicId::Intents, partition_of(shard));
    let payloads = log.into_iter().flat_map(|log| log.records().iter().map(|(_, payload)| payload));
    payloads.filter_map(move |payload| match payload {
        Payload::Intent(intent) if intent.shard() == shard => Some(intent),
        Payload::Intent(_) | Payload::Event(_) | Payload::Poison => None,
    })
}
