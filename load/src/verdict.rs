//! What the run proves: the client's history against the rows that the platform exports.
//!
//! The checks here are counts of our own that need nothing but the two inputs; the oracle of the core is asked as well,
//! so that a mistake in either of them is seen.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::history::{Answer, History, Line};
use crate::oracle;
use crate::platform::SaleState;

/// Findings named in a check; the rest is only counted.
const EXAMPLES_MAX: usize = 5;

/// Refusals that the contract knows for a well-formed click.
const REFUSALS: [&str; 7] =
    ["sold-out", "limit-reached", "not-started", "ended", "stopped", "keys-exhausted", "key-reused"];

/// How one check ended. What could not be checked is never green.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Colour {
    /// It holds.
    Green,
    /// An input is missing.
    NotChecked,
    /// It does not hold.
    Red,
}

/// One statement about the run.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// The invariant's id in docs/invariants.md.
    pub id: &'static str,
    /// The statement.
    pub statement: String,
    /// Whether it holds.
    pub colour: Colour,
    /// Numbers, and examples where it does not hold.
    pub detail: String,
}

impl Check {
    /// Green if there is no counterexample.
    #[must_use]
    pub fn of(id: &'static str, statement: &str, counterexamples: &[String], numbers: String) -> Self {
        let colour = if counterexamples.is_empty() { Colour::Green } else { Colour::Red };
        let mut detail = numbers;
        if !counterexamples.is_empty() {
            let examples = counterexamples[..counterexamples.len().min(EXAMPLES_MAX)].join("; ");
            detail = format!(
                "{detail}{}{} wrong: {examples}",
                if detail.is_empty() { "" } else { "; " },
                counterexamples.len()
            );
        }
        Self { id, statement: statement.to_owned(), colour, detail }
    }

    /// A statement whose input is missing.
    #[must_use]
    pub fn not_checked(id: &'static str, statement: &str, reason: String) -> Self {
        Self { id, statement: statement.to_owned(), colour: Colour::NotChecked, detail: reason }
    }
}

/// All statements about a run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Verdict {
    /// The statements.
    pub checks: Vec<Check>,
}

impl Verdict {
    /// The worst colour of all checks; a verdict without checks is not green.
    #[must_use]
    pub fn colour(&self) -> Colour {
        self.checks.iter().map(|check| check.colour).max().unwrap_or(Colour::NotChecked)
    }
}

/// Everything that is known about one sale after its run.
pub struct Evidence {
    /// The sale.
    pub sale: Arc<str>,
    /// Units of each SKU: at least, and at most when a top-up remained Unknown.
    pub totals: BTreeMap<String, (u64, u64)>,
    /// Live units that one user may have.
    pub limit_per_user: u32,
    /// What the clients asked and were told, all sales.
    pub history: Arc<History>,
    /// Clicks that remained Unknown even after look-up and abandonment, or were never sent.
    pub unresolved: Vec<String>,
    /// The sale was closed during the run.
    pub closed: bool,
    /// The oracle is not asked: for a platform in miniature, which exports orders and nothing else.
    pub counts_only: bool,
    /// Acknowledged reservations may be lost, if their buyers are told.
    pub may_lose: bool,
    /// The state at the end.
    pub state: Option<SaleState>,
    /// The export, JSON lines.
    pub audit: Option<Vec<u8>>,
}

/// One order of the export.
#[derive(Clone, Debug, Deserialize)]
struct OrderRow {
    id: String,
    user: String,
    #[serde(default)]
    lines: Vec<Line>,
    status: String,
}

impl OrderRow {
    /// Whether the order holds its units: the states that invariant I3 counts.
    fn holds(&self) -> bool {
        matches!(self.status.as_str(), "PENDING_PAYMENT" | "PAID" | "REFUNDING")
    }
}

