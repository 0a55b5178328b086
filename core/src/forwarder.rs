//! The shards' logs into one partition of `intents`, in order, by one lease holder with one fenced producer.
//!
//! The lease only keeps two forwarders from working at once. What makes a seal final is the producer: taking it fences
//! every older one, so nothing of an epoch stands behind its seal but what is stale and takes no unit.

pub mod tail;

use crate::call::{Call, earliest};
use crate::database::command::{Command, Refusal, Reply};
use crate::database::rows::{SealReason, ShardRow};
use crate::ids::{Seq, ShardId};
use crate::inbox::Partition;
use crate::ledger::entry::Intent;
use crate::ledger::epoch::{LadderCommand, LadderStep};
use crate::ledger::shard::{Fence, Fenced};
use crate::limits::{LEASE_MS, PUBLISH_ENTRIES_MAX, TRIM_AGE_MS};
use crate::machine::{Machine, Ticket};
use crate::outcome::Outcome;
use crate::rng::Rng;
use crate::time::{Mono, Now};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::Bound::{Excluded, Unbounded};
use tail::{LogPage, Shipment, Tail};

/// One taking of a partition's producer: a later one fences it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Producer(pub u64);

/// Another forwarder holds the partition's lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LeaseHeld;

/// There is no such row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NoRow;

/// A later producer of the partition was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProducerFenced;

/// What happens to the forwarder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The time asked for has come.
    Woken,
    /// A shard whose partition this is; told again, nothing changes.
    ShardFound(ShardId),
    /// A shard that is closed for good.
    ShardGone(ShardId),
    /// Answers `KeepLease`.
    LeaseKept(Ticket, Outcome<(), LeaseHeld>),
    /// Answers `TakeProducer`.
    ProducerTaken(Ticket, Outcome<Producer, Infallible>),
    /// Answers `ReadRow`.
    RowRead(Ticket, ShardId, Outcome<ShardRow, NoRow>),
    /// Answers `ReadLog`; refused when the memory is another or missing.
    LogRead(Ticket, ShardId, Outcome<LogPage, Fenced>),
    /// Answers `Publish`.
    Published(Ticket, Outcome<(), ProducerFenced>),
    /// Answers `Ack`.
    Acked(Ticket, ShardId, Outcome<(), Fenced>),
    /// Answers `Apply`.
    Applied(Ticket, ShardId, Outcome<Reply, Refusal>),
}

/// What the forwarder asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Takes or keeps the partition's lease for `LEASE_MS`.
    KeepLease(Ticket, Partition),
    /// Makes the partition's producer ours: older ones are fenced, their open transactions ended one way or the other.
    TakeProducer(Ticket, Partition),
    /// Reads a shard's row, strongly.
    ReadRow(Ticket, ShardId),
    /// Reads the shard's log.
    ReadLog {
        /// To answer with.
        ticket: Ticket,
        /// Which shard.
        shard: ShardId,
        /// The memory that the row names.
        fence: Fence,
        /// The last entry read; absent: the memory's own mark `acked`.
        after: Option<Seq>,
        /// Most entries.
        limit: usize,
    },
    /// One transaction: all of these in this order, or none.
    Publish {
        /// To answer with.
        ticket: Ticket,
        /// Whose transaction.
        producer: Producer,
        /// Where.
        partition: Partition,
        /// At most `PUBLISH_ENTRIES_MAX`.
        intents: Vec<Intent>,
    },
    /// Marks entries up to `seq` as durable in the memory, and takes them off the pending list.
    Ack {
        /// To answer with.
        ticket: Ticket,
        /// Which shard.
        shard: ShardId,
        /// The memory that the row names.
        fence: Fence,
        /// All up to this one.
        seq: Seq,
    },
    /// Runs one transaction: always the begin of a sealing, because the log has a hole.
    Apply(Ticket, ShardId, Command),
    /// Removes entries that are decided and old. Not answered: what is left is removed the next time.
    Trim {
        /// Which shard.
        shard: ShardId,
        /// The memory that the row names.
        fence: Fence,
        /// Up to this one.
        decided: Seq,
        /// And older than this, by the log's server.
        age_ms: u64,
    },
}

