//! Buyers: each draws what it does from a stream of its own, so that one less shifts no other.

use super::edge::{EdgeReply, EdgeRequest};
use super::world::{At, World};
use crate::fault::FaultKind;
use crate::plan::Setup;
use crate::seed::Seed;
use crate::trace::Kind;
use doorbuster_core::ids::{Epoch, Key, OrderId, PaymentId, Seq, UserId};
use doorbuster_core::ledger::basket::{Basket, Line};
use doorbuster_core::oracle::history::{Accepted, Answer, Became, Call, Exchange, History, Started};
use doorbuster_core::outcome::Outcome;
use doorbuster_core::payment::command::Verdict;
use doorbuster_core::rng::Rng;
use doorbuster_core::time::Wall;
use std::collections::BTreeMap;

/// Tries of one click before its buyer wants certainty.
const TRIES_MAX: u32 = 8;
/// Tries of anything that must be certain in the end: with the longest pause several minutes, beyond any fault.
const CERTAIN_TRIES_MAX: u32 = 200;

/// One buyer.
#[derive(Clone, Debug)]
pub struct Buyer {
    /// Who.
    pub user: UserId,
    rng: Rng,
    keys: u32,
    /// Errands under way.
    open: u32,
    /// Where it asked last.
    last_edge: Option<usize>,
    /// Asks somewhere else the next time, if there is somewhere else.
    elsewhere: bool,
}

impl Buyer {
    fn new(user: UserId, rng: Rng) -> Buyer {
        Buyer { user, rng, keys: 0, open: 0, last_edge: None, elsewhere: false }
    }
}

/// All of them, and everything that they saw.
#[derive(Clone, Debug)]
pub struct Buyers {
    /// By number.
    pub by_number: BTreeMap<u32, Buyer>,
    /// Every call.
    pub history: History,
    /// Parts per thousand of each habit.
    habits: BTreeMap<FaultKind, u64>,
}

impl Buyers {
    /// The plan's buyers, each with a stream of its own.
    pub fn new(setup: &Setup, seed: Seed) -> Buyers {
        let buyer = |number: &u32| {
            let user = UserId::parse(&format!("buyer-{number}")).expect("a short name");
            (*number, Buyer::new(user, seed.stream(&format!("buyer/{number}"))))
        };
        let by_number = setup.buyers.iter().map(buyer).collect();
        let history = History { calls: Vec::new(), is_complete: true };
        Buyers { by_number, history, habits: BTreeMap::new() }
    }

    /// Gives all buyers a habit.
    pub fn adopt(&mut self, habit: FaultKind, permille: u64) {
        self.habits.insert(habit, permille);
    }

    /// Whether anybody still wants something.
    pub fn are_busy(&self) -> bool {
        self.by_number.values().any(|buyer| buyer.open > 0)
    }

    /// A further buyer: a probe.
    pub fn join(&mut self, number: u32, user: UserId, seed: Seed) {
        let rng = seed.stream(&format!("probe/{number}"));
        self.by_number.insert(number, Buyer::new(user, rng));
    }
}

/// One click on its way to certainty.
#[derive(Clone, Debug)]
struct Click {
    key: Key,
    basket: Basket,
    tries: u32,
    /// Somebody knows already what becomes of it: a doubled click only repeats.
    echo: bool,
}

fn draw(world: &mut World, n: u32, bound: u64) -> u64 {
    world.buyers.by_number.get_mut(&n).expect("a buyer does not vanish").rng.below(bound)
}

/// Whether this buyer follows a habit now.
fn habit(world: &mut World, n: u32, kind: FaultKind) -> bool {
    let Some(permille) = world.buyers.habits.get(&kind).copied() else { return false };
    let follows = draw(world, n, 1000) < permille;
    if follows {
        world.faults.take_effect(kind, "a buyer's way");
    }
    follows
}

fn wall(world: &World) -> Wall {
    world.clock().wall
}

fn edge(world: &mut World, n: u32) -> usize {
    // What is dead for ever is no balancer's target any more.
    let is_edge = |host: &usize| world.hosts[*host].role == "edge" && !world.hosts[*host].is_gone;
    let edges: Vec<usize> = (0..world.hosts.len()).filter(is_edge).collect();
    let buyer = world.buyers.by_number.get_mut(&n).expect("a buyer does not vanish");
    let elsewhere = std::mem::take(&mut buyer.elsewhere);
    let others: Vec<usize> = edges.iter().copied().filter(|host| elsewhere && Some(*host) != buyer.last_edge).collect();
    let from = if others.is_empty() { edges } else { others };
    if elsewhere && buyer.last_edge.is_some_and(|last| !from.contains(&last)) {
        world.faults.take_effect(FaultKind::U3, "an unknown outcome");
    }
    let edge = from[draw(world, n, from.len() as u64) as usize];
    world.buyers.by_number.get_mut(&n).expect("a buyer does not vanish").last_edge = Some(edge);
    edge
}

