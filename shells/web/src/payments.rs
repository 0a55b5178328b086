//! Payments: started by the buyer, decided by the provider's signed word.

use crate::api::Shared;
use crate::body::{self, BODY_BYTES_MAX, MaybeJson};
use crate::extract::Names;
use crate::orders::absent;
use crate::problem::{Answer, Problem, Slug};
use crate::reserve::key_of;
use crate::token::{Caller, Role};
use axum::Json;
use axum::extract::{Request, State};
use axum::response::IntoResponse;
use data_encoding::HEXLOWER;
use doorbuster_core::database::command::{Command, Reply};
use doorbuster_core::database::rows::{PaymentRow, PaymentStatus};
use doorbuster_core::database::tables::Reads;
use doorbuster_core::ids::{OrderId, PaymentId};
use doorbuster_core::outcome::Outcome;
use doorbuster_core::payment::command::{PaymentCommand, Verdict};
use doorbuster_core::time::Wall;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

/// The header of a webhook's signature: `t=<Unix seconds>,v1=<hex>`.
pub const SIGNATURE: &str = "webhook-signature";
/// A webhook may be this old, or this far ahead: as much as clocks and retries differ; older ones may be replays.
const TOLERANCE_S: u64 = 300;

/// How the simulated provider is to behave.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Simulate {
    /// Takes the money.
    Succeed,
    /// Does not.
    Decline,
    /// Takes it after the pay window.
    Late,
    /// Says so twice.
    Duplicate,
    /// Says so under a wrong signature.
    Forged,
}

impl Simulate {
    /// The word of the wire.
    pub fn name(self) -> &'static str {
        match self {
            Simulate::Succeed => "succeed",
            Simulate::Decline => "decline",
            Simulate::Late => "late",
            Simulate::Duplicate => "duplicate",
            Simulate::Forged => "forged",
        }
    }
}

/// The body of a payment.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Payment {
    simulate: Option<Simulate>,
    /// Which attempt, where the caller sends no key: a declined payment is tried again under the next number.
    #[serde(default)]
    attempt: u32,
}

/// `POST /v1/orders/{order}/payments`
pub async fn start(
    State(api): State<Shared>,
    caller: Caller,
    names: Names,
    headers: HeaderMap,
    MaybeJson(wish): MaybeJson<Payment>,
) -> Answer {
    let order = names.order()?;
    if wish.simulate.is_some() && !api.settings.dev {
        return Err(Slug::InvalidValue.because("simulate is for development only."));
    }
    let attempt = key_of(&headers)?.map_or_else(|| wish.attempt.to_string(), |key| key.to_string());
    let payment = payment_id(order, &attempt);
    let command = PaymentCommand::Start { payment, order, user: caller.user.clone() };
    let row = match api.ports.store.apply(Command::Payment(command)).await {
        Outcome::Done(Reply::Payment(row)) => row,
        Outcome::Done(other) => unreachable!("a payment answers with its row, not with {other:?}"),
        Outcome::Refused(refusal) => return Err(absent(&api, &caller, order, refusal).await),
        // Started or not: the same key starts the same payment.
        Outcome::Unknown => return Err(Slug::OutcomeUnknown.into()),
    };
    if row.status == PaymentStatus::Started {
        charge(&api, &row, wish.simulate).await?;
    }
    let answer = json!({"payment_id": row.id, "status": row.status, "amount_minor": row.amount_minor});
    Ok((StatusCode::ACCEPTED, Json(answer)).into_response())
}

/// `GET /v1/payments/{payment}`
pub async fn read(State(api): State<Shared>, caller: Caller, names: Names) -> Answer {
    let payment = PaymentId::parse(names.text("payment")).map_err(|_| Slug::UnknownPayment)?;
    let rows = api.read(Reads { payments: [payment].into(), ..Reads::default() }).await?;
    let row = rows.payments.get(&payment).filter(|row| row.user == caller.user || caller.role == Role::Admin);
    let PaymentRow { id, order, status, amount_minor, .. } = row.ok_or(Slug::UnknownPayment)?;
    let answer = json!({"payment_id": id, "status": status, "order": order, "amount_minor": amount_minor});
    Ok(Json(answer).into_response())
}