/// How far it has the partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Hold {
    /// Without the lease: touches nothing.
    Waiting,
    /// With the lease, taking the producer.
    Taking,
    /// At work.
    Producing(Producer),
}

/// The forwarder of one partition.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Forwarder {
    partition: Partition,
    tickets: Ticket,
    rng: Rng,
    hold: Hold,
    lease: Call,
    take: Call,
    publish: Call,
    /// What the open transaction carries.
    shipments: Vec<Shipment>,
    tails: BTreeMap<ShardId, Tail>,
    /// The shard that was loaded last into a transaction: the next one has its turn.
    last: Option<ShardId>,
}

impl Forwarder {
    /// A forwarder that asks for its partition's lease at once; `seed` only varies its pauses.
    pub fn new(now: Mono, partition: Partition, seed: u64) -> Forwarder {
        Forwarder {
            partition,
            tickets: Ticket::default(),
            rng: Rng::seeded(seed),
            hold: Hold::Waiting,
            lease: Call::due(now),
            take: Call::QUIET,
            publish: Call::QUIET,
            shipments: Vec::new(),
            tails: BTreeMap::new(),
            last: None,
        }
    }
}

impl Machine for Forwarder {
    type Event = Event;
    type Effect = Effect;

    fn step(&mut self, now: Now, event: Event, out: &mut Vec<Effect>) {
        self.absorb(now.mono, event, out);
        self.start_holding(now.mono, out);
        if let Hold::Producing(producer) = self.hold {
            self.start_tails(now.mono, out);
            self.start_publication(now.mono, producer, out);
        }
    }

    fn wake_at(&self) -> Option<(Mono, &'static str)> {
        let holding = [(self.lease.wake_at(), "lease"), (self.take.wake_at(), "producer")];
        let tails = match self.hold {
            Hold::Producing(_) => Some(self.tails.values().flat_map(Tail::times)),
            Hold::Waiting | Hold::Taking => None,
        };
        let publish = [(self.publish.wake_at(), "publish")];
        earliest(tails.into_iter().flatten().chain(holding).chain(publish))
    }

    fn check(&self) {
        let producing = matches!(self.hold, Hold::Producing(_));
        assert!(producing || self.shipments.is_empty(), "only a producer has an open transaction");
        assert_eq!(self.shipments.is_empty(), self.publish.is_quiet(), "shipments belong to the open transaction");
        for tail in self.tails.values() {
            tail.check();
        }
    }

    fn pending(&self) -> Option<&'static str> {
        match self.hold {
            Hold::Waiting => None,
            Hold::Taking => Some("the producer is not taken"),
            Hold::Producing(_) => self.tails.values().find_map(Tail::pending),
        }
    }
}

impl Forwarder {
    fn absorb(&mut self, now: Mono, event: Event, out: &mut Vec<Effect>) {
        match event {
            Event::Woken => {}
            Event::ShardFound(shard) => {
                self.tails.entry(shard).or_insert_with(|| Tail::new(shard, now));
            }
            Event::ShardGone(shard) => drop(self.tails.remove(&shard)),
            Event::LeaseKept(ticket, outcome) => self.absorb_lease(now, ticket, outcome),
            Event::ProducerTaken(ticket, outcome) => self.absorb_producer(now, ticket, outcome),
            Event::Published(ticket, outcome) => self.absorb_published(now, ticket, outcome),
            Event::RowRead(ticket, shard, outcome) => self.absorb_row(now, ticket, shard, outcome, out),
            Event::LogRead(ticket, shard, outcome) => self.absorb_log(now, ticket, shard, outcome),
            Event::Acked(ticket, shard, outcome) => {
                let Some(tail) = self.tails.get_mut(&shard).filter(|tail| owns(tail.ack_call, ticket)) else { return };
                match outcome {
                    Outcome::Done(()) => tail.absorb_acked(),
                    // Unknown: the mark only grows, so writing it again is harmless. Refused: the next row tells why.
                    Outcome::Refused(Fenced) | Outcome::Unknown => tail.ack_call.retry(now, &mut self.rng),
                }
            }
            Event::Applied(ticket, shard, outcome) => {
                let Some(tail) = self.tails.get_mut(&shard).filter(|tail| owns(tail.seal_call, ticket)) else { return };
                match outcome {
                    // Refused: the shard has left that rung already; the next row tells.
                    Outcome::Done(_) | Outcome::Refused(_) => {
                        tail.seal_call.rest();
                        tail.row_call.wish(now);
                    }
                    // The step is conditional on the rung: a second one finds another rung and changes nothing.
                    Outcome::Unknown => tail.seal_call.retry(now, &mut self.rng),
                }
            }
        }
    }

