//! The evidence in the words of the core's oracle, and its judgements in the words of this tool.

use std::str::FromStr;

use doorbuster_core::ids::{Key, OrderId, PaymentId, UserId, Version};
use doorbuster_core::ledger::basket::{self, Basket};
use doorbuster_core::oracle::audit::{Audit, AuditLine, NamedStatus};
use doorbuster_core::oracle::history::{Accepted, Answer, Became, Call, Exchange, History, Seen, Started};
use doorbuster_core::oracle::judge::{Inputs, Losses, Options, judge};
use doorbuster_core::oracle::verdict::{Check as Invariant, Finding, Judgement};
use doorbuster_core::time::Wall;
use serde_json::{Value, json};

use crate::history::{self, Attempt, Command, Line};
use crate::verdict::{Check, Colour, Evidence};

/// Both clocks are this machine's; a client reads its own a little before or after the platform does.
const CLOCK_SKEW_MS: u64 = 1_000;

/// The predicates for which history and rows are enough; the others need the order of effects or a replay, which only a
/// simulated world can give. One of these without a judgement makes the run "not checked".
const OWED: [Invariant; 13] = [
    Invariant::I1,
    Invariant::I2,
    Invariant::I3,
    Invariant::S1,
    Invariant::S3,
    Invariant::S4,
    Invariant::S5,
    Invariant::S7,
    Invariant::S15,
    Invariant::S24,
    Invariant::S25,
    Invariant::L3,
    Invariant::L4,
];

/// Asks the oracle about one sale.
#[must_use]
pub fn ask(evidence: &Evidence) -> Vec<Check> {
    let audit = evidence.audit.as_deref().ok_or_else(|| "there is no audit".to_owned()).and_then(read);
    let audit = match audit {
        Ok(audit) => audit,
        Err(reason) => return vec![Check::not_checked("oracle", "the oracle was asked", reason)],
    };
    let history = history(evidence);
    let options = Options {
        at_rest: true,
        losses: if evidence.may_lose { Losses::Uncounted } else { Losses::Forbidden },
        sale_closed: evidence.closed,
        problems: None,
        clock_skew_ms: CLOCK_SKEW_MS,
    };
    let inputs = Inputs { history: Some(&history), audit: &audit, replayed: None, probes: None, options: &options };
    judge(inputs).judgements.iter().filter_map(|(invariant, judgement)| check(*invariant, judgement)).collect()
}

fn read(audit: &[u8]) -> Result<Audit, String> {
    let text = std::str::from_utf8(audit).map_err(|error| error.to_string())?;
    let parse = |line: &str| serde_json::from_str::<AuditLine>(line);
    Audit::read(text.lines(), parse).map_err(|error| error.to_string())
}

fn check(invariant: Invariant, judgement: &Judgement) -> Option<Check> {
    let (colour, detail) = match judgement {
        Judgement::Green => (Colour::Green, "by the oracle".to_owned()),
        Judgement::Red { findings, count } => {
            let findings: Vec<String> =
                findings.iter().map(|Finding { place, what }| format!("{place}: {what}")).collect();
            (Colour::Red, format!("by the oracle, {count} times: {}", findings.join("; ")))
        }
        Judgement::NotChecked { missing } if OWED.contains(&invariant) => {
            (Colour::NotChecked, format!("missing: {missing}"))
        }
        Judgement::NotChecked { .. } => return None,
    };
    Some(Check { id: invariant.id(), statement: invariant.title().to_owned(), colour, detail })
}

/// The calls about this sale, in the order in which they were sent.
fn history(evidence: &Evidence) -> History {
    let origin = evidence.history.origin_unix_ms;
    let attempts = evidence.history.attempts.iter().filter(|attempt| attempt.sale == evidence.sale);
    let commands = evidence.history.commands.iter().filter(|command| command.sale == evidence.sale);
    let mut calls: Vec<Call> = attempts
        .filter_map(|attempt| {
            call(origin, &attempt.user, attempt.sent_at_us, attempt.answered_at_us, reserved(attempt)?)
        })
        .chain(commands.filter_map(|command| {
            call(origin, &command.user, command.sent_at_us, command.answered_at_us, exchanged(command)?)
        }))
        .collect();
    calls.sort_by_key(|call| call.sent_at);
    History { calls, is_complete: true }
}

fn call(origin_unix_ms: u64, user: &str, sent_at_us: u64, answered_at_us: u64, exchange: Exchange) -> Option<Call> {
    let wall = |us: u64| Wall(origin_unix_ms + us / 1000);
    Some(Call {
        user: UserId::parse(user).ok()?,
        sent_at: wall(sent_at_us),
        answered_at: wall(answered_at_us),
        exchange,
    })
}

fn reserved(attempt: &Attempt) -> Option<Exchange> {
    let answer = match &attempt.answer {
        history::Answer::Accepted { id, receipt, expires_at } => accepted(id, receipt, expires_at),
        history::Answer::Refused { slug, .. } | history::Answer::Unavailable { slug, .. } => {
            Answer::Refused(slug.clone())
        }
        history::Answer::Unknown { .. } => Answer::Unknown,
    };
    Some(Exchange::Reserve { key: Key::parse(&attempt.key).ok()?, basket: basket(&attempt.lines)?, answer })
}