async fn charge(api: &Shared, row: &PaymentRow, simulate: Option<Simulate>) -> Result<(), Problem> {
    let currency = api.sale(row.order.shard.sale).await?.row.currency;
    let instruction = simulate.map(|simulate| simulate.name().to_owned());
    match api.ports.provider.charge(row, currency, instruction).await {
        Outcome::Done(()) => Ok(()),
        Outcome::Refused(unavailable) => Err(unavailable.into()),
        // Asked or not: the provider knows the payment's id, so the same key asks for the same money.
        Outcome::Unknown => Err(Slug::OutcomeUnknown.into()),
    }
}

/// Derived, so that a repeated start names the same payment.
fn payment_id(order: OrderId, attempt: &str) -> PaymentId {
    let digest = Sha256::new().chain_update(order.to_string()).chain_update([0]).chain_update(attempt).finalize();
    PaymentId::parse(&format!("pay-{}", HEXLOWER.encode(&digest[..16]))).expect("hexadecimal digits")
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Word {
    Succeeded,
    Declined,
    Refunded,
}

#[derive(Deserialize)]
struct Notice {
    payment_id: PaymentId,
    verdict: Word,
}

/// `POST /v1/webhooks/payments/{provider}`
pub async fn webhook(State(api): State<Shared>, names: Names, request: Request) -> Answer {
    if names.text("provider") != "simulated" {
        return Err(Slug::NotFound.into());
    }
    let headers = request.headers().clone();
    let body = body::read(request.into_body(), BODY_BYTES_MAX).await?;
    let signature = headers.get(SIGNATURE).and_then(|value| value.to_str().ok()).ok_or(Slug::BadSignature)?;
    verify(&api.webhooks, api.now().wall, signature, &body).ok_or(Slug::BadSignature)?;
    let notice: Notice = body::parse(&body)?;
    let payment = notice.payment_id;
    let command = match notice.verdict {
        Word::Succeeded => PaymentCommand::Settle { payment, verdict: Verdict::Succeeded },
        Word::Declined => PaymentCommand::Settle { payment, verdict: Verdict::Declined },
        Word::Refunded => PaymentCommand::Refunded { payment },
    };
    match api.apply(Command::Payment(command)).await? {
        Reply::Payment(row) => Ok(Json(json!({"payment_id": row.id, "status": row.status})).into_response()),
        other => unreachable!("a payment answers with its row, not with {other:?}"),
    }
}

/// The signature of a webhook: HMAC-SHA-256 over `<Unix seconds>.<body>`.
pub fn sign(secret: &[u8], at: Wall, body: &[u8]) -> String {
    let seconds = at.0 / 1000;
    let tag = mac(secret, seconds, body).finalize().into_bytes();
    format!("t={seconds},v1={}", HEXLOWER.encode(&tag))
}

fn mac(secret: &[u8], seconds: u64, body: &[u8]) -> Hmac<Sha256> {
    let mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of every length");
    mac.chain_update(seconds.to_string()).chain_update(b".").chain_update(body)
}

fn verify(secret: &[u8], now: Wall, signature: &str, body: &[u8]) -> Option<()> {
    let (time, tag) = signature.split_once(',')?;
    let seconds: u64 = time.strip_prefix("t=")?.parse().ok()?;
    let tag = HEXLOWER.decode(tag.strip_prefix("v1=")?.as_bytes()).ok()?;
    let in_time = (now.0 / 1000).abs_diff(seconds) <= TOLERANCE_S;
    mac(secret, seconds, body).verify_slice(&tag).ok().filter(|()| in_time)
}
