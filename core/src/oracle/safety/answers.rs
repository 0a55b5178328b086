//! S21 and S25: every answer is a documented one, and none is taken back.

use crate::ids::{Key, OrderId, UserId};
use crate::oracle::history::{Became, Exchange, Seen};
use crate::oracle::judge::{Case, Losses};
use crate::oracle::verdict::{Checked, Findings, Missing};

/// S21: every refusal names a documented problem.
pub fn all_documented(case: &Case<'_>) -> Checked {
    let history = case.history()?;
    let documented = case.options().problems.as_ref().ok_or(Missing("the list of documented problems".to_owned()))?;
    let mut findings = Findings::default();
    for call in &history.calls {
        let Some(problem) = call.exchange.refusal() else { continue };
        findings.expect(documented.contains(problem), &call.user, || format!("was told {problem:?}"));
    }
    findings.judge()
}

/// S25: accepted, given up, lost: whatever was said of an unknown outcome is what the rows say in the end.
pub fn never_contradicted(case: &Case<'_>) -> Checked {
    let (history, mut findings) = (case.history()?, Findings::default());
    for call in &history.calls {
        match &call.exchange {
            Exchange::LookUp { key, answer } => {
                if let Some(became) = answer.accepted() {
                    look_up_stays_true(case, &call.user, key, became, &mut findings);
                }
            }
            Exchange::Abandon { key, answer } => {
                if let Some(seen) = answer.accepted() {
                    given_up_stays_so(case, case.order_id(&call.user, key), seen, &mut findings);
                }
            }
            Exchange::Reserve { .. } | Exchange::Pay { .. } | Exchange::Cancel { .. } | Exchange::Look { .. } => {}
        }
    }
    findings.judge()
}

fn look_up_stays_true(case: &Case<'_>, user: &UserId, key: &Key, became: &Became, findings: &mut Findings) {
    let (audit, id) = (case.audit(), case.order_id(user, key));
    match became {
        // Not seen yet is not a promise; only giving the key up makes one.
        Became::NotSeen => {}
        Became::Accepted(told) => {
            findings.expect(*told == id, id, || format!("{user} was told that key {key} is {told}"));
            let gone = case.options().at_rest && !audit.orders.contains_key(&id);
            let excused = case.options().losses != Losses::Forbidden;
            findings.expect(!gone || excused, id, || "was told as accepted; at rest there is no order".to_owned());
        }
        Became::Lost(epoch, seq) => {
            let own = audit.orders.get(&id).and_then(|order| order.place());
            findings.expect(own != Some((*epoch, *seq)), id, || {
                format!("was told as lost at {}-{}, and is the order of that very entry", epoch.0, seq.0)
            });
            findings.expect(case.was_lost(id, (*epoch, *seq)), id, || {
                format!("was told as lost at {}-{}, which the rows do not say", epoch.0, seq.0)
            });
        }
    }
}

fn given_up_stays_so(case: &Case<'_>, id: OrderId, seen: &Seen, findings: &mut Findings) {
    let last = case.audit().orders.get(&id).map(|order| order.status());
    match (seen.status, last) {
        (None, _) => findings.add(id, "was given up and is still said to be on its way"),
        (Some(_), None) => findings.add(id, "was given up, and there is no row that says so"),
        (Some(told), Some(last)) => {
            findings.expect(told.0 != crate::order::status::Status::PendingPayment, id, || {
                "was given up and is still said to wait for money".to_owned()
            });
            let kept = !told.0.is_terminal() || told.0 == last;
            findings.expect(kept, id, || format!("was given up as {told:?} and ends as {last:?}"));
        }
    }
}