/// Judges one sale.
#[must_use]
pub fn judge(evidence: &Evidence) -> Vec<Check> {
    let mut checks = vec![documented_answers(evidence), same_key_same_answer(evidence), nothing_unresolved(evidence)];
    if !evidence.counts_only {
        checks.extend(oracle::ask(evidence));
    }
    let rows = match evidence.audit.as_deref().map(read_orders) {
        Some(Ok(rows)) => rows,
        Some(Err(reason)) => {
            checks.push(Check::not_checked(
                "S1",
                "sold units never exceed the stock",
                format!("the audit cannot be read: {reason}"),
            ));
            return checks;
        }
        None => {
            checks.push(Check::not_checked("S1", "sold units never exceed the stock", "there is no audit".to_owned()));
            return checks;
        }
    };
    checks.push(no_oversell(evidence, &rows));
    checks.push(limit_kept(evidence, &rows));
    checks.push(every_promise_is_one_order(evidence, &rows));
    checks.push(no_phantom(evidence, &rows));
    checks.push(unpaid_are_cancelled(evidence, &rows));
    checks.push(conservation(evidence, &rows));
    checks
}

fn read_orders(audit: &[u8]) -> Result<Vec<OrderRow>, String> {
    let mut rows = Vec::new();
    for (number, line) in audit.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty()) {
        let value: serde_json::Value =
            serde_json::from_slice(line).map_err(|error| format!("line {}: {error}", number + 1))?;
        if value.get("row").and_then(serde_json::Value::as_str) == Some("order") {
            rows.push(OrderRow::deserialize(value).map_err(|error| format!("line {}: {error}", number + 1))?);
        }
    }
    Ok(rows)
}

fn documented_answers(evidence: &Evidence) -> Check {
    let mut wrong = Vec::new();
    for attempt in evidence.history.attempts.iter().filter(|attempt| attempt.sale == evidence.sale) {
        match &attempt.answer {
            Answer::Refused { status, slug } if !REFUSALS.contains(&slug.as_str()) => {
                wrong.push(format!("{status} {slug} for {}", attempt.key))
            }
            Answer::Unknown { reason }
                if reason.starts_with("status") || reason.starts_with("malformed") || reason.starts_with("a 202") =>
            {
                wrong.push(format!("{reason} for {}", attempt.key));
            }
            Answer::Refused { .. } | Answer::Unknown { .. } | Answer::Accepted { .. } | Answer::Unavailable { .. } => {}
        }
    }
    for command in evidence.history.commands.iter().filter(|command| command.sale == evidence.sale) {
        if command.status.is_some_and(|status| status >= 500 && status != 503) {
            wrong.push(format!("{} of {}: {:?}", command.name, command.order, command.status));
        }
    }
    Check::of("S21", "every answer is a documented one", &wrong, String::new())
}

fn same_key_same_answer(evidence: &Evidence) -> Check {
    let mut promised: BTreeMap<(&str, &str), (&str, &[Line])> = BTreeMap::new();
    let mut owners: BTreeMap<&str, (&str, &str)> = BTreeMap::new();
    let mut wrong = Vec::new();
    for attempt in evidence.history.attempts.iter().filter(|attempt| attempt.sale == evidence.sale) {
        let Answer::Accepted { id, .. } = &attempt.answer else { continue };
        let click = (attempt.user.as_str(), attempt.key.as_str());
        let (first, lines) = *promised.entry(click).or_insert((id, &attempt.lines));
        if first != id || *lines != *attempt.lines {
            wrong.push(format!("{click:?} was promised {first} and {id}"));
        }
        if *owners.entry(id).or_insert(click) != click {
            wrong.push(format!("{id} was promised to two clicks"));
        }
    }
    for command in evidence.history.commands.iter().filter(|command| command.sale == evidence.sale) {
        let known = promised.contains_key(&(command.user.as_str(), command.key.as_str()));
        match (command.name, command.status) {
            ("reuse-key", Some(status)) if known && status != 422 => {
                wrong.push(format!(
                    "another basket under the used key {} was answered {status} {}",
                    command.key,
                    command.slug()
                ));
            }
            ("click", Some(status)) if known && !command.order.is_empty() && status != 202 => {
                wrong.push(format!("a double click on {} was answered {status} {}", command.key, command.slug()));
            }
            _ => {}
        }
    }
    Check::of(
        "S15",
        "the same key has the same answer, and another basket under it is refused",
        &wrong,
        format!("{} keys accepted", promised.len()),
    )
}

