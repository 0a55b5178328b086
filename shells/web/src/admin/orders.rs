//! What an operator may do to an order.

use crate::api::{Api, Shared};
use crate::body::Json as In;
use crate::extract::{Admin, Names};
use crate::orders::row_json;
use crate::problem::{Answer, Problem, Slug};
use crate::stamp;
use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use doorbuster_core::database::command::{Command, Refusal, Reply};
use doorbuster_core::ids::OrderId;
use doorbuster_core::order::command::OrderCommand;
use doorbuster_core::order::status::{Ending, Restock};
use doorbuster_core::outcome::Outcome;
use doorbuster_core::time::Wall;
use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

/// The body of a refund.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refund {
    restock: bool,
}

/// `POST /admin/v1/orders/{order}/refund`
pub async fn refund(State(api): State<Shared>, _: Admin, names: Names, In(refund): In<Refund>) -> Answer {
    let order = names.order()?;
    let restock = if refund.restock { Restock::Yes } else { Restock::No };
    let row = change(&api, order, OrderCommand::Refund { order, restock }).await?;
    Ok((StatusCode::ACCEPTED, Json(row)).into_response())
}

/// `POST /admin/v1/orders/{order}/cancel`
pub async fn cancel(State(api): State<Shared>, _: Admin, names: Names) -> Answer {
    let order = names.order()?;
    let command = OrderCommand::Cancel { order, user: None, ending: Ending::Operator };
    Ok(Json(change(&api, order, command).await?).into_response())
}

/// The body of an extension.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extension {
    #[serde(deserialize_with = "stamp::deserialize")]
    expires_at: Wall,
}

/// `POST /admin/v1/orders/{order}/extend`
pub async fn extend(State(api): State<Shared>, _: Admin, names: Names, In(extension): In<Extension>) -> Answer {
    let order = names.order()?;
    let command = OrderCommand::Extend { order, expires_at: extension.expires_at };
    Ok(Json(change(&api, order, command).await?).into_response())
}

async fn change(api: &Api, order: OrderId, command: OrderCommand) -> Result<Value, Problem> {
    // Of a sale that does not exist no order can be on its way.
    api.sale(order.shard.sale)
        .await
        .map_err(|problem| if problem.slug == Slug::UnknownSale { Slug::UnknownOrder.into() } else { problem })?;
    match api.ports.store.apply(Command::Order(command)).await {
        Outcome::Done(Reply::Order(row)) => row_json(api, &row).await,
        Outcome::Done(other) => unreachable!("an order's change answers with its row, not with {other:?}"),
        Outcome::Refused(Refusal::NoSale) => Err(Slug::UnknownOrder.into()),
        Outcome::Refused(refusal) => Err(refusal.into()),
        Outcome::Unknown => Err(Slug::OutcomeUnknown.into()),
    }
}
