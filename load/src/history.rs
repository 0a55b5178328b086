//! What the clients asked and what they were told: the first of the oracle's inputs.

use std::sync::Arc;

use serde::Serialize;

/// One line of a basket.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, serde::Deserialize)]
pub struct Line {
    /// The SKU's name within the sale.
    pub sku: String,
    /// Units asked for.
    pub quantity: u32,
}

/// What one request was answered. `Unknown` is neither success nor failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Answer {
    /// 202: the platform has promised this reservation.
    Accepted {
        /// Id of the reservation, and of its order.
        id: String,
        /// Proof for the platform that it promised.
        receipt: String,
        /// End of the pay window, RFC 3339.
        expires_at: String,
    },
    /// A documented refusal: nothing was reserved by this request.
    Refused {
        /// HTTP status.
        status: u16,
        /// Last part of the problem's type.
        slug: String,
    },
    /// 429 or 503: nothing was reserved by this request; it may be sent again.
    Unavailable {
        /// HTTP status.
        status: u16,
        /// Last part of the problem's type.
        slug: String,
        /// What the server asked for, in seconds.
        retry_after_seconds: Option<u64>,
    },
    /// No answer, or one that says nothing: the reservation may or may not exist.
    Unknown {
        /// What happened instead.
        reason: String,
    },
}

/// One request for a reservation. Times are microseconds since the run began.
#[derive(Clone, Debug, Serialize)]
pub struct Attempt {
    /// The sale.
    pub sale: Arc<str>,
    /// Who asked.
    pub user: String,
    /// The idempotency key.
    pub key: String,
    /// The basket.
    pub lines: Arc<[Line]>,
    /// When the request was written.
    pub sent_at_us: u64,
    /// When the answer was read, or the request was given up.
    pub answered_at_us: u64,
    /// The answer.
    pub answer: Answer,
}

/// One command about an order or a key after its reservation: payment, cancellation, look-up, abandonment, and the
/// repeated clicks that must be answered as the first one was.
#[derive(Clone, Debug, Serialize)]
pub struct Command {
    /// The sale.
    pub sale: Arc<str>,
    /// Who asked.
    pub user: String,
    /// What was asked.
    pub name: &'static str,
    /// The order, where one is known.
    pub order: String,
    /// The idempotency key of the reservation.
    pub key: String,
    /// The basket: of the click, or of the reservation that this is about.
    pub lines: Arc<[Line]>,
    /// Microseconds since the run began.
    pub sent_at_us: u64,
    /// Microseconds since the run began.
    pub answered_at_us: u64,
    /// HTTP status; `None` when there was no answer.
    pub status: Option<u16>,
    /// The answer's body; `Null` when there was none.
    pub answer: serde_json::Value,
}

impl Command {
    /// A text member of the answer, or nothing.
    #[must_use]
    pub fn told(&self, name: &str) -> &str {
        self.answer.get(name).and_then(serde_json::Value::as_str).unwrap_or_default()
    }

    /// The last part of a problem's type.
    #[must_use]
    pub fn slug(&self) -> &str {
        self.told("type").rsplit('/').next().unwrap_or_default()
    }
}

/// All that the clients of one run know.
#[derive(Clone, Debug, Default, Serialize)]
pub struct History {
    /// When the run began, in milliseconds since 1970: zero of the times below.
    pub origin_unix_ms: u64,
    /// Every request for a reservation, in the order of the answers.
    pub attempts: Vec<Attempt>,
    /// Every later command.
    pub commands: Vec<Command>,
}
