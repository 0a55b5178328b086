//! What buyers do after the click: pay, cancel, ask, look up, abandon, click again. Each errand is carried to an answer
//! or to the bound; it is never given up at an Unknown, because all of them are idempotent.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::mpsc;

use crate::connection::Link;
use crate::generator::{
    RETRY_AFTER_DEFAULT, RETRY_AFTER_MAX, UNKNOWN_PAUSE_MAX, UNKNOWN_PAUSE_MIN, WAITS_MAX, lock, slug,
};
use crate::history::{Command, Line};
use crate::recorder::microseconds;
use crate::request::Requests;

/// An order command is told `not-yet` while its intent is on its way; it is asked again after this at least.
const NOT_YET_PAUSE: Duration = Duration::from_millis(50);

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Reads the order.
    Read,
    /// Starts a payment that the simulated provider lets succeed.
    Pay,
    /// Cancels the unpaid order.
    Cancel,
    /// Asks what became of a key.
    LookUp,
    /// Makes it certain that a key has no reservation.
    Abandon,
    /// Clicks: the first time for this key, or a double click.
    Click,
    /// Clicks with another basket under a used key.
    ReuseKey,
}

impl Kind {
    /// The command's name in the history.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Pay => "pay",
            Self::Cancel => "cancel",
            Self::LookUp => "look-up",
            Self::Abandon => "abandon",
            Self::Click => "click",
            Self::ReuseKey => "reuse-key",
        }
    }
}

/// One errand of one user.
#[derive(Clone, Debug)]
pub struct Errand {
    /// What is done.
    pub kind: Kind,
    /// The sale.
    pub sale: Arc<str>,
    /// Number of the user.
    pub user: u32,
    /// The idempotency key of the reservation.
    pub key: String,
    /// The order, or nothing where none is known.
    pub order: String,
    /// The platform's receipt, or nothing where none is known.
    pub receipt: String,
    /// The basket of a click.
    pub lines: Arc<[Line]>,
}

/// An errand with its last answer.
#[derive(Clone, Debug)]
pub struct Done {
    /// The errand.
    pub errand: Errand,
    /// HTTP status; `None` when it remained Unknown.
    pub status: Option<u16>,
    /// The problem's slug of a refusal, else empty.
    pub slug: String,
    /// The answer's body, `Null` when it is no JSON.
    pub body: Value,
    /// The records for the history: an Unknown for each request without an answer, then the last answer.
    pub commands: Vec<Command>,
}

impl Done {
    /// A text member of the answer.
    #[must_use]
    pub fn told(&self, name: &str) -> &str {
        self.body.get(name).and_then(Value::as_str).unwrap_or_default()
    }
}

/// Runs errands against one platform until a deadline.
#[derive(Clone)]
pub struct Runner {
    /// Who builds the requests.
    pub requests: Arc<Requests>,
    /// A request is Unknown after this long.
    pub timeout: Duration,
    /// Nothing is sent after this.
    pub deadline: Instant,
    /// Zero of the history's times.
    pub origin: Instant,
    /// Errands in flight.
    pub connections: u16,
}

impl Runner {
    /// Does all errands, several at a time; the answers come in no order.
    pub async fn run(&self, errands: Vec<Errand>) -> Vec<Done> {
        let errands = Arc::new(errands);
        let next = Arc::new(AtomicUsize::new(0));
        let workers = usize::from(self.connections).min(errands.len());
        let tasks: Vec<_> = (0..workers)
            .map(|_| {
                let (runner, errands, next) = (self.clone(), errands.clone(), next.clone());
                tokio::spawn(async move {
                    let mut link = Link::new(runner.requests.address());
                    let mut done = Vec::new();
                    while let Some(errand) = errands.get(next.fetch_add(1, Ordering::Relaxed)) {
                        done.push(runner.perform(&mut link, errand.clone()).await);
                    }
                    done
                })
            })
            .collect();
        let mut all = Vec::with_capacity(errands.len());
        for task in tasks {
            all.extend(task.await.expect("an errand does not panic"));
        }
        all
    }