fn nothing_unresolved(evidence: &Evidence) -> Check {
    let statement = "every click has an answer in the end";
    if evidence.unresolved.is_empty() {
        Check::of("S5", statement, &[], String::new())
    } else {
        let examples = evidence.unresolved[..evidence.unresolved.len().min(EXAMPLES_MAX)].join("; ");
        Check::not_checked("S5", statement, format!("{} without: {examples}", evidence.unresolved.len()))
    }
}

fn no_oversell(evidence: &Evidence, rows: &[OrderRow]) -> Check {
    let mut units: BTreeMap<&str, u64> = BTreeMap::new();
    for line in rows.iter().filter(|row| row.holds()).flat_map(|row| &row.lines) {
        *units.entry(&line.sku).or_default() += u64::from(line.quantity);
    }
    let mut wrong = Vec::new();
    for (sku, units) in &units {
        let total = evidence.totals.get(*sku).map_or(0, |(_, most)| *most);
        if *units > total {
            wrong.push(format!("{sku}: {units} units of {total}"));
        }
    }
    let sold: u64 = units.values().sum();
    let total: u64 = evidence.totals.values().map(|(_, most)| *most).sum();
    Check::of("S1", "sold units never exceed the stock", &wrong, format!("{sold} of {total} units are sold or held"))
}

fn limit_kept(evidence: &Evidence, rows: &[OrderRow]) -> Check {
    let mut units: BTreeMap<&str, u64> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.holds()) {
        *units.entry(&row.user).or_default() += row.lines.iter().map(|line| u64::from(line.quantity)).sum::<u64>();
    }
    let over = units.iter().filter(|(_, units)| **units > u64::from(evidence.limit_per_user));
    let wrong: Vec<_> = over.map(|(user, units)| format!("{user} has {units}")).collect();
    Check::of("S3", "no user has more than the limit", &wrong, format!("limit {}", evidence.limit_per_user))
}

fn promises(evidence: &Evidence) -> BTreeMap<&str, &crate::history::Attempt> {
    let own = evidence.history.attempts.iter().filter(|attempt| attempt.sale == evidence.sale);
    own.filter_map(|attempt| match &attempt.answer {
        Answer::Accepted { id, .. } => Some((id.as_str(), attempt)),
        Answer::Refused { .. } | Answer::Unavailable { .. } | Answer::Unknown { .. } => None,
    })
    .collect()
}

fn every_promise_is_one_order(evidence: &Evidence, rows: &[OrderRow]) -> Check {
    let promises = promises(evidence);
    let mut found: BTreeMap<&str, Vec<&OrderRow>> = BTreeMap::new();
    for row in rows {
        found.entry(&row.id).or_default().push(row);
    }
    let lost = told_lost(evidence);
    let mut wrong = Vec::new();
    for (id, attempt) in &promises {
        match found.get(id).map(Vec::as_slice) {
            Some([row]) if row.user != attempt.user => wrong.push(format!("{id} belongs to {}", row.user)),
            Some([row]) if sorted(&row.lines) != sorted(&attempt.lines) => {
                wrong.push(format!("{id} has other lines than asked for"))
            }
            Some([_]) => {}
            Some(several) => wrong.push(format!("{id} has {} rows", several.len())),
            None if lost.contains(id) => {}
            None => wrong.push(format!("{id} has no row")),
        }
    }
    let statement = match evidence.may_lose {
        true => {
            "every 202 is exactly one order, with the lines that were asked for, or its buyer is told that it is lost"
        }
        false => "every 202 is exactly one order, with the lines that were asked for",
    };
    let told = if evidence.may_lose { format!(", {} told that they are lost", lost.len()) } else { String::new() };
    Check::of("S5", statement, &wrong, format!("{} promises{told}", promises.len()))
}

/// Orders of which a look-up has said that they are lost; where nothing may be, none are excused.
fn told_lost(evidence: &Evidence) -> BTreeSet<&str> {
    let own = evidence.history.commands.iter().filter(|command| command.sale == evidence.sale);
    let lost = own.filter(|command| command.name == "look-up" && command.told("outcome") == "lost");
    lost.filter(|_| evidence.may_lose).map(|command| command.order.as_str()).collect()
}

