//! S3, S4 and S24: what orders may exist, of whom, and with which lines.

use crate::ids::{Key, OrderId, UserId};
use crate::ledger::basket::Basket;
use crate::oracle::audit::{Audit, OrderLine};
use crate::oracle::history::{Exchange, History};
use crate::oracle::judge::Case;
use crate::oracle::verdict::{Checked, Findings};
use std::collections::{BTreeMap, BTreeSet};

/// S3: nobody holds more than the limit, over all SKUs and shards; the quota rows count exactly what is held.
pub fn limit_is_kept(case: &Case<'_>) -> Checked {
    let (audit, mut findings) = (case.audit(), Findings::default());
    let limit = u64::from(audit.sale.limit);
    for (user, live) in &case.live {
        findings.expect(*live <= limit, user, || format!("holds {live} units, limit {limit}"));
        let counted = audit.quotas.get(&(user.shard_of(audit.sale.shards), user.clone())).copied().unwrap_or(0);
        findings.expect(u64::from(counted) == *live, user, || format!("holds {live} units, the quota says {counted}"));
    }
    for ((k, user), counted) in &audit.quotas {
        let known = *counted == 0 || (case.live.contains_key(user) && user.shard_of(audit.sale.shards) == *k);
        findings.expect(known, user, || format!("the quota of shard {k} says {counted}, orders hold none there"));
    }
    findings.judge()
}

/// S4: every order stems from one reservation that somebody asked for and that the log carried.
pub fn no_phantom_order(case: &Case<'_>) -> Checked {
    let (audit, mut findings) = (case.audit(), Findings::default());
    for order in audit.orders.values() {
        if let Some(wrong) = misplaced(audit, order) {
            findings.add(order.id, wrong);
        }
    }
    let Some(history) = case.inputs.history.filter(|history| history.is_complete) else {
        return findings.judge_in_part("the complete history of clients");
    };
    let (reserved, given_up) = asked_for(case, history);
    for order in audit.orders.values() {
        let stems = reserved.contains(&order.id) || (order.place().is_none() && given_up.contains(&order.id));
        findings.expect(stems, order.id, || format!("nobody asked for this order of {}", order.user));
    }
    findings.judge()
}

/// S24: an order has exactly the lines of its request, and its amount is theirs.
pub fn baskets_are_whole(case: &Case<'_>) -> Checked {
    let (audit, mut findings) = (case.audit(), Findings::default());
    for order in audit.orders.values().filter(|order| order.place().is_some()) {
        let basket = Basket::parse(&order.lines).ok();
        let fingerprint = basket.map(|basket| basket.body_hash());
        findings.expect(fingerprint.is_some() && fingerprint == order.body_hash, order.id, || {
            "the lines are not those of the request's fingerprint".to_owned()
        });
        let price = |sku| audit.skus.get(sku).map_or(0, |row| u128::from(row.price_minor));
        let amount: u128 = order.lines.iter().map(|line| price(&line.sku) * u128::from(line.quantity)).sum();
        findings.expect(amount == u128::from(order.amount_minor), order.id, || {
            format!("the lines cost {amount}, the order says {}", order.amount_minor)
        });
    }
    let Some(history) = case.inputs.history else { return findings.judge_in_part("the history of clients") };
    let mut asked: BTreeMap<OrderId, Vec<&Basket>> = BTreeMap::new();
    for (call, key, basket, _) in history.reserves() {
        asked.entry(case.order_id(&call.user, key)).or_default().push(basket);
    }
    for (id, baskets) in asked {
        let Some(order) = audit.orders.get(&id).filter(|order| order.place().is_some()) else { continue };
        let whole = baskets.iter().any(|basket| basket.lines() == order.lines);
        findings.expect(whole, id, || format!("has the lines {:?}, asked for were {baskets:?}", order.lines));
    }
    findings.judge()
}

/// What the row alone shows to be impossible.
fn misplaced(audit: &Audit, order: &OrderLine) -> Option<String> {
    let Some(shard) = audit.shards.get(&order.id.shard.k).filter(|_| order.id.shard.sale == audit.sale.id) else {
        return Some("its shard does not exist".to_owned());
    };
    if order.user.shard_of(audit.sale.shards) != shard.k {
        return Some(format!("{} does not belong to shard {}", order.user, shard.k));
    }
    let Some((epoch, seq)) = order.place() else {
        return order.status().holds_units().then(|| "holds units without a reservation".to_owned());
    };
    let decided = epoch < shard.epoch || (epoch == shard.epoch && seq <= shard.cursor);
    if !decided || epoch.0 == 0 || seq.0 == 0 {
        let (epoch, seq) = (epoch.0, seq.0);
        return Some(format!("stems from entry {epoch}-{seq}, which shard {} has not decided", shard.k));
    }
    None
}

/// Orders that somebody asked for, and those that somebody gave up.
fn asked_for(case: &Case<'_>, history: &History) -> (BTreeSet<OrderId>, BTreeSet<OrderId>) {
    let (mut reserved, mut given_up) = (BTreeSet::new(), BTreeSet::new());
    for call in &history.calls {
        match &call.exchange {
            Exchange::Reserve { key, .. } => reserved.insert(case.order_id(&call.user, key)),
            Exchange::Abandon { key, .. } => given_up.insert(case.order_id(&call.user, key)),
            Exchange::LookUp { .. } | Exchange::Pay { .. } | Exchange::Cancel { .. } | Exchange::Look { .. } => false,
        };
    }
    // A late payment reserves again on the buyer's behalf, under a key that only the platform can use.
    let late = |user: &UserId, key: Key| case.order_id(user, &key);
    reserved.extend(case.audit().payments.values().map(|row| late(&row.user, Key::of_late_payment(row.id))));
    (reserved, given_up)
}
