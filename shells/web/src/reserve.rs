//! The hot route: `POST /v1/sales/{sale}/reservations`, answered without the router.

use crate::api::Api;
use crate::body::{self, BODY_BYTES_MAX};
use crate::directory::{Known, unknown_sku};
use crate::problem::{Problem, Slug};
use crate::reply::{Reply, whole};
use crate::stamp;
use crate::token::Caller;
use bytes::Bytes;
use doorbuster_core::database::rows::{Phase, SaleState, ShardRow};
use doorbuster_core::database::tables::Reads;
use doorbuster_core::ids::{Epoch, Key, OrderId, SaleId, ShardId, UserId};
use doorbuster_core::ledger::basket::{Basket, BasketError, Line};
use doorbuster_core::ledger::page::Acceptance;
use doorbuster_core::ledger::reserve::{ReserveItem, ReserveRefusal};
use doorbuster_core::order::fate::Fate;
use doorbuster_core::outcome::Outcome;
use doorbuster_core::time::Wall;
use doorbuster_runtime::ports::admit::Admission;
use doorbuster_runtime::telemetry::Metric;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION};
use http::{HeaderMap, Request, Response, StatusCode};
use hyper::body::Body;
use serde::Deserialize;
use std::fmt::Write;
use std::sync::Arc;

/// The header of the idempotency key.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    lines: Vec<Line>,
}

/// The sale of a path of this route; a path that is spelled in another way goes through the router.
pub fn sale_of(path: &str) -> Option<SaleId> {
    SaleId::parse(path.strip_prefix("/v1/sales/")?.strip_suffix("/reservations")?).ok()
}

/// A click, once it is understood: small, because it is held while others are asked.
struct Click {
    known: Arc<Known>,
    order: OrderId,
    item: ReserveItem,
}

/// Answers one click. The request is lent, and what few clicks need is boxed: see the server.
pub async fn answer<B>(api: &Api, sale: Option<SaleId>, request: &mut Request<B>) -> Reply
where
    B: Body<Data = Bytes> + Unpin,
{
    match click(api, sale, request).await {
        Ok(reply) => reply,
        Err(problem) => problem.reply(),
    }
}

/// The order of the checks is documented: who, how often, under which key, what, where; then the shard decides.
async fn click<B>(api: &Api, sale: Option<SaleId>, request: &mut Request<B>) -> Result<Reply, Problem>
where
    B: Body<Data = Bytes> + Unpin,
{
    let now = api.now();
    let headers = request.headers();
    let user = authenticate(api, headers, now.wall)?.user;
    api.door.admit(&user, now.mono).inspect_err(|_| api.ports.telemetry.add(Metric::RateLimited, 1))?;
    let key = key_of(headers)?.ok_or(Slug::KeyMissing)?;
    body::require_json(headers)?;
    let basket = basket_of(&body::read(request.body_mut(), BODY_BYTES_MAX).await?)?;
    let sale = sale.ok_or(Slug::UnknownSale)?;
    let known = match api.recall(sale, &basket) {
        Some(known) => known,
        None => Box::pin(find(api, sale, &basket)).await?,
    };
    let order = OrderId::derive(known.row.id, known.row.shards, &user, &key);
    let latched = api.door.is_latched(now.mono, order.shard, &basket);
    if latched && !may_be_known(api, order) {
        return Ok(sold_out(api));
    }
    let item = ReserveItem { id: order.reservation, user, body: basket.body_hash(), basket };
    Box::pin(ask(api, Click { known, order, item }, latched)).await
}

fn basket_of(body: &[u8]) -> Result<Basket, Problem> {
    let wish: Wish = body::parse(body)?;
    Ok(Basket::parse(&wish.lines)?)
}

/// The sale and its SKUs, looked for where they are not remembered.
async fn find(api: &Api, sale: SaleId, basket: &Basket) -> Result<Arc<Known>, Problem> {
    let known = api.sale(sale).await?;
    api.check_skus(&known, basket.lines().iter().map(|line| line.sku)).await?;
    Ok(known)
}