    fn absorb_lease(&mut self, now: Mono, ticket: Ticket, outcome: Outcome<(), LeaseHeld>) {
        if !self.lease.take(ticket) {
            return;
        }
        match outcome {
            Outcome::Done(()) => {
                self.lease.again_at(now.after_ms(LEASE_MS / 3));
                if self.hold == Hold::Waiting {
                    self.begin_taking(now);
                }
            }
            Outcome::Refused(LeaseHeld) => {
                self.let_go();
                self.lease.again_at(now.after_ms(LEASE_MS / 3));
            }
            // Ours or not: whoever has the lease fences us when it takes the producer, so going on is safe.
            Outcome::Unknown => self.lease.retry(now, &mut self.rng),
        }
    }

    fn absorb_producer(&mut self, now: Mono, ticket: Ticket, outcome: Outcome<Producer, Infallible>) {
        if !self.take.take(ticket) {
            return;
        }
        match outcome {
            Outcome::Done(producer) => {
                self.take.rest();
                self.hold = Hold::Producing(producer);
                // The rows are read anew behind this point, and the logs from their own marks.
                for (shard, tail) in &mut self.tails {
                    *tail = Tail::new(*shard, now);
                }
            }
            Outcome::Refused(never) => match never {},
            // Taken or not: taking again fences that one too.
            Outcome::Unknown => self.take.retry(now, &mut self.rng),
        }
    }

    fn absorb_published(&mut self, now: Mono, ticket: Ticket, outcome: Outcome<(), ProducerFenced>) {
        if !self.publish.take(ticket) {
            return;
        }
        self.publish.rest();
        let shipments = std::mem::take(&mut self.shipments);
        match outcome {
            Outcome::Done(()) => {
                for shipment in &shipments {
                    if let Some(tail) = self.tails.get_mut(&shipment.shard) {
                        tail.unload(now, shipment);
                    }
                }
            }
            Outcome::Refused(ProducerFenced) => {
                // Another one is at work, unless our own late call fenced us: the lease tells.
                self.let_go();
                self.lease.retry(now, &mut self.rng);
            }
            // Published or not: a new producer ends that transaction one way or the other, then all is sent again from
            // the mark; intake passes over what it has decided.
            Outcome::Unknown => self.begin_taking(now),
        }
    }

    fn absorb_row(
        &mut self,
        now: Mono,
        ticket: Ticket,
        shard: ShardId,
        outcome: Outcome<ShardRow, NoRow>,
        out: &mut Vec<Effect>,
    ) {
        let Some(tail) = self.tails.get_mut(&shard).filter(|tail| owns(tail.row_call, ticket)) else { return };
        match outcome {
            Outcome::Done(row) => {
                let fence = row.fence();
                if let Some(decided) = tail.absorb_row(now, row) {
                    out.push(Effect::Trim { shard, fence, decided, age_ms: TRIM_AGE_MS });
                }
            }
            // A read changes nothing, and a row that is missing may be written soon.
            Outcome::Refused(NoRow) | Outcome::Unknown => tail.row_call.retry(now, &mut self.rng),
        }
    }

