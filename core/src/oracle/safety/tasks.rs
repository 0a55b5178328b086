//! S12 and S13: the delay queue neither loses nor doubles a task.

use crate::ids::OrderId;
use crate::oracle::audit::DelayPlace;
use crate::oracle::judge::{Case, Losses};
use crate::oracle::probe::Probe;
use crate::oracle::verdict::{Checked, Findings, Missing};
use crate::order::status::Status;
use std::collections::{BTreeMap, BTreeSet};

/// S12: a completion counts only under the token of the claim that is running, and once.
pub fn one_completion_per_claim(case: &Case<'_>) -> Checked {
    let mut running: BTreeMap<OrderId, u64> = BTreeMap::new();
    let mut findings = Findings::default();
    for probe in case.probes()? {
        if let Probe::Claimed { task, token } = probe {
            let before = running.insert(*task, *token);
            findings.expect(before.is_none(), task, || format!("was claimed by {token} while {before:?} held it"));
        } else if let Probe::Recovered { task } = probe {
            running.remove(task);
        } else if let Probe::Completed { task, token, accepted: true } = probe {
            let holder = running.remove(task);
            findings
                .expect(holder == Some(*token), task, || format!("was completed by {token}, the claim was {holder:?}"));
        }
    }
    findings.judge()
}

/// S13: a task is ready or being worked on, never both, and a claimed one has an owner. Every unpaid order has one.
pub fn exactly_one_place(case: &Case<'_>) -> Checked {
    let audit = case.audit();
    let delay = audit.delay.as_ref().ok_or_else(|| Missing("the delay queue".to_owned()))?;
    let (mut seen, mut findings) = (BTreeSet::new(), Findings::default());
    for task in delay {
        findings.expect(seen.insert(task.order), task.order, || "is in the delay queue twice".to_owned());
        let claimed = task.place == DelayPlace::Processing;
        findings.expect(claimed == task.owner.is_some(), task.order, || {
            format!("is {:?} with owner {:?}", task.place, task.owner)
        });
    }
    // Losing the queue's server loses tasks: then the sweep, not the queue, is the proof (L4).
    let complete = audit.meta.outbox_unsent == Some(0) && case.options().losses == Losses::Forbidden;
    let unpaid = audit.orders.values().filter(|order| order.status() == Status::PendingPayment);
    for order in unpaid.filter(|_| complete) {
        findings.expect(seen.contains(&order.id), order.id, || "waits for money without a task".to_owned());
    }
    findings.judge()
}
