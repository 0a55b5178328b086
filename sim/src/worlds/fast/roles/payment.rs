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
use doorbuster_core::database::rows::{PaymentStatus, SaleState};
use doorbuster_core::database::tables::{Reads, Rows};
use doorbuster_core::ids::{Key, OrderId, PaymentId, ReservationId};
use doorbuster_core::inbox::Event as InboxEvent;
use doorbuster_core::lane::LaneAnswer;
use doorbuster_core::ledger::page::Acceptance;
use doorbuster_core::ledger::reserve::{ItemReply, ReserveItem, ReserveRefusal};
use doorbuster_core::machine::Ticket;
use doorbuster_core::outcome::Outcome;
use doorbuster_core::payment::worker::{Fate, NotReserved, PaymentEffect, PaymentEvent, ProviderRefusal};

/// An event of the inbox, in the worker's words.
pub fn wrap(event: InboxEvent<Outgoing>) -> Told {
    Told::Payment(PaymentEvent::Inbox(event))
}

fn decode(payload: Payload) -> Option<Outgoing> {
    match payload {
        Payload::Event(event) => Some(event),
        Payload::Intent(_) | Payload::Poison => None,
    }
}

fn tell(world: &mut World, at: At, cell: usize, event: PaymentEvent) {
    step(world, at, cell, Told::Payment(event));
}

/// Performs what the worker asks for.
pub fn perform(world: &mut World, at: At, cell: usize, effect: PaymentEffect) {
    match effect {
        PaymentEffect::Inbox(effect) => inbox::perform(world, at, cell, Group::Payment, effect, (decode, wrap)),
        PaymentEffect::ReserveLate { ticket, payment, order, key } => {
            reserve_late(world, at, cell, ticket, (payment, order, key));
        }
        PaymentEffect::LookUp { ticket, order, acceptance } => {
            let mut reads = Reads::default();
            reads.orders.insert(order);
            reads.shards.insert(order.shard);
            world.ask_database(at, database::Request::Read(reads), move |world, at, outcome| {
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

/// The rule of what became of an acceptance: both rows in one snapshot.
fn fate(rows: &Rows, order: OrderId, acceptance: Acceptance) -> Option<Fate> {
    let shard = rows.shards.get(&order.shard)?;
    Some(if rows.orders.contains_key(&order) {
        Fate::Decided
    } else if shard.epoch == acceptance.epoch && shard.cursor < acceptance.seq {
        Fate::OnItsWay
    } else {
        Fate::Lost
    })
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
    let mut reads = Reads::default();
    reads.orders.insert(order);
    reads.sales.insert(order.shard.sale);
    reads.payments.insert(payment);
    world.ask_database(at, database::Request::Read(reads), move |world, at, outcome| {
        let found = rows(outcome);
        let status = found.as_ref().and_then(|rows| rows.payments.get(&payment)).map(|row| row.status);
        let known =
            found.and_then(|mut rows| Some((rows.orders.remove(&order)?, rows.sales.remove(&order.shard.sale)?)));
        // An event that is delivered again, after the money went back: a unit taken for it would be for nobody.
        let settled = status.is_some_and(|status| status != PaymentStatus::Late);
        if settled && !world.plants.reserve_for_settled_money {
            return reserved(world, Outcome::Refused(NotReserved::Never));
        }
        let Some((row, sale)) = known else { return reserved(world, Outcome::Refused(NotReserved::NotReady)) };
        let Some(origin) = row.origin else { return reserved(world, Outcome::Refused(NotReserved::Never)) };
        let id = ReservationId::derive(order.shard.sale, &row.user, &key);
        let late = OrderId { shard: order.shard, reservation: id };
        let mut reads = Reads::default();
        reads.orders.insert(late);
        world.ask_database(at, database::Request::Read(reads), move |world, at, outcome| {
            // A read that fails says nothing of the row: giving up on it would send money back that has an order.
            let Some(rows) = rows(outcome) else {
                return reserved(world, Outcome::Refused(NotReserved::NotReady));
            };
            let decided = rows.orders.get(&late).and_then(|row| row.origin.as_ref());
            if let Some(acceptance) = decided.map(|origin| origin.acceptance) {
                return reserved(world, Outcome::Done((late, acceptance)));
            }
            let wall = world.host_clock(at.host).wall;
            if sale.state == SaleState::Closed || wall >= sale.window.ends_at {
                return reserved(world, Outcome::Refused(NotReserved::Never));
            }
            let item = ReserveItem { id, user: row.user, body: origin.body, basket: origin.basket };
            let waiter = move |world: &mut World, _: At, answer: LaneAnswer| reserved(world, judged(late, answer));
            lane::enter(world, at, order.shard, item, Box::new(waiter));
        });
    });
}

fn judged(late: OrderId, answer: LaneAnswer) -> Outcome<(OrderId, Acceptance), NotReserved> {
    match answer {
        LaneAnswer::Decided(ItemReply::Accepted(acceptance) | ItemReply::Replayed(acceptance)) => {
            Outcome::Done((late, acceptance))
        }
        LaneAnswer::Decided(ItemReply::Refused(
            ReserveRefusal::NotReady | ReserveRefusal::Stopped | ReserveRefusal::NotStarted,
        ))
        | LaneAnswer::Overloaded
        | LaneAnswer::NotReady => Outcome::Refused(NotReserved::NotReady),
        LaneAnswer::Decided(ItemReply::Refused(
            ReserveRefusal::KeyReused
            | ReserveRefusal::Ended
            | ReserveRefusal::KeysExhausted
            | ReserveRefusal::LimitReached
            | ReserveRefusal::UnknownSku(_)
            | ReserveRefusal::SoldOut(_),
        )) => Outcome::Refused(NotReserved::Never),
        LaneAnswer::Unknown => Outcome::Unknown,
    }
}