    fn absorb_log(&mut self, now: Mono, ticket: Ticket, shard: ShardId, outcome: Outcome<LogPage, Fenced>) {
        let Some(tail) = self.tails.get_mut(&shard) else { return };
        if !tail.read_call.take(ticket) {
            return;
        }
        match outcome {
            Outcome::Done(page) => tail.absorb_page(now, page),
            Outcome::Refused(Fenced) => {
                if !tail.lose_log() {
                    tail.read_call.retry(now, &mut self.rng);
                }
            }
            // A read changes nothing.
            Outcome::Unknown => tail.read_call.retry(now, &mut self.rng),
        }
    }

    fn begin_taking(&mut self, now: Mono) {
        self.hold = Hold::Taking;
        self.take.retry(now, &mut self.rng);
    }

    /// Without the lease it touches nothing; a fenced forwarder never writes a mark.
    fn let_go(&mut self) {
        self.hold = Hold::Waiting;
        self.take.rest();
        self.publish.rest();
        self.shipments.clear();
    }

    fn start_holding(&mut self, now: Mono, out: &mut Vec<Effect>) {
        if self.publish.is_due(now) {
            // The answer is overdue, which is Unknown.
            self.publish.rest();
            self.shipments.clear();
            self.begin_taking(now);
        }
        if self.lease.is_due(now) {
            let ticket = self.lease.ask(now, self.tickets.advance());
            out.push(Effect::KeepLease(ticket, self.partition));
        }
        if self.take.is_due(now) {
            let ticket = self.take.ask(now, self.tickets.advance());
            out.push(Effect::TakeProducer(ticket, self.partition));
        }
    }

    fn start_tails(&mut self, now: Mono, out: &mut Vec<Effect>) {
        let tickets = &mut self.tickets;
        for (shard, tail) in &mut self.tails {
            let shard = *shard;
            tail.turn(now);
            if tail.row_call.is_due(now) {
                out.push(Effect::ReadRow(tail.row_call.ask(now, tickets.advance()), shard));
            }
            let (Some(fence), Some(rung)) = (tail.fence(), tail.rung()) else { continue };
            if let Some((after, limit)) = tail.wanted_page(now) {
                let ticket = tail.read_call.ask(now, tickets.advance());
                out.push(Effect::ReadLog { ticket, shard, fence, after, limit });
            }
            if let Some(seq) = tail.wanted_ack(now) {
                let ticket = tail.ack_call.ask(now, tickets.advance());
                out.push(Effect::Ack { ticket, shard, fence, seq });
            }
            if tail.seal_call.is_due(now) {
                let ticket = tail.seal_call.ask(now, tickets.advance());
                let step = LadderStep::BeginSealing(rung, SealReason::ServerLost);
                out.push(Effect::Apply(ticket, shard, Command::Ladder(LadderCommand { shard, owner: None, step })));
            }
        }
    }

    /// One transaction at a time: what a producer has in flight is all or nothing, and in order.
    fn start_publication(&mut self, now: Mono, producer: Producer, out: &mut Vec<Effect>) {
        if !self.publish.is_quiet() {
            return;
        }
        let mut intents = Vec::new();
        let after = self.last.map_or(Unbounded, Excluded);
        let later = self.tails.range((after, Unbounded)).map(|(shard, _)| *shard);
        let turns: Vec<ShardId> = later.chain(self.tails.keys().copied().filter(|s| Some(*s) <= self.last)).collect();
        for shard in turns {
            let room = PUBLISH_ENTRIES_MAX - intents.len();
            if room == 0 {
                break;
            }
            let tail = self.tails.get_mut(&shard).expect("it was just listed");
            if let Some(shipment) = tail.load(room, &mut intents) {
                self.shipments.push(shipment);
                self.last = Some(shard);
            }
        }
        if !intents.is_empty() {
            let ticket = self.publish.ask(now, self.tickets.advance());
            out.push(Effect::Publish { ticket, producer, partition: self.partition, intents });
        }
    }
}

/// Whether the open attempt of this call has this ticket.
fn owns(call: Call, ticket: Ticket) -> bool {
    let mut call = call;
    call.take(ticket)
}