/// Lets the shard decide. A click that a latch has refused gets here because its key may be known.
async fn ask(api: &Api, click: Click, latched: bool) -> Result<Reply, Problem> {
    let Click { known, order, item } = click;
    if latched && !is_known(api, order, &item.user).await {
        return Ok(sold_out(api));
    }
    // Closed is for good: what the rows say is said at once, and nobody waits for an epoch that will not open.
    if known.row.state == SaleState::Closed
        && let Some(reply) = decided(api, &known, order, &item).await?
    {
        return Ok(reply);
    }
    api.door.remember(order.reservation);
    let admission = api.ports.admit.reserve(order.shard, item.clone()).await;
    settle(api, &known, order, item, admission).await
}

async fn settle(
    api: &Api,
    known: &Known,
    order: OrderId,
    item: ReserveItem,
    admission: Admission,
) -> Result<Reply, Problem> {
    let telemetry = &api.ports.telemetry;
    if !matches!(admission, Admission::Refused(ReserveRefusal::SoldOut(_))) {
        api.door.unlatch(order.shard, &item.basket);
    }
    match admission {
        Admission::Accepted(acceptance) => {
            telemetry.add(Metric::Accepted, 1);
            Ok(accepted(api, known, order, acceptance))
        }
        Admission::Replayed(acceptance) => {
            telemetry.add(Metric::Replayed, 1);
            Ok(accepted(api, known, order, acceptance))
        }
        Admission::Refused(ReserveRefusal::NotReady) | Admission::NotReady => {
            telemetry.add(Metric::Unavailable, 1);
            not_ready(api, known, order, item).await
        }
        Admission::Refused(refusal) => {
            telemetry.add(Metric::Refused, 1);
            api.door.refuse(api.now().mono, order, refusal, &item.basket);
            Ok(refused(refusal))
        }
        Admission::Overloaded => {
            telemetry.add(Metric::Unavailable, 1);
            Ok(Slug::Overloaded.reply())
        }
        // Taken or not: the same key asks again and is answered as the first time, so telling the truth is safe.
        Admission::Unknown => {
            telemetry.add(Metric::Unknown, 1);
            Ok(Slug::OutcomeUnknown.reply())
        }
    }
}