fn exchanged(command: &Command) -> Option<Exchange> {
    let order = || OrderId::from_str(&command.order).ok();
    let key = || Key::parse(&command.key).ok();
    Some(match command.name {
        // A read that says "lost" has no row to show; the oracle learns of losses from the rows themselves.
        "read" if command.told("status") == "lost" => return None,
        "read" => Exchange::Look { order: order()?, answer: answered(command, seen) },
        "pay" => Exchange::Pay {
            order: order()?,
            payment: payment(&command.answer),
            answer: answered(command, |body| Some(Started { payment: payment(body) })),
        },
        "cancel" => Exchange::Cancel { order: order()?, answer: answered(command, seen) },
        // A loss is told with the epoch and seq that the receipt names in clear; the rows show them, too.
        "look-up" if command.told("outcome") == "lost" => return None,
        "look-up" => Exchange::LookUp { key: key()?, answer: answered(command, became) },
        "abandon" => Exchange::Abandon { key: key()?, answer: answered(command, seen) },
        "click" | "reuse-key" => Exchange::Reserve {
            key: key()?,
            basket: basket(&command.lines)?,
            answer: match answered(command, |body| Some(body.clone())) {
                Answer::Accepted(body) => {
                    accepted(text(&body, "id"), text(&body, "receipt"), text(&body, "expires_at"))
                }
                Answer::Refused(slug) => Answer::Refused(slug),
                Answer::Unknown => Answer::Unknown,
            },
        },
        _ => return None,
    })
}

/// A yes that cannot be read is nothing that can be relied on.
fn answered<T>(command: &Command, read: impl Fn(&Value) -> Option<T>) -> Answer<T> {
    match command.status {
        Some(200..=299) => read(&command.answer).map_or(Answer::Unknown, Answer::Accepted),
        Some(400..=499 | 503) => Answer::Refused(command.slug().to_owned()),
        Some(_) | None => Answer::Unknown,
    }
}

fn accepted(id: &str, receipt: &str, expires_at: &str) -> Answer<Accepted> {
    let Ok(id) = OrderId::from_str(id) else { return Answer::Unknown };
    let receipt = Some(receipt).filter(|receipt| !receipt.is_empty()).map(str::to_owned);
    let since_epoch =
        humantime::parse_rfc3339(expires_at).ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    let expires_at = since_epoch.and_then(|at| u64::try_from(at.as_millis()).ok()).map(Wall);
    Answer::Accepted(Accepted { id, receipt, expires_at })
}

fn seen(body: &Value) -> Option<Seen> {
    let id = OrderId::from_str(text(body, "id")).ok()?;
    let status = text(body, "status");
    let version = body.get("version").and_then(Value::as_u64).map(Version);
    if status == "on-its-way" {
        return Some(Seen::on_its_way(id));
    }
    let reason = body.get("reason").cloned().unwrap_or(Value::Null);
    let status: NamedStatus = serde_json::from_value(json!({ "status": status, "reason": reason })).ok()?;
    Some(Seen { id, status: Some(status), version })
}

fn became(body: &Value) -> Option<Became> {
    match text(body, "outcome") {
        "accepted" => OrderId::from_str(text(body, "id")).ok().map(Became::Accepted),
        "not-seen" => Some(Became::NotSeen),
        _ => None,
    }
}

fn payment(body: &Value) -> Option<PaymentId> {
    PaymentId::parse(text(body, "payment_id")).ok()
}

fn basket(lines: &[Line]) -> Option<Basket> {
    let line = |line: &Line| Some(basket::Line { sku: line.sku.parse().ok()?, quantity: line.quantity });
    Basket::parse(&lines.iter().map(line).collect::<Option<Vec<_>>>()?).ok()
}

fn text<'a>(body: &'a Value, name: &str) -> &'a str {
    body.get(name).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn command(name: &'static str, status: Option<u16>, answer: Value) -> Command {
        Command {
            sale: Arc::from("load-x"),
            user: "u-1".to_owned(),
            name,
            order: "load-x.0.AAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned(),
            key: "k-1".to_owned(),
            lines: Arc::from([Line { sku: "s-1".to_owned(), quantity: 1 }]),
            sent_at_us: 1,
            answered_at_us: 2,
            status,
            answer,
        }
    }

    #[test]
    fn a_refusal_keeps_the_name_of_its_problem() {
        let refused = command("cancel", Some(409), json!({ "type": "/problems/not-cancellable" }));
        let Answer::Refused(slug) = answered(&refused, seen) else { panic!("a refusal") };
        assert_eq!(slug, "not-cancellable");
    }

    #[test]
    fn silence_a_server_error_and_a_yes_that_cannot_be_read_are_unknown() {
        for (status, body) in [(None, Value::Null), (Some(500), json!({})), (Some(200), json!({ "id": "no order" }))] {
            assert_eq!(answered(&command("read", status, body), seen), Answer::Unknown);
        }
    }

    #[test]
    fn every_command_of_the_tool_has_its_place_in_the_history() {
        for name in ["pay", "look-up", "abandon", "click", "reuse-key"] {
            let unanswered = command(name, None, Value::Null);
            // The order's id is parsed by the core, whose text form this test does not repeat.
            assert!(exchanged(&unanswered).is_some() || OrderId::from_str(&unanswered.order).is_err(), "{name}");
        }
    }
}