fn begin(world: &mut World, n: u32) {
    world.buyers.by_number.get_mut(&n).expect("a buyer does not vanish").open += 1;
}

fn end(world: &mut World, n: u32) {
    world.buyers.by_number.get_mut(&n).expect("a buyer does not vanish").open -= 1;
}

/// Asks an edge as this buyer, notes what was seen, and goes on.
fn ask(
    world: &mut World,
    n: u32,
    request: EdgeRequest,
    exchange: impl FnOnce(&Outcome<EdgeReply, super::world::Away>) -> Exchange + 'static,
    then: impl FnOnce(&mut World, Outcome<EdgeReply, super::world::Away>) + 'static,
) {
    let (sent_at, to) = (wall(world), edge(world, n));
    let user = world.buyers.by_number[&n].user.clone();
    let at = At { host: 0, life: world.hosts[0].life };
    world.ask_edge(at, to, request, move |world, _, outcome| {
        let exchange = exchange(&outcome);
        let answered_at = wall(world);
        if world.trace.keeps_lines() {
            let name = world.names.buyers.clone();
            world.tell(&name, Kind::Client, None, || format!("{user}: {}", super::brief::brief(&exchange)));
        }
        super::watch::told(world, &user, &exchange);
        world.buyers.history.calls.push(Call { user, sent_at, answered_at, exchange });
        then(world, outcome);
    });
}

/// All buyers of the plan come within the time that it gives them.
pub fn arrive(world: &mut World) {
    let numbers: Vec<u32> = world.buyers.by_number.keys().copied().collect();
    let arrivals_ms = world.setup.arrivals_ms.max(1);
    let burst = world.buyers.habits.contains_key(&FaultKind::U8);
    for n in numbers {
        let late_ms = if burst { draw(world, n, 2) } else { draw(world, n, arrivals_ms) };
        if burst {
            world.faults.take_effect(FaultKind::U8, "a buyer's way");
        }
        begin(world, n);
        world.after_ms(super::OPENS_MS + late_ms, move |world| {
            come(world, n);
            if habit(world, n, FaultKind::U2) {
                come(world, n);
            }
            end(world, n);
        });
    }
}

/// A buyer comes with a wish.
fn come(world: &mut World, n: u32) {
    begin(world, n);
    let skus = world.skus.clone();
    let first = draw(world, n, skus.len() as u64) as usize;
    let limit = u64::from(world.setup.limit);
    let mut lines = vec![Line { sku: skus[first], quantity: 1 + draw(world, n, limit.min(2)) as u32 }];
    if skus.len() > 1 && limit > 1 && habit(world, n, FaultKind::U9) {
        lines[0].quantity = 1;
        lines.push(Line { sku: skus[(first + 1) % skus.len()], quantity: 1 });
    }
    let basket = Basket::parse(&lines).expect("distinct lines of few units");
    let click = Click { key: next_key(world, n), basket, tries: 0, echo: false };
    if habit(world, n, FaultKind::U1) {
        begin(world, n);
        reserve(world, n, Click { echo: true, ..click.clone() });
    }
    if habit(world, n, FaultKind::U4) {
        let again = Click { echo: true, ..click.clone() };
        begin(world, n);
        let later_ms = world.setup.hold_ms + draw(world, n, 90_000);
        world.after_ms(later_ms, move |world| reserve(world, n, again));
    }
    reserve(world, n, click);
}

fn next_key(world: &mut World, n: u32) -> Key {
    let buyer = world.buyers.by_number.get_mut(&n).expect("a buyer does not vanish");
    buyer.keys += 1;
    Key::parse(&format!("click-{}", buyer.keys)).expect("a short key")
}

/// A click; the errand ends when its buyer knows what became of it, or has had enough.
fn reserve(world: &mut World, n: u32, click: Click) {
    let user = world.buyers.by_number[&n].user.clone();
    let (key, basket) = (click.key, click.basket.clone());
    let request = EdgeRequest::Reserve { user, key, basket: basket.clone() };
    let exchange = move |outcome: &Outcome<EdgeReply, _>| Exchange::Reserve { key, basket, answer: accepted(outcome) };
    ask(world, n, request, exchange, move |world, outcome| reserved(world, n, click, outcome));
}

fn accepted<A>(outcome: &Outcome<EdgeReply, A>) -> Answer<Accepted> {
    match outcome {
        Outcome::Done(EdgeReply::Accepted(accepted)) => Answer::Accepted(accepted.clone()),
        Outcome::Done(EdgeReply::Refused(problem)) => Answer::Refused((*problem).to_owned()),
        Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unknown => Answer::Unknown,
    }
}

