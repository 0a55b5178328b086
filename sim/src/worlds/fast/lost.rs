//! Whoever holds a 202 of a reservation that is lost looks it up with the receipt, once everything is healed: no loss is
//! passed over in silence.

use super::buyer::{ask_as, finish, pause, start};
use super::buyer_answers::became;
use super::edge::{EdgeReply, EdgeRequest};
use super::world::World;
use doorbuster_core::ids::{Epoch, Key, OrderId, Seq};
use doorbuster_core::oracle::history::{Became, Exchange};
use doorbuster_core::outcome::Outcome;
use std::collections::BTreeSet;

/// Tries of one look-up: nothing hinders it any more, and a rebuild that is still under way ends within seconds.
const TRIES_MAX: u32 = 60;

/// An acceptance that became no order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Loss {
    buyer: u32,
    key: Key,
    order: OrderId,
    place: (Epoch, Seq),
}

/// Every buyer asks for each of his losses; what he is told is in the history, and the judge compares it with the rows.
pub fn look_up_all(world: &mut World) {
    for loss in losses(world) {
        start(world, loss.buyer);
        look_up(world, loss, 0);
    }
}

fn losses(world: &World) -> BTreeSet<Loss> {
    let buyers = &world.buyers;
    let loss = |(user, key, order, place)| {
        let buyer = buyers.by_number.iter().find(|(_, buyer)| buyer.user == user).map(|(number, _)| *number)?;
        Some(Loss { buyer, key, order, place })
    };
    let told = buyers.history.acceptances().filter_map(|(call, key, _, accepted)| {
        let place = accepted.place()?;
        is_lost(world, accepted.id, place).then(|| (call.user.clone(), *key, accepted.id, place))
    });
    told.filter_map(loss).collect()
}

/// A key that was given up has a row without a place: its buyer has had his answer.
fn is_lost(world: &World, order: OrderId, place: (Epoch, Seq)) -> bool {
    let row = world.database.rows().orders.get(&order);
    row.is_none_or(|row| row.origin.as_ref().is_some_and(|origin| place_of(origin) != place))
}

fn place_of(origin: &doorbuster_core::database::rows::Origin) -> (Epoch, Seq) {
    (origin.acceptance.epoch, origin.acceptance.seq)
}

fn look_up(world: &mut World, loss: Loss, tries: u32) {
    let Loss { buyer, key, order, place } = loss;
    let user = world.buyers.by_number[&buyer].user.clone();
    let request = EdgeRequest::LookUp { user, key, receipt: Some(place) };
    let exchange = move |outcome: &Outcome<EdgeReply, _>| Exchange::LookUp { key, answer: became(outcome) };
    ask_as(world, buyer, request, exchange, move |world, outcome| {
        match outcome {
            Outcome::Done(EdgeReply::Became(Became::Lost(epoch, seq))) if (epoch, seq) == place => {
                world.count("losses told");
            }
            // The same key was accepted once more at a later place: that order is the answer.
            Outcome::Done(EdgeReply::Became(Became::Accepted(_)))
                if world.database.rows().orders.contains_key(&order) =>
            {
                world.count("losses accepted again");
            }
            Outcome::Done(EdgeReply::Unknown) | Outcome::Refused(_) | Outcome::Unknown if tries < TRIES_MAX => {
                let pause_ms = pause(world, buyer, 300, 1_000);
                return world.after_ms(pause_ms, move |world| look_up(world, loss, tries + 1));
            }
            told @ (Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unknown) => {
                let (epoch, seq) = (place.0.0, place.1.0);
                world.violate("S5", format!("{order} is lost at {epoch}-{seq}, and its buyer was told {told:?}"));
            }
        }
        finish(world, buyer);
    });
}
