//! Orders as their buyers see them.

use crate::api::{Api, Shared};
use crate::extract::Names;
use crate::fate::Fate;
use crate::problem::{Answer, Problem, Slug};
use crate::reply::{Pieces, stream};
use crate::stamp;
use crate::token::{Caller, Role};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use doorbuster_core::database::command::{Command, Refusal, Reply};
use doorbuster_core::database::rows::OrderRow;
use doorbuster_core::database::tables::Reads;
use doorbuster_core::ids::{OrderId, Version};
use doorbuster_core::ledger::page::Record;
use doorbuster_core::order::command::OrderCommand;
use doorbuster_core::order::status::{Ending, Status};
use doorbuster_core::outcome::Outcome;
use doorbuster_runtime::drive::spawn;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use serde_json::{Value, json};
use std::time::Duration;

/// How often an order that somebody watches is read: a person sees no difference to at once.
const WATCH_PERIOD: Duration = Duration::from_millis(250);
/// Reads of one watch, a quarter of an hour; then the browser connects again by itself.
const WATCH_READS_MAX: u32 = 3600;
/// Reads without news after which a comment is sent, so that proxies and this server notice a watcher who left.
const SILENCE_READS_MAX: u32 = 40;

/// An order's row as JSON.
pub async fn row_json(api: &Api, row: &OrderRow) -> Result<Value, Problem> {
    let sale = api.sale(row.id.shard.sale).await?;
    let lines = row.origin.as_ref().map_or(&[][..], |origin| origin.basket.lines());
    Ok(json!({
        "id": row.id,
        "sale": row.id.shard.sale,
        "status": row.status.name(),
        "reason": row.status.reason(),
        "lines": lines,
        "amount_minor": row.amount_minor,
        "currency": sale.row.currency,
        "expires_at": stamp::text(row.expires_at),
        "created_at": stamp::text(row.created_at),
        "payment_id": row.payment,
        "version": row.version,
    }))
}

/// An accepted reservation without a row, as JSON.
async fn record_json(api: &Api, id: OrderId, record: &Record, status: &'static str) -> Result<Value, Problem> {
    let sale = api.sale(id.shard.sale).await?;
    Ok(json!({
        "id": id,
        "sale": id.shard.sale,
        "status": status,
        "lines": record.basket,
        "currency": sale.row.currency,
        "expires_at": stamp::text(record.acceptance.reserved_at.after_ms(sale.row.hold_ms)),
    }))
}

/// What the caller may see of an order.
async fn view(api: &Api, caller: &Caller, id: OrderId) -> Result<(Value, Option<OrderRow>), Problem> {
    let (fate, record) = api.fate(&caller.user, id).await?;
    match (fate, record) {
        (Fate::Decided(row), _) if row.user == caller.user || caller.role == Role::Admin => {
            Ok((row_json(api, &row).await?, Some(row)))
        }
        (Fate::OnItsWay(..), Some(record)) => Ok((record_json(api, id, &record, "on-its-way").await?, None)),
        (Fate::Lost(..), Some(record)) => Ok((record_json(api, id, &record, "lost").await?, None)),
        (Fate::Decided(_) | Fate::OnItsWay(..) | Fate::Lost(..) | Fate::NotSeen, _) => Err(Slug::UnknownOrder.into()),
    }
}

/// `GET /v1/orders/{order}`
pub async fn read(State(api): State<Shared>, caller: Caller, names: Names) -> Answer {
    Ok(Json(view(&api, &caller, names.order()?).await?.0).into_response())
}

/// `DELETE /v1/orders/{order}`
pub async fn cancel(State(api): State<Shared>, caller: Caller, names: Names) -> Answer {
    let order = names.order()?;
    let user = Some(caller.user.clone());
    let command = Command::Order(OrderCommand::Cancel { order, user, ending: Ending::Buyer });
    match api.ports.store.apply(command).await {
        Outcome::Done(Reply::Order(row)) => Ok(Json(row_json(&api, &row).await?).into_response()),
        Outcome::Done(other) => unreachable!("a cancel answers with its order, not with {other:?}"),
        // A repeated cancel whose first answer was lost finds its own work.
        Outcome::Refused(Refusal::Forbidden(edge)) if edge.from == Status::Cancelled(Ending::Buyer) => {
            Ok(Json(view(&api, &caller, order).await?.0).into_response())
        }
        Outcome::Refused(refusal) => Err(absent(&api, &caller, order, refusal).await),
        Outcome::Unknown => Err(Slug::OutcomeUnknown.into()),
    }
}

/// Rule 9 cannot tell an order on its way from one that nobody made; the caller's page can.
pub async fn absent(api: &Api, caller: &Caller, order: OrderId, refusal: Refusal) -> Problem {
    if refusal != Refusal::NotYet {
        return refusal.into();
    }
    match api.fate(&caller.user, order).await {
        Ok((Fate::NotSeen, _)) => Slug::UnknownOrder.into(),
        Ok((Fate::Lost(..), _)) => Slug::UnknownOrder.because("The reservation was lost before it became an order."),
        Ok((Fate::Decided(_) | Fate::OnItsWay(..), _)) => Slug::NotYet.into(),
        Err(problem) => problem,
    }
}

/// `GET /v1/orders/{order}/events`
pub async fn events(State(api): State<Shared>, caller: Caller, names: Names) -> Answer {
    let order = names.order()?;
    let (first, row) = view(&api, &caller, order).await?;
    let (pieces, body) = stream();
    spawn(watch(api, order, first, row, pieces));
    Ok(event_stream(Body::new(body)))
}

/// The head of a stream of server-sent events (HTML Living Standard, section 9.2).
pub fn event_stream(body: Body) -> Response {
    ([(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-store")], body).into_response()
}

async fn watch(api: Shared, order: OrderId, first: Value, row: Option<OrderRow>, pieces: Pieces) {
    let mut closing = api.closing.subscribe();
    let mut seen = row.as_ref().map_or(Version(0), |row| row.version);
    let mut silent = 0;
    let mut ended = row.is_some_and(|row| row.status.is_terminal());
    let mut sent = pieces.send(Some(event("order", &first))).await;
    for _ in 0..WATCH_READS_MAX {
        if ended || sent.is_err() {
            return;
        }
        tokio::select! {
            _ = closing.wait_for(|closing| *closing) => return,
            () = tokio::time::sleep(WATCH_PERIOD) => {}
        }
        let Ok(mut rows) = api.read(Reads { orders: [order].into(), ..Reads::default() }).await else { return };
        silent += 1;
        match rows.orders.remove(&order) {
            Some(row) if row.version > seen => {
                let Ok(json) = row_json(&api, &row).await else { return };
                sent = pieces.send(Some(event("order", &json))).await;
                (seen, ended, silent) = (row.version, row.status.is_terminal(), 0);
            }
            Some(_) | None if silent >= SILENCE_READS_MAX => {
                silent = 0;
                sent = pieces.send(Some(bytes::Bytes::from_static(b": waiting\n\n"))).await;
            }
            Some(_) | None => {}
        }
    }
}

/// One server-sent event.
pub fn event(name: &str, data: &Value) -> bytes::Bytes {
    bytes::Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
}
