//! Intents become transactions: shards side by side, each shard's in order.
//!
//! Whatever is done twice here is done once there: the cursor of the shard's row passes over what it has decided.

use super::{Alarm, IntakeBatch};
use crate::call::earliest;
use crate::database::command::{Command, Refusal, Reply};
use crate::inbox::{self, Inbox};
use crate::ledger::entry::{EntryKind, Intent};
use crate::limits::{INTAKE_ENTRIES_MAX, INTAKE_FLIGHTS_MAX, INTAKE_RESERVATIONS_MAX};
use crate::machine::{Machine, Ticket};
use crate::outcome::Outcome;
use crate::rng::Rng;
use crate::time::{Mono, Now};

/// What happens to the consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The time asked for has come.
    Woken,
    /// Something of the partitions.
    Inbox(inbox::Event<Intent>),
    /// Answers `Apply`.
    Applied {
        /// Of the question.
        ticket: Ticket,
        /// What the database said.
        outcome: Outcome<Reply, Refusal>,
    },
}

/// What the consumer asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Something of the partitions.
    Inbox(inbox::Effect),
    /// Runs one transaction; always [`Command::Intake`].
    Apply {
        /// To answer with.
        ticket: Ticket,
        /// What to decide.
        command: Command,
    },
    /// Wakes a person; not answered.
    RaiseAlarm(Alarm),
    /// The database refused to decide a batch, which it never should; not answered, and the batch is tried again.
    ReportRefusal {
        /// Of which attempt.
        ticket: Ticket,
    },
}

/// The consumer of `intents`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Consumer {
    tickets: Ticket,
    rng: Rng,
    inbox: Inbox<Intent>,
}

impl Consumer {
    /// A consumer without partitions; `seed` only varies its pauses.
    pub fn new(seed: u64) -> Consumer {
        Consumer { tickets: Ticket::default(), rng: Rng::seeded(seed), inbox: Inbox::new(INTAKE_FLIGHTS_MAX) }
    }
}

impl Machine for Consumer {
    type Event = Event;
    type Effect = Effect;

    fn step(&mut self, now: Now, event: Event, out: &mut Vec<Effect>) {
        match event {
            Event::Woken => {}
            Event::Inbox(event) => self.inbox.absorb(now.mono, &mut self.rng, event, Intent::shard),
            Event::Applied { ticket, outcome } => self.absorb_applied(now.mono, ticket, outcome, out),
        }
        let mut effects = Vec::new();
        self.inbox.pump(now.mono, &mut self.tickets, &mut effects);
        out.extend(effects.into_iter().map(Effect::Inbox));
        self.start_batches(now.mono, out);
    }

    fn wake_at(&self) -> Option<(Mono, &'static str)> {
        earliest(self.inbox.wake_at().map(|(at, why)| (Some(at), why)))
    }

    fn check(&self) {
        self.inbox.check();
    }

    fn pending(&self) -> Option<&'static str> {
        self.inbox.pending()
    }
}

impl Consumer {
    fn absorb_applied(&mut self, now: Mono, ticket: Ticket, outcome: Outcome<Reply, Refusal>, out: &mut Vec<Effect>) {
        match outcome {
            Outcome::Done(reply) => {
                // What could not be is told even when the partition has gone to another consumer meanwhile.
                out.extend(alarms(reply).into_iter().map(Effect::RaiseAlarm));
                self.inbox.finish(now, ticket);
            }
            Outcome::Refused(_) => {
                if self.inbox.is_open(ticket) {
                    out.push(Effect::ReportRefusal { ticket });
                }
                self.inbox.retry(now, &mut self.rng, ticket);
            }
            // Committed: the cursor stands behind these entries and passes over them. Not committed: they are decided now.
            Outcome::Unknown => self.inbox.retry(now, &mut self.rng, ticket),
        }
    }

    fn start_batches(&mut self, now: Mono, out: &mut Vec<Effect>) {
        while let Some(id) = self.inbox.due_lane(now) {
            let ticket = self.tickets.advance();
            let mut reservations = 0;
            let intents = self.inbox.begin(now, id, ticket, |taken, intent| {
                reservations += weight(intent);
                taken < INTAKE_ENTRIES_MAX && reservations <= INTAKE_RESERVATIONS_MAX
            });
            assert!(intents.len() <= INTAKE_ENTRIES_MAX, "one transaction decides a bounded number of entries");
            out.push(Effect::Apply { ticket, command: Command::Intake(IntakeBatch { shard: id.1, intents }) });
        }
    }
}

/// Reservations of an intent: what a transaction's size is counted in.
fn weight(intent: &Intent) -> usize {
    match intent {
        Intent::Seal(..) => 0,
        Intent::Entry(_, entry) => match &entry.kind {
            EntryKind::Reserved(reservations) => reservations.len(),
            EntryKind::Withdrawn { .. } => 1,
        },
    }
}

fn alarms(reply: Reply) -> Vec<Alarm> {
    match reply {
        Reply::Intake(report) => report.alarms,
        Reply::Done
        | Reply::Order(_)
        | Reply::Payment(_)
        | Reply::Sale(_)
        | Reply::Shard(_)
        | Reply::Sales(_)
        | Reply::Count(_) => {
            panic!("the decision about a batch answers with its report")
        }
    }
}