fn no_phantom(evidence: &Evidence, rows: &[OrderRow]) -> Check {
    let promises = promises(evidence);
    let own = |sale: &Arc<str>| *sale == evidence.sale;
    // An order without a 202 is explained by a click whose answer was not seen, or by a payment that came late and
    // reserved anew.
    let unseen = evidence
        .history
        .attempts
        .iter()
        .filter(|attempt| own(&attempt.sale) && matches!(attempt.answer, Answer::Unknown { .. }));
    let mut explained: BTreeSet<&str> = unseen.map(|attempt| attempt.user.as_str()).collect();
    let paying = evidence
        .history
        .commands
        .iter()
        .filter(|command| own(&command.sale) && matches!(command.name, "pay" | "abandon"));
    explained.extend(paying.map(|command| command.user.as_str()));
    let phantoms =
        rows.iter().filter(|row| !promises.contains_key(row.id.as_str()) && !explained.contains(row.user.as_str()));
    let wrong: Vec<_> = phantoms.map(|row| format!("{} of {} is {}", row.id, row.user, row.status)).collect();
    Check::of("S4", "no order is without a reservation", &wrong, format!("{} orders", rows.len()))
}

fn unpaid_are_cancelled(evidence: &Evidence, rows: &[OrderRow]) -> Check {
    let asked_to_pay = evidence
        .history
        .commands
        .iter()
        .filter(|command| command.name == "pay" && command.status.is_none_or(|status| status < 300));
    let asked_to_pay: BTreeSet<&str> = asked_to_pay.map(|command| command.order.as_str()).collect();
    let payers = evidence.history.commands.iter().filter(|command| command.name == "pay");
    let payers: BTreeSet<&str> = payers.map(|command| command.user.as_str()).collect();
    let mut cancelled = 0;
    let mut paid = 0;
    let mut wrong = Vec::new();
    for row in rows {
        match row.status.as_str() {
            "CANCELLED" | "REJECTED" => cancelled += 1,
            "PAID" if asked_to_pay.contains(row.id.as_str()) => paid += 1,
            // A late payment reserves anew: the new order has another id and the same user.
            "PAID" if payers.contains(row.user.as_str()) => paid += 1,
            "REFUNDED" => {}
            status => wrong.push(format!("{} is {status}", row.id)),
        }
    }
    let numbers = format!("{paid} paid, {cancelled} cancelled or rejected, {} asked to pay", asked_to_pay.len());
    Check::of("L4", "every unpaid order is cancelled in the end", &wrong, numbers)
}

fn conservation(evidence: &Evidence, rows: &[OrderRow]) -> Check {
    let statement = "available + held + sold = total, and sold is what the rows say";
    let Some(state) = &evidence.state else {
        return Check::not_checked("S7", statement, "the sale's state is not known".to_owned());
    };
    let mut held: BTreeMap<&str, u64> = BTreeMap::new();
    for line in rows.iter().filter(|row| row.holds()).flat_map(|row| &row.lines) {
        *held.entry(&line.sku).or_default() += u64::from(line.quantity);
    }
    let mut wrong = Vec::new();
    for sku in &state.skus {
        let (least, most) = evidence.totals.get(&sku.sku).copied().unwrap_or((0, 0));
        if !(least..=most).contains(&sku.total) {
            wrong.push(format!("{}: total {} and not {least} to {most}", sku.sku, sku.total));
        }
        // Units in the pool belong to no shard; they count as available only where the platform says so.
        let sum = sku.available + sku.held + sku.sold;
        if sum != sku.total && sum + sku.pool != sku.total {
            wrong.push(format!(
                "{}: {} available, {} held, {} sold, {} in the pool of {}",
                sku.sku, sku.available, sku.held, sku.sold, sku.pool, sku.total
            ));
        }
        let rows_hold = held.get(sku.sku.as_str()).copied().unwrap_or(0);
        if sku.held + sku.sold != rows_hold {
            wrong.push(format!("{}: {} held and sold, but the rows hold {rows_hold}", sku.sku, sku.held + sku.sold));
        }
    }
    if state.skus.len() != evidence.totals.len() {
        wrong.push(format!("{} SKUs and not {}", state.skus.len(), evidence.totals.len()));
    }
    Check::of("S7", statement, &wrong, format!("{} SKUs", state.skus.len()))
}

fn sorted(lines: &[Line]) -> Vec<Line> {
    let mut lines = lines.to_vec();
    lines.sort();
    lines
}
