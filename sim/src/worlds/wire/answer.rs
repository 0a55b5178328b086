//! What an edge's answer says, in the words of the oracle's history.

use super::http::Told;
use doorbuster_core::ids::{OrderId, PaymentId, Version};
use doorbuster_core::oracle::audit::NamedStatus;
use doorbuster_core::oracle::history::{Accepted, Answer, Became, Seen, Started};
use doorbuster_core::order::status::Status;
use doorbuster_web::stamp;
use serde_json::Value;

/// An answer before anybody asks what it was about.
#[derive(Clone, Debug)]
pub enum Word {
    /// Yes, with this.
    Yes(Value),
    /// No, by the name of the problem.
    No(String),
    /// Nothing that can be relied on.
    Nothing,
}

/// Problems that say nothing of what became of the request.
const OPEN: [&str; 2] = ["outcome-unknown", "timed-out"];

/// The problem's name is the last part of its type.
pub fn understand(told: Option<Told>) -> Word {
    let Some(told) = told else { return Word::Nothing };
    if (200..300).contains(&told.status) {
        return Word::Yes(told.body);
    }
    let name = told.body["type"].as_str().and_then(|name| name.rsplit('/').next());
    match name {
        Some(name) if OPEN.contains(&name) => Word::Nothing,
        Some(name) => Word::No(name.to_owned()),
        // An answer of no documented form.
        None => Word::No(format!("status-{}", told.status)),
    }
}

fn answer<T>(word: Word, read: impl FnOnce(&Value) -> Option<T>) -> Answer<T> {
    match word {
        // Not in the list of documented problems, so that the oracle takes offence at it.
        Word::Yes(body) => read(&body).map_or_else(|| Answer::Refused("unreadable".to_owned()), Answer::Accepted),
        Word::No(problem) => Answer::Refused(problem),
        Word::Nothing => Answer::Unknown,
    }
}

fn order(body: &Value) -> Option<OrderId> {
    body["id"].as_str()?.parse().ok()
}

/// Of a reservation.
pub fn accepted(word: Word) -> Answer<Accepted> {
    answer(word, |body| {
        let receipt = body["receipt"].as_str().map(str::to_owned);
        let expires_at = body["expires_at"].as_str().and_then(stamp::parse);
        Some(Accepted { id: order(body)?, receipt, expires_at })
    })
}

/// Whether a look-up says that the key was given up, which is no answer of the oracle's list.
pub fn is_abandoned(word: &Word) -> bool {
    matches!(word, Word::Yes(body) if body["outcome"] == "abandoned")
}

/// Of a look-up.
pub fn became(word: Word) -> Answer<Became> {
    answer(word, |body| match body["outcome"].as_str()? {
        "accepted" => Some(Became::Accepted(order(body)?)),
        "lost" => {
            let receipt = body["receipt"].as_str().map(str::to_owned);
            let (epoch, seq) = Accepted { id: order(body)?, receipt, expires_at: None }.place()?;
            Some(Became::Lost(epoch, seq))
        }
        "not-seen" => Some(Became::NotSeen),
        _ => None,
    })
}

/// Of everything that answers with an order; one that was lost shows no row.
pub fn seen(word: Word) -> Answer<Seen> {
    if matches!(&word, Word::Yes(body) if body["status"] == "lost") {
        return Answer::Refused("unknown-order".to_owned());
    }
    answer(word, |body| {
        let id = order(body)?;
        let name = body["status"].as_str()?;
        if name == "on-its-way" {
            return Some(Seen::on_its_way(id));
        }
        let status = Status::parse(name, body["reason"].as_str())?;
        let version = body["version"].as_u64().map(Version);
        Some(Seen { id, status: Some(NamedStatus(status)), version })
    })
}

/// Of a payment.
pub fn started(word: Word) -> Answer<Started> {
    answer(word, |body| {
        let payment = body["payment_id"].as_str()?;
        Some(Started { payment: PaymentId::parse(payment).ok() })
    })
}