/// The 202. It is made of what the shard remembers and of what is fixed, so a replay has the same bytes.
fn accepted(api: &Api, known: &Known, order: OrderId, acceptance: Acceptance) -> Reply {
    let receipt = api.receipts.sign(order, acceptance.epoch, acceptance.seq);
    let mut location = String::with_capacity(96);
    write!(location, "/v1/orders/{order}").expect("a String takes every write");
    let mut body = String::with_capacity(256);
    body.push_str(r#"{"id":""#);
    body.push_str(&location["/v1/orders/".len()..]);
    body.push_str(r#"","status":"held","expires_at":""#);
    stamp::write(&mut body, acceptance.reserved_at.after_ms(known.row.hold_ms));
    write!(body, r#"","receipt":"{receipt}"}}"#).expect("a String takes every write");
    let mut response = Response::new(whole(Bytes::from(body)));
    *response.status_mut() = StatusCode::ACCEPTED;
    let location = HeaderValue::try_from(location).expect("an order id is printable ASCII");
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(LOCATION, location);
    response
}

fn refused(refusal: ReserveRefusal) -> Reply {
    match refusal {
        ReserveRefusal::KeyReused => Slug::KeyReused.reply(),
        ReserveRefusal::NotReady => Slug::NotReady.reply(),
        ReserveRefusal::Stopped => Slug::Stopped.reply(),
        ReserveRefusal::NotStarted => Slug::NotStarted.reply(),
        ReserveRefusal::Ended => Slug::Ended.reply(),
        ReserveRefusal::KeysExhausted => Slug::KeysExhausted.reply(),
        ReserveRefusal::LimitReached => Slug::LimitReached.reply(),
        ReserveRefusal::UnknownSku(sku) => unknown_sku(sku).reply(),
        ReserveRefusal::SoldOut(_) => Slug::SoldOut.reply(),
    }
}

fn sold_out(api: &Api) -> Reply {
    api.ports.telemetry.add(Metric::Latched, 1);
    Slug::SoldOut.reply()
}

/// A known key deserves its first 202, also after the sell-out: whether this process has sent it, or the shard may
/// remember it.
fn may_be_known(api: &Api, order: OrderId) -> bool {
    api.door.remembers(order.reservation) || api.ports.ledger.may_know(order.shard, order.reservation)
}

/// Whether the shard must be asked in spite of a latch. A page that cannot be read may hold the key.
async fn is_known(api: &Api, order: OrderId, user: &UserId) -> bool {
    if api.door.remembers(order.reservation) {
        return true;
    }
    let page = api.ports.ledger.look_up(order.shard, user.clone(), order.reservation).await;
    !matches!(page, Outcome::Done(None))
}

/// No open epoch. A sale that is not recovering but over, or not yet prepared, says so; and an order row, where the
/// shard has closed for good, still answers for its key.
async fn not_ready(api: &Api, known: &Known, order: OrderId, item: ReserveItem) -> Result<Reply, Problem> {
    let sale = api.learn(known.row.id).await?;
    let wall = api.now().wall;
    match sale.row.state {
        SaleState::Closed => Ok(decided(api, known, order, &item).await?.unwrap_or_else(|| Slug::NotReady.reply())),
        SaleState::Draft => Ok(Slug::NotStarted.reply()),
        // The edge's clock explains; it does not decide: only where nothing was ever open can no key be known.
        SaleState::Open | SaleState::Stopped if wall < sale.row.window.starts_at => {
            let rows = api.read(Reads { shards: [order.shard].into(), ..Reads::default() }).await?;
            let unsold = rows.shards.get(&order.shard).is_some_and(has_never_sold);
            Ok(if unsold { Slug::NotStarted.reply() } else { Slug::NotReady.reply() })
        }
        SaleState::Open | SaleState::Stopped => Ok(Slug::NotReady.reply()),
    }
}

/// What the rows of a closed sale say of a click; nothing while what was accepted may still be on its way to a row.
async fn decided(api: &Api, known: &Known, order: OrderId, item: &ReserveItem) -> Result<Option<Reply>, Problem> {
    let rows = api.read(Fate::reads(order)).await?;
    let phase = rows.shards.get(&order.shard).map(|row| row.phase);
    let all_decided = matches!(phase, Some(Phase::Sealed | Phase::Opening | Phase::Closed));
    Ok(match rows.orders.get(&order).and_then(|row| row.origin.as_ref()) {
        Some(origin) if origin.body == item.body => Some(accepted(api, known, order, origin.acceptance)),
        Some(_) => Some(Slug::KeyReused.reply()),
        None => all_decided.then(|| Slug::Ended.reply()),
    })
}

/// Whether no epoch of the shard has been open yet.
fn has_never_sold(row: &ShardRow) -> bool {
    row.epoch == Epoch(1) && matches!(row.phase, Phase::Sealed | Phase::Opening)
}

/// Who asks.
pub fn authenticate(api: &Api, headers: &HeaderMap, now: Wall) -> Result<Caller, Problem> {
    let value = headers.get(AUTHORIZATION).ok_or(Slug::Unauthenticated)?.as_bytes();
    // RFC 9110 section 11.1: the scheme's name is blind to case.
    let (scheme, token) = value.split_at_checked(7).ok_or(Slug::Unauthenticated)?;
    if !scheme.eq_ignore_ascii_case(b"Bearer ") {
        return Err(Slug::Unauthenticated.into());
    }
    api.tokens.verify(token, now).ok_or_else(|| Slug::Unauthenticated.into())
}

/// The idempotency key, where there is one.
pub fn key_of(headers: &HeaderMap) -> Result<Option<Key>, Problem> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let text = value.to_str().map_err(|_| Slug::KeyInvalid)?;
    parse_key(text).map(Some)
}

/// A key from outside.
pub fn parse_key(text: &str) -> Result<Key, Problem> {
    let key = Key::parse(text).map_err(|error| Slug::KeyInvalid.because(error.to_string()))?;
    if key.is_reserved() { Err(Slug::KeyInvalid.into()) } else { Ok(key) }
}

/// The shard of a buyer in a sale, and the order that a key makes there.
pub fn order_of(known: &Known, user: &UserId, key: &Key) -> (ShardId, OrderId) {
    let order = OrderId::derive(known.row.id, known.row.shards, user, key);
    (order.shard, order)
}

impl From<BasketError> for Problem {
    fn from(error: BasketError) -> Problem {
        let slug = match error {
            BasketError::Empty => Slug::BasketEmpty,
            BasketError::TooManyLines => Slug::TooManyLines,
            BasketError::ZeroQuantity(_) => Slug::QuantityZero,
            BasketError::QuantityTooLarge(_) => Slug::QuantityTooLarge,
            BasketError::RepeatedSku(_) => Slug::RepeatedSku,
        };
        slug.because(error.to_string())
    }
}
