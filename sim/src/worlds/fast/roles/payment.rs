//! The payment worker: late money, and money that must go back.

use super::intake::applied;
use super::{inbox, lane};
use crate::services::broker::group::Group;
use crate::services::broker::log::Payload;
use crate::services::{database, provider};
use crate::worlds::fast::host::{Told, step};
use crate::worlds::fast::world::{At, Away, World};
use doorbuster_core::database::command::{Command, Reply};
use doorbuster_core::database::event::Event as Outgoing;
use doorbuster_core::database::tables::Rows;
use doorbuster_core::ids::{Key, OrderId, PaymentId};
use doorbuster_core::inbox::Event as InboxEvent;
use doorbuster_core::lane::LaneAnswer;
use doorbuster_core::ledger::page::Acceptance;
use doorbuster_core::ledger::reserve::ItemReply;
use doorbuster_core::machine::Ticket;
use doorbuster_core::order::fate::Fate;
use doorbuster_core::outcome::Outcome;
use doorbuster_core::payment::late::{self, LateReservation, NotReserved};
use doorbuster_core::payment::worker::{PaymentEffect, PaymentEvent, ProviderRefusal};

/// An event of the inbox, in the worker's words.
pub fn wrap(event: InboxEvent<Outgoing>) -> Told {
    Told::Payment(PaymentEvent::Inbox(event))
}

fn tell(world: &mut World, at: At, cell: usize, event: PaymentEvent) {
    step(world, at, cell, Told::Payment(event));
}

/// Performs what the worker asks for.
pub fn perform(world: &mut World, at: At, cell: usize, effect: PaymentEffect) {
    match effect {
        PaymentEffect::Inbox(effect) => {
            inbox::perform(world, at, cell, Group::Payment, effect, (Payload::into_event, wrap))
        }
        PaymentEffect::ReserveLate { ticket, payment, order, key } => {
            reserve_late(world, at, cell, ticket, (payment, order, key));
        }
        PaymentEffect::LookUp { ticket, order, acceptance } => {
            world.ask_database(at, database::Request::Read(Fate::reads(order)), move |world, at, outcome| {
                let fate = rows(outcome).and_then(|rows| fate(&rows, order, acceptance));
                tell(world, at, cell, PaymentEvent::LookedUp { ticket, fate });
            });
        }
        PaymentEffect::Apply(ticket, command) => {
            let request = database::Request::Apply(Command::Payment(command));
            world.ask_database(at, request, move |world, at, outcome| {
                let outcome = match applied(outcome) {
                    Outcome::Done(Reply::Payment(row)) => Outcome::Done(row),
                    Outcome::Done(other) => unreachable!("a payment is answered with its row, not {other:?}"),
                    Outcome::Refused(refusal) => Outcome::Refused(refusal),
                    Outcome::Unknown => Outcome::Unknown,
                };
                tell(world, at, cell, PaymentEvent::Applied { ticket, outcome });
            });
        }
        PaymentEffect::RefundAtProvider { ticket, payment } => {
            world.ask_provider(at, provider::Request::Refund(payment), move |world, at, outcome| {
                let outcome = match outcome {
                    Outcome::Done(provider::Reply::Done) => Outcome::Done(()),
                    Outcome::Done(provider::Reply::Refused) | Outcome::Refused(Away) => {
                        Outcome::Refused(ProviderRefusal)
                    }
                    Outcome::Unknown => Outcome::Unknown,
                };
                tell(world, at, cell, PaymentEvent::RefundedAtProvider { ticket, outcome });
            });
        }
        PaymentEffect::Alarm { .. } => world.count("alarms of payments"),
    }
}

fn rows(outcome: Outcome<database::Reply, Away>) -> Option<Rows> {
    match outcome {
        Outcome::Done(database::Reply::Rows(_, rows)) => Some(rows),
        Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unknown => None,
    }
}

fn fate(rows: &Rows, order: OrderId, acceptance: Acceptance) -> Option<Fate> {
    let shard = rows.shards.get(&order.shard)?;
    Some(Fate::of(rows.orders.get(&order), shard, acceptance.epoch, acceptance.seq))
}

/// The ended order's basket again, by the ordinary path, under the derived key.
fn reserve_late(
    world: &mut World,
    at: At,
    cell: usize,
    ticket: Ticket,
    (payment, order, key): (PaymentId, OrderId, Key),
) {
    let reserved = move |world: &mut World, outcome| {
        world.notify_cell(at, cell, Told::Payment(PaymentEvent::LateReserved { ticket, outcome }));
    };
    let request = database::Request::Read(late::reads(payment, order));
    world.ask_database(at, request, move |world, at, outcome| {
        let Some(mut found) = rows(outcome) else { return reserved(world, Outcome::Refused(NotReserved::NotReady)) };
        if world.plants.reserve_for_settled_money {
            found.payments.clear();
        }
        let late = match LateReservation::of(&found, payment, order, &key) {
            Ok(late) => late,
            Err(refusal) => return reserved(world, Outcome::Refused(refusal)),
        };
        let request = database::Request::Read(late.own_reads());
        world.ask_database(at, request, move |world, at, outcome| {
            // A read that fails says nothing of the row: giving up on it would send money back that has an order.
            let Some(own) = rows(outcome) else { return reserved(world, Outcome::Refused(NotReserved::NotReady)) };
            match late.known(&own, world.host_clock(at.host).wall) {
                Some(Ok(acceptance)) => return reserved(world, Outcome::Done((late.order, acceptance))),
                Some(Err(refusal)) => return reserved(world, Outcome::Refused(refusal)),
                None => {}
            }
            let waiter =
                move |world: &mut World, _: At, answer: LaneAnswer| reserved(world, judged(late.order, answer));
            lane::enter(world, at, order.shard, late.item, Box::new(waiter));
        });
    });
}

fn judged(late: OrderId, answer: LaneAnswer) -> Outcome<(OrderId, Acceptance), NotReserved> {
    match answer {
        LaneAnswer::Decided(ItemReply::Accepted(acceptance) | ItemReply::Replayed(acceptance)) => {
            Outcome::Done((late, acceptance))
        }
        LaneAnswer::Decided(ItemReply::Refused(refusal)) => Outcome::Refused(refusal.into()),
        LaneAnswer::Overloaded | LaneAnswer::NotReady => Outcome::Refused(NotReserved::NotReady),
        LaneAnswer::Unknown => Outcome::Unknown,
    }
}
