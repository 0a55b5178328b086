//! S5 and S15: what a 202 is worth.

use crate::ids::{Epoch, Key, OrderId, Seq, UserId};
use crate::ledger::basket::Basket;
use crate::oracle::history::{Accepted, Answer, Call};
use crate::oracle::judge::{Case, Losses};
use crate::oracle::verdict::{Checked, Findings};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// Refusals of a fresh click. For a key that was accepted each of them is a contradiction.
const FRESH_REFUSALS: [&str; 7] =
    ["sold-out", "limit-reached", "keys-exhausted", "not-started", "ended", "stopped", "key-reused"];

/// What became of one acceptance.
enum Fate {
    /// One order, or on its way while that is still possible.
    Kept,
    /// It will never be an order, and the rows say so to whoever asks.
    Lost,
    /// It contradicts the rows.
    Broken(String),
}

/// S5: every acceptance is exactly one order; or it is lost, where losses are allowed, and the rows say so.
pub fn each_is_one_order(case: &Case<'_>) -> Checked {
    let (history, mut findings) = (case.history()?, Findings::default());
    let mut lost: BTreeSet<(OrderId, Option<(Epoch, Seq)>)> = BTreeSet::new();
    for (call, key, _, accepted) in history.acceptances() {
        if accepted.id != case.order_id(&call.user, key) {
            findings.add(accepted.id, format!("is not the order of {} under key {key}", call.user));
            continue;
        }
        match fate(case, &call.user, accepted) {
            Fate::Kept => {}
            Fate::Lost => drop(lost.insert((accepted.id, accepted.place()))),
            Fate::Broken(what) => findings.add(accepted.id, what),
        }
    }
    match case.options().losses {
        Losses::Uncounted => {}
        Losses::Forbidden => lost.iter().for_each(|(id, place)| {
            findings.add(id, format!("was accepted at {place:?} and is not an order; nothing excuses a loss"));
        }),
        Losses::AtMost(most) => findings.expect(lost.len() as u64 <= most, "all shards", || {
            format!("{} acceptances are lost, but only {most} acknowledged writes were", lost.len())
        }),
    }
    findings.judge()
}

fn fate(case: &Case<'_>, user: &UserId, accepted: &Accepted) -> Fate {
    let audit = case.audit();
    let Some(order) = audit.orders.get(&accepted.id) else { return fate_without_order(case, accepted) };
    if order.user != *user {
        return Fate::Broken(format!("was accepted for {user} and belongs to {}", order.user));
    }
    let (Some(own), Some(told)) = (order.place(), accepted.place()) else { return Fate::Kept };
    match own.0.cmp(&told.0) {
        Ordering::Equal if own == told => Fate::Kept,
        // The same key was accepted again after the loss, and its row answers for the later acceptance.
        Ordering::Greater => Fate::Lost,
        Ordering::Equal | Ordering::Less => {
            Fate::Broken(format!("was accepted at {told:?}, and again: its order stems from {own:?}"))
        }
    }
}

fn fate_without_order(case: &Case<'_>, accepted: &Accepted) -> Fate {
    let Some(shard) = case.audit().shards.get(&accepted.id.shard.k) else {
        return Fate::Broken("its shard does not exist".to_owned());
    };
    let Some(place) = accepted.place() else {
        // Without a receipt nobody can tell "on its way" from "lost"; at rest nothing is on its way.
        return if case.options().at_rest { Fate::Lost } else { Fate::Kept };
    };
    if case.was_lost(accepted.id, place) {
        return Fate::Lost;
    }
    let on_its_way = place.0 == shard.epoch && place.1 > shard.cursor;
    match (on_its_way, case.options().at_rest) {
        (true, false) => Fate::Kept,
        (true, true) => Fate::Broken(format!("was accepted at {place:?} and is still on its way at rest")),
        (false, _) => Fate::Broken(format!("was accepted at {place:?}, which is decided, and there is no order")),
    }
}