fn reserved(world: &mut World, n: u32, mut click: Click, outcome: Outcome<EdgeReply, super::world::Away>) {
    click.tries += 1;
    match outcome {
        Outcome::Done(EdgeReply::Accepted(accepted)) => {
            world.count("accepted");
            if click.echo {
                return end(world, n);
            }
            own(world, n, click.key, accepted);
        }
        Outcome::Done(EdgeReply::Refused(problem)) => {
            world.count("refused");
            let comes_again = matches!(problem, "not-ready" | "overloaded" | "stopped" | "not-started" | "sold-out");
            let tries_max = if problem == "sold-out" { 3 } else { TRIES_MAX };
            if click.echo || !comes_again || click.tries >= tries_max {
                return end(world, n);
            }
            let pause_ms = 300 + draw(world, n, 1_500);
            world.after_ms(pause_ms, move |world| reserve(world, n, click));
        }
        Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unknown => {
            world.count("unknown");
            if click.echo {
                return end(world, n);
            }
            if click.tries < TRIES_MAX && draw(world, n, 4) > 0 {
                if world.buyers.habits.contains_key(&FaultKind::U3) {
                    world.buyers.by_number.get_mut(&n).expect("a buyer does not vanish").elsewhere = true;
                }
                let pause_ms = 50 + draw(world, n, 1_000);
                return world.after_ms(pause_ms, move |world| reserve(world, n, click));
            }
            match draw(world, n, 3) {
                0 => abandon(world, n, click.key, 0),
                _ => look_up(world, n, click.key, None, 0),
            }
        }
    }
}

/// What became of a key; whoever learns nothing makes it certain.
fn look_up(world: &mut World, n: u32, key: Key, receipt: Option<(Epoch, Seq)>, tries: u32) {
    let user = world.buyers.by_number[&n].user.clone();
    let request = EdgeRequest::LookUp { user, key, receipt };
    let exchange =
        move |outcome: &Outcome<EdgeReply, _>| Exchange::LookUp { key, answer: super::buyer_answers::became(outcome) };
    ask(world, n, request, exchange, move |world, outcome| match outcome {
        Outcome::Done(EdgeReply::Became(Became::Accepted(order))) => decide(world, n, order),
        Outcome::Done(EdgeReply::Became(Became::Lost(..))) => {
            world.count("lost");
            end(world, n);
        }
        Outcome::Done(EdgeReply::Refused(_)) | Outcome::Refused(_) | Outcome::Unknown if tries < CERTAIN_TRIES_MAX => {
            let pause_ms = 500 + draw(world, n, 2_000);
            world.after_ms(pause_ms, move |world| look_up(world, n, key, receipt, tries + 1));
        }
        Outcome::Done(EdgeReply::Refused(_)) | Outcome::Refused(_) | Outcome::Unknown => never_learns(world, n, key),
        Outcome::Done(_) => abandon(world, n, key, 0),
    });
}

fn never_learns(world: &mut World, n: u32, key: Key) {
    let user = world.buyers.by_number[&n].user.clone();
    let what = format!("{user} has asked {CERTAIN_TRIES_MAX} times and never learns what became of {key}");
    world.violate("L11", what);
    end(world, n);
}

/// Gives a key up, until that is certain.
fn abandon(world: &mut World, n: u32, key: Key, tries: u32) {
    let user = world.buyers.by_number[&n].user.clone();
    let exchange =
        move |outcome: &Outcome<EdgeReply, _>| Exchange::Abandon { key, answer: super::buyer_answers::seen(outcome) };
    ask(world, n, EdgeRequest::Abandon { user, key }, exchange, move |world, outcome| match outcome {
        Outcome::Done(EdgeReply::Seen(_)) => {
            world.count("abandoned");
            end(world, n);
        }
        Outcome::Done(EdgeReply::Refused(_)) => end(world, n),
        Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unknown if tries < CERTAIN_TRIES_MAX => {
            let pause_ms = 500 + draw(world, n, 2_000);
            world.after_ms(pause_ms, move |world| abandon(world, n, key, tries + 1));
        }
        Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unknown => never_learns(world, n, key),
    });
}

/// A buyer with a 202 in its hands.
fn own(world: &mut World, n: u32, key: Key, accepted: Accepted) {
    match draw(world, n, 8) {
        0 => {
            let later_ms = draw(world, n, world.setup.hold_ms);
            let receipt = accepted.place();
            world.after_ms(later_ms, move |world| look_up(world, n, key, receipt, 0));
        }
        1 => abandon(world, n, key, 0),
        _ => decide(world, n, accepted.id),
    }
}

