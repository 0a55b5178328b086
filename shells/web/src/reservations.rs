//! A key after its click: what became of it, and giving it up for certain.

use crate::api::Shared;
use crate::extract::Names;
use crate::fate::Fate;
use crate::orders::row_json;
use crate::problem::{Answer, Problem, Slug};
use crate::reserve::order_of;
use crate::token::Caller;
use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use doorbuster_core::database::command::{Command, Reply};
use doorbuster_core::database::rows::OrderRow;
use doorbuster_core::ids::{Epoch, OrderId, Seq};
use doorbuster_core::order::command::OrderCommand;
use http::HeaderMap;
use serde_json::{Value, json};

/// The header that proves an acceptance.
pub const RECEIPT: &str = "receipt";

/// `GET /v1/sales/{sale}/reservations/{key}`
pub async fn look_up(State(api): State<Shared>, caller: Caller, names: Names, headers: HeaderMap) -> Answer {
    let key = names.key()?;
    let known = api.sale(names.sale()?).await?;
    let (_, order) = order_of(&known, &caller.user, &key);
    let fate = match headers.get(RECEIPT) {
        Some(value) => {
            let text = value.to_str().map_err(|_| Slug::BadReceipt)?;
            let receipt = api.receipts.verify(order, text).map_err(|_| Slug::BadReceipt)?;
            api.fate_of(order, receipt.epoch, receipt.seq).await?
        }
        None => api.fate(&caller.user, order).await?.0,
    };
    Ok(Json(fate_json(&api, order, fate).await?).into_response())
}

async fn fate_json(api: &Shared, order: OrderId, fate: Fate) -> Result<Value, Problem> {
    let receipt = |epoch: Epoch, seq: Seq| api.receipts.sign(order, epoch, seq).to_string();
    Ok(match fate {
        Fate::Decided(row) => decided(api, row).await?,
        Fate::OnItsWay(epoch, seq) => {
            json!({"outcome": "accepted", "status": "on-its-way", "id": order, "receipt": receipt(epoch, seq)})
        }
        Fate::Lost(epoch, seq) => {
            json!({"outcome": "lost", "status": "lost", "id": order, "receipt": receipt(epoch, seq)})
        }
        Fate::NotSeen => json!({"outcome": "not-seen", "id": order}),
    })
}

async fn decided(api: &Shared, row: OrderRow) -> Result<Value, Problem> {
    let acceptance = row.origin.as_ref().map(|origin| origin.acceptance);
    let mut told = row_json(api, &row).await?;
    told["outcome"] = if acceptance.is_some() { "accepted".into() } else { "abandoned".into() };
    if let Some(acceptance) = acceptance {
        told["receipt"] = api.receipts.sign(row.id, acceptance.epoch, acceptance.seq).to_string().into();
    }
    Ok(told)
}

/// `POST /v1/sales/{sale}/reservations/{key}/abandon`
pub async fn abandon(State(api): State<Shared>, caller: Caller, names: Names) -> Answer {
    let key = names.key()?;
    let known = api.sale(names.sale()?).await?;
    let (_, order) = order_of(&known, &caller.user, &key);
    let command = Command::Order(OrderCommand::Abandon { order, user: caller.user });
    match api.apply(command).await? {
        Reply::Order(row) => Ok(Json(decided(&api, row).await?).into_response()),
        other => unreachable!("an abandonment answers with its order, not with {other:?}"),
    }
}
