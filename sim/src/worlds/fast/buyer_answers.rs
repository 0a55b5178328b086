//! The short errands of buyers: a cancellation, a look.

use super::buyer::{ask_as, finish, pause};
use super::edge::{EdgeReply, EdgeRequest};
use super::world::World;
use doorbuster_core::ids::OrderId;
use doorbuster_core::oracle::history::{Answer, Became, Exchange, Seen};
use doorbuster_core::outcome::Outcome;

/// Tries of an errand whose answer is not there.
const TRIES_MAX: u32 = 5;

/// An order as an answer shows it.
pub fn seen<A>(outcome: &Outcome<EdgeReply, A>) -> Answer<Seen> {
    match outcome {
        Outcome::Done(EdgeReply::Seen(seen)) => Answer::Accepted(seen.clone()),
        Outcome::Done(EdgeReply::Refused(problem)) => Answer::Refused((*problem).to_owned()),
        Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unknown => Answer::Unknown,
    }
}

/// What became of a key, as an answer says.
pub fn became<A>(outcome: &Outcome<EdgeReply, A>) -> Answer<Became> {
    match outcome {
        Outcome::Done(EdgeReply::Became(became)) => Answer::Accepted(became.clone()),
        Outcome::Done(EdgeReply::Refused(problem)) => Answer::Refused((*problem).to_owned()),
        Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unknown => Answer::Unknown,
    }
}

/// A buyer cancels.
pub fn cancel(world: &mut World, n: u32, order: OrderId, tries: u32) {
    let user = world.buyers.by_number[&n].user.clone();
    let exchange = move |outcome: &Outcome<EdgeReply, _>| Exchange::Cancel { order, answer: seen(outcome) };
    ask_as(world, n, EdgeRequest::Cancel { user, order }, exchange, move |world, outcome| {
        if must_repeat(&outcome) && tries < TRIES_MAX {
            let pause_ms = pause(world, n, 300, 1_000);
            return world.after_ms(pause_ms, move |world| cancel(world, n, order, tries + 1));
        }
        finish(world, n);
    });
}

/// A buyer looks at its order, and its errand is over.
pub fn look(world: &mut World, n: u32, order: OrderId) {
    let user = world.buyers.by_number[&n].user.clone();
    let exchange = move |outcome: &Outcome<EdgeReply, _>| Exchange::Look { order, answer: seen(outcome) };
    ask_as(world, n, EdgeRequest::Look { user, order }, exchange, move |world, _| finish(world, n));
}

/// A probe gives its unit back, until that is done.
pub fn cancel_probe(world: &mut World, n: u32, order: OrderId) {
    let user = world.buyers.by_number[&n].user.clone();
    let exchange = move |outcome: &Outcome<EdgeReply, _>| Exchange::Cancel { order, answer: seen(outcome) };
    ask_as(world, n, EdgeRequest::Cancel { user, order }, exchange, move |world, outcome| {
        match must_repeat(&outcome) {
            true => world.after_ms(300, move |world| cancel_probe(world, n, order)),
            false => finish(world, n),
        }
    });
}

/// Whether a cancellation with this answer is not decided yet.
fn must_repeat<A>(outcome: &Outcome<EdgeReply, A>) -> bool {
    match outcome {
        Outcome::Done(EdgeReply::Refused(problem)) => *problem == "not-yet",
        Outcome::Done(EdgeReply::Seen(_)) => false,
        Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unknown => true,
    }
}