/// One answered click under a key.
struct Click<'a> {
    call: &'a Call,
    basket: &'a Basket,
    answer: &'a Answer<Accepted>,
}

/// S15: an acceptance is repeated word for word, to the same basket only, for as long as it is not lost.
pub fn same_key_same_answer(case: &Case<'_>) -> Checked {
    let (history, mut findings) = (case.history()?, Findings::default());
    let mut clicks: BTreeMap<(&UserId, &Key), Vec<Click<'_>>> = BTreeMap::new();
    for (call, key, basket, answer) in history.reserves() {
        clicks.entry((&call.user, key)).or_default().push(Click { call, basket, answer });
    }
    for ((user, key), mut clicks) in clicks {
        clicks.sort_by_key(|click| click.call.answered_at);
        let id = case.order_id(user, key);
        for (index, first) in clicks.iter().enumerate() {
            let Some(accepted) = first.answer.accepted() else { continue };
            for later in &clicks[index + 1..] {
                if let Some(wrong) = contradiction(case, id, first, accepted, later) {
                    findings.add(format_args!("{user}, key {key}"), wrong);
                }
            }
            let alone = clicks.iter().all(|click| click.basket == first.basket);
            let reused = clicks.iter().any(|click| click.answer.refusal() == Some("key-reused"));
            findings.expect(!(alone && reused), format_args!("{user}, key {key}"), || {
                "was told that the key had another body, but there was only one".to_owned()
            });
            break;
        }
        for accepted in clicks.iter().filter_map(|click| click.answer.accepted()) {
            if let Some((told, own)) = second_place(case, id, accepted) {
                findings.add(format_args!("{user}, key {key}"), format!("was accepted at {told:?} and at {own:?}"));
            }
        }
    }
    findings.judge()
}

/// Where this acceptance stands and where the key's order stems from, if both were accepted and neither was lost before
/// the other: an epoch that ends frees a lost key for the later ones, and nothing else does.
fn second_place(case: &Case<'_>, id: OrderId, accepted: &Accepted) -> Option<((Epoch, Seq), (Epoch, Seq))> {
    let (told, own) = (accepted.place()?, case.audit().orders.get(&id)?.place()?);
    (accepted.id == id && own != told && own.0 <= told.0).then_some((told, own))
}

fn contradiction(
    case: &Case<'_>,
    id: OrderId,
    first: &Click<'_>,
    accepted: &Accepted,
    later: &Click<'_>,
) -> Option<String> {
    // A lost acceptance frees its key: from then on it may be refused, or accepted at a later place.
    let lost = match accepted.place() {
        Some(place) => case.was_lost(id, place),
        None => case.options().losses != Losses::Forbidden,
    };
    match later.answer {
        Answer::Unknown => None,
        Answer::Accepted(again) => {
            let moved_on = again.place().map(|place| place.0) > accepted.place().map(|place| place.0);
            let excused = lost && (moved_on || accepted.place().is_none());
            if later.basket != first.basket && !excused {
                return Some("another basket was accepted under the same key".to_owned());
            }
            (!same(accepted, again) && !excused).then(|| format!("was told {accepted:?}, then {again:?}"))
        }
        Answer::Refused(problem) => {
            let fresh = FRESH_REFUSALS.contains(&problem.as_str());
            let asked_after = later.call.sent_at >= first.call.answered_at && later.basket == first.basket;
            (fresh && asked_after && !lost).then(|| format!("was accepted, then told {problem}"))
        }
    }
}

/// Equal in everything that both answers carry.
fn same(one: &Accepted, other: &Accepted) -> bool {
    fn agree<T: PartialEq>(one: &Option<T>, other: &Option<T>) -> bool {
        one.is_none() || other.is_none() || one == other
    }
    one.id == other.id && agree(&one.receipt, &other.receipt) && agree(&one.expires_at, &other.expires_at)
}