/// What a buyer does with its order.
fn decide(world: &mut World, n: u32, order: OrderId) {
    if habit(world, n, FaultKind::U7) {
        return end(world, n);
    }
    let hold_ms = world.setup.hold_ms;
    let (at_deadline, odd) = (habit(world, n, FaultKind::U5), habit(world, n, FaultKind::U6));
    let later_ms = match at_deadline {
        true => hold_ms.saturating_sub(1_500) + draw(world, n, 1_500),
        false => draw(world, n, hold_ms / 2 + 1),
    };
    let choice = draw(world, n, 10);
    world.after_ms(later_ms, move |world| match (odd, choice) {
        (true, 0..=2) => {
            begin(world, n);
            pay(world, n, order, 1, 0);
            pay(world, n, order, 2, 0);
        }
        (true, 3..=4) => {
            begin(world, n);
            super::buyer_answers::cancel(world, n, order, 0);
            pay(world, n, order, 1, 0);
        }
        (_, 0..=6) => pay(world, n, order, 1, 0),
        (_, 7) => super::buyer_answers::cancel(world, n, order, 0),
        (_, 8) => super::buyer_answers::look(world, n, order),
        (_, _) => end(world, n),
    });
}

/// What the provider will say of a payment, and when.
fn word(world: &mut World, n: u32) -> Vec<(u64, Verdict)> {
    let soon = 100 + draw(world, n, 1_500);
    let late = world.setup.hold_ms + draw(world, n, 5_000);
    if !habit(world, n, FaultKind::U6) {
        return match draw(world, n, 12) {
            0 => vec![(soon, Verdict::Declined)],
            _ => vec![(soon, Verdict::Succeeded)],
        };
    }
    match draw(world, n, 4) {
        0 => vec![(late, Verdict::Succeeded)],
        1 => vec![(soon, Verdict::Succeeded), (soon + 300, Verdict::Succeeded)],
        2 => vec![(soon, Verdict::Declined), (soon + 200, Verdict::Succeeded)],
        _ => vec![(soon, Verdict::Succeeded), (late, Verdict::Declined)],
    }
}

fn pay(world: &mut World, n: u32, order: OrderId, attempt: u32, tries: u32) {
    let word = word(world, n);
    let name = format!("pay-{}-{attempt}", order.reservation);
    let payment = PaymentId::parse(&name).expect("base32 digits and dashes");
    let user = world.buyers.by_number[&n].user.clone();
    let request = EdgeRequest::Pay { user, order, payment, word };
    let exchange = move |outcome: &Outcome<EdgeReply, _>| Exchange::Pay {
        order,
        payment: Some(payment),
        answer: match outcome {
            Outcome::Done(EdgeReply::Started(payment)) => Answer::Accepted(Started { payment: Some(*payment) }),
            Outcome::Done(EdgeReply::Refused(problem)) => Answer::Refused((*problem).to_owned()),
            Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unknown => Answer::Unknown,
        },
    };
    ask(world, n, request, exchange, move |world, outcome| {
        let again = match &outcome {
            Outcome::Done(EdgeReply::Refused(problem)) => *problem == "not-yet",
            Outcome::Done(EdgeReply::Started(_)) => false,
            Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unknown => true,
        };
        if again && tries < TRIES_MAX {
            let pause_ms = 200 + draw(world, n, 1_000);
            return world.after_ms(pause_ms, move |world| pay(world, n, order, attempt, tries + 1));
        }
        super::buyer_answers::look(world, n, order);
    });
}

pub(super) fn ask_as(
    world: &mut World,
    n: u32,
    request: EdgeRequest,
    exchange: impl FnOnce(&Outcome<EdgeReply, super::world::Away>) -> Exchange + 'static,
    then: impl FnOnce(&mut World, Outcome<EdgeReply, super::world::Away>) + 'static,
) {
    ask(world, n, request, exchange, then);
}

pub(super) fn start(world: &mut World, n: u32) {
    begin(world, n);
}

pub(super) fn finish(world: &mut World, n: u32) {
    end(world, n);
}

pub(super) fn pause(world: &mut World, n: u32, least_ms: u64, more_ms: u64) -> u64 {
    least_ms + draw(world, n, more_ms)
}

/// A probe's wish: one unit, and whoever asked for it hears whether it was had.
pub fn probe(world: &mut World, n: u32, basket: Basket, then: impl FnOnce(&mut World, Answer<Accepted>) + 'static) {
    let user = world.buyers.by_number[&n].user.clone();
    let key = next_key(world, n);
    let request = EdgeRequest::Reserve { user, key, basket: basket.clone() };
    let exchange = move |outcome: &Outcome<EdgeReply, _>| Exchange::Reserve { key, basket, answer: accepted(outcome) };
    ask(world, n, request, exchange, move |world, outcome| {
        let answer = accepted(&outcome);
        then(world, answer);
    });
}