    /// Does errands as they come, until their sender is dropped.
    pub async fn serve(&self, errands: mpsc::Receiver<Errand>) -> Vec<Done> {
        let errands = Arc::new(tokio::sync::Mutex::new(errands));
        let done = Arc::new(Mutex::new(Vec::new()));
        let tasks: Vec<_> = (0..self.connections)
            .map(|_| {
                let (runner, errands, done) = (self.clone(), errands.clone(), done.clone());
                tokio::spawn(async move {
                    let mut link = Link::new(runner.requests.address());
                    loop {
                        let next = errands.lock().await.recv().await;
                        let Some(errand) = next else { return };
                        let answered = runner.perform(&mut link, errand).await;
                        lock(&done).push(answered);
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("an errand does not panic");
        }
        std::mem::take(&mut *lock(&done))
    }

    async fn perform(&self, link: &mut Link, errand: Errand) -> Done {
        let mut request = Vec::with_capacity(1024);
        self.build(&mut request, &errand);
        let sent_at = Instant::now();
        let mut waits = 0;
        let mut unknowns: u32 = 0;
        let mut answer = (None, Vec::new());
        let mut commands = Vec::new();
        while link.ready(self.deadline).await {
            let give_up = (Instant::now() + self.timeout).min(self.deadline);
            let pause = match link.exchange(&request, give_up).await {
                Ok(reply) if matches!(reply.status, 429 | 503) && waits < WAITS_MAX => {
                    waits += 1;
                    reply.retry_after_seconds.map_or(RETRY_AFTER_DEFAULT, Duration::from_secs).min(RETRY_AFTER_MAX)
                }
                Ok(reply) if reply.status == 409 && slug(reply.body) == "not-yet" => reply
                    .retry_after_seconds
                    .map_or(NOT_YET_PAUSE, Duration::from_secs)
                    .clamp(NOT_YET_PAUSE, RETRY_AFTER_MAX),
                // A 5xx promises nothing; WAITS_MAX of them are an answer for the verdict to judge.
                Ok(reply) if reply.status < 500 || unknowns >= u32::from(WAITS_MAX) => {
                    answer = (Some(reply.status), reply.body.to_vec());
                    break;
                }
                Ok(_) | Err(_) => {
                    unknowns = unknowns.saturating_add(1);
                    commands.push(self.command(&errand, sent_at, None, Value::Null));
                    (UNKNOWN_PAUSE_MIN * (1 << unknowns.min(5))).min(UNKNOWN_PAUSE_MAX)
                }
            };
            if Instant::now() + pause >= self.deadline {
                break;
            }
            tokio::time::sleep(pause).await;
        }
        let (status, body) = answer;
        let slug = if status.is_some_and(|status| status >= 400) { slug(&body) } else { String::new() };
        let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        if status.is_some() || commands.is_empty() {
            commands.push(self.command(&errand, sent_at, status, body.clone()));
        }
        Done { errand, status, slug, body, commands }
    }

    fn build(&self, out: &mut Vec<u8>, errand: &Errand) {
        let Errand { sale, order, key, .. } = errand;
        let user = &self.requests.user(errand.user);
        match errand.kind {
            Kind::Read => self.requests.other(out, "GET", &format!("/v1/orders/{order}"), user, None, ""),
            Kind::Pay => {
                let path = format!("/v1/orders/{order}/payments");
                self.requests.other(
                    out,
                    "POST",
                    &path,
                    user,
                    Some(("Idempotency-Key", &format!("pay-{key}"))),
                    r#"{"simulate":"succeed"}"#,
                );
            }
            Kind::Cancel => self.requests.other(out, "DELETE", &format!("/v1/orders/{order}"), user, None, ""),
            Kind::LookUp => {
                let receipt = Some(("Receipt", errand.receipt.as_str())).filter(|(_, receipt)| !receipt.is_empty());
                self.requests.other(out, "GET", &format!("/v1/sales/{sale}/reservations/{key}"), user, receipt, "");
            }
            Kind::Abandon => {
                self.requests.other(
                    out,
                    "POST",
                    &format!("/v1/sales/{sale}/reservations/{key}/abandon"),
                    user,
                    None,
                    "",
                );
            }
            Kind::Click | Kind::ReuseKey => self.requests.reserve(out, sale, user, key, &errand.lines),
        }
    }

    fn command(&self, errand: &Errand, sent_at: Instant, status: Option<u16>, answer: Value) -> Command {
        Command {
            sale: errand.sale.clone(),
            user: self.requests.user(errand.user),
            name: errand.kind.name(),
            order: errand.order.clone(),
            key: errand.key.clone(),
            lines: errand.lines.clone(),
            sent_at_us: microseconds(sent_at.saturating_duration_since(self.origin)),
            answered_at_us: microseconds(self.origin.elapsed()),
            status,
            answer,
        }
    }
}
