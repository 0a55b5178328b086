//! Sales: created, opened, paused, closed, filled.

use crate::admin::shards::phases;
use crate::api::{Api, Shared};
use crate::body::Json as In;
use crate::extract::{Admin, Names};
use crate::problem::{Answer, Problem, Slug};
use crate::reserve::key_of;
use crate::shop::{sale_json, sku_json};
use crate::stamp;
use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use doorbuster_core::database::command::{Command, Reply};
use doorbuster_core::database::rows::{AckLevel, Currency, SaleState};
use doorbuster_core::database::tables::Reads;
use doorbuster_core::ids::{ProductId, SaleId, SkuId};
use doorbuster_core::ledger::shard::Window;
use doorbuster_core::outcome::Outcome;
use doorbuster_core::sale::command::{NewSale, NewSku, SaleCommand};
use doorbuster_core::time::Wall;
use http::header::LOCATION;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

/// The body of a creation.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Creation {
    sale: SaleId,
    title: Option<String>,
    #[serde(deserialize_with = "stamp::deserialize")]
    starts_at: Wall,
    #[serde(deserialize_with = "stamp::deserialize")]
    ends_at: Wall,
    limit_per_user: u32,
    hold_seconds: u64,
    #[serde(default = "one")]
    shards: u16,
    #[serde(default = "durable")]
    ack: AckLevel,
    currency: Option<Currency>,
    #[serde(default)]
    skus: Vec<Article>,
}

fn one() -> u16 {
    1
}

/// Without a word of the operator, a 202 is a promise that survives the loss of a shard's server.
fn durable() -> AckLevel {
    AckLevel::Log
}

/// One SKU in a body.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Article {
    sku: SkuId,
    product: ProductId,
    name: String,
    price_minor: u64,
    /// The sale's, if it is said again.
    currency: Option<Currency>,
    stock: u64,
}

impl Article {
    fn in_currency(self, currency: Currency) -> Result<NewSku, Problem> {
        let Article { sku, product, name, price_minor, stock, currency: own } = self;
        if own.is_some_and(|own| own != currency) {
            let detail = format!("{sku} is not priced in {}, the sale's currency.", currency.as_str());
            return Err(Slug::InvalidValue.because(detail));
        }
        Ok(NewSku { sku, product, name, price_minor, stock })
    }
}

/// `POST /admin/v1/sales`
pub async fn create(State(api): State<Shared>, _: Admin, In(creation): In<Creation>) -> Answer {
    let named = creation.currency.or_else(|| creation.skus.iter().find_map(|article| article.currency));
    let currency = named.ok_or_else(|| Slug::InvalidValue.because("currency is missing: name the sale's currency."))?;
    let sale = creation.sale;
    let new = NewSale {
        id: sale,
        title: creation.title.unwrap_or_else(|| sale.to_string()),
        window: Window { starts_at: creation.starts_at, ends_at: creation.ends_at },
        limit: creation.limit_per_user,
        hold_ms: creation.hold_seconds.saturating_mul(1000),
        shards: creation.shards,
        ack: creation.ack,
        currency,
    };
    let skus = creation.skus.into_iter().map(|article| article.in_currency(currency)).collect::<Result<Vec<_>, _>>()?;
    api.apply(Command::Sale(SaleCommand::Create(new))).await?;
    api.directory.forget(sale);
    if !skus.is_empty() {
        // A second transaction: the sale is a draft until both are done, and repeating the whole is harmless.
        api.apply(Command::Sale(SaleCommand::AddSkus { sale, skus })).await?;
        api.directory.forget(sale);
    }
    let location = [(LOCATION, format!("/admin/v1/sales/{sale}"))];
    Ok((StatusCode::CREATED, location, Json(sale_state(&api, sale).await?)).into_response())
}

/// `GET /admin/v1/sales/{sale}`
pub async fn read(State(api): State<Shared>, _: Admin, names: Names) -> Answer {
    Ok(Json(sale_state(&api, names.sale()?).await?).into_response())
}

async fn sale_state(api: &Api, sale: SaleId) -> Result<Value, Problem> {
    let known = api.learn(sale).await?;
    let panorama = api.panorama(&known.row, known.skus()).await?;
    let skus: Vec<Value> = panorama.shelves().map(|(row, shelf)| sku_json(&known.row, row, &shelf)).collect();
    let mut json = sale_json(&known.row);
    json["shard_count"] = known.row.shards.into();
    json["shards"] = phases(&panorama).into();
    json["orders"] = json!(panorama.tally.orders);
    json["skus"] = skus.into();
    Ok(json)
}

/// `POST /admin/v1/sales/{sale}/open`
pub async fn open(State(api): State<Shared>, _: Admin, names: Names) -> Answer {
    enter(&api, names.sale()?, SaleState::Open).await
}

/// `POST /admin/v1/sales/{sale}/stop`
pub async fn stop(State(api): State<Shared>, _: Admin, names: Names) -> Answer {
    enter(&api, names.sale()?, SaleState::Stopped).await
}

/// `POST /admin/v1/sales/{sale}/resume`
pub async fn resume(State(api): State<Shared>, _: Admin, names: Names) -> Answer {
    let sale = names.sale()?;
    if api.learn(sale).await?.row.state == SaleState::Draft {
        return Err(Slug::SaleConflict.because("the sale is not open"));
    }
    enter(&api, sale, SaleState::Open).await
}

/// `POST /admin/v1/sales/{sale}/close`
pub async fn close(State(api): State<Shared>, _: Admin, names: Names) -> Answer {
    enter(&api, names.sale()?, SaleState::Closed).await
}

async fn enter(api: &Api, sale: SaleId, state: SaleState) -> Answer {
    let reply = api.apply(Command::Sale(SaleCommand::Enter { sale, state })).await?;
    api.directory.forget(sale);
    match reply {
        Reply::Sale(row) => Ok((StatusCode::ACCEPTED, Json(sale_json(&row))).into_response()),
        other => unreachable!("a sale's state is answered with its row, not with {other:?}"),
    }
}

/// The body of an addition.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Addition {
    skus: Vec<Article>,
}

/// `POST /admin/v1/sales/{sale}/skus`
pub async fn add_skus(State(api): State<Shared>, _: Admin, names: Names, In(addition): In<Addition>) -> Answer {
    let known = api.learn(names.sale()?).await?;
    let currency = known.row.currency;
    let skus = addition.skus.into_iter().map(|article| article.in_currency(currency)).collect::<Result<Vec<_>, _>>()?;
    let added = add(&api, SaleCommand::AddSkus { sale: known.row.id, skus }, known.row.id).await?;
    Ok((StatusCode::CREATED, Json(json!({"added": added}))).into_response())
}

/// Adds SKUs in one transaction, by one of the commands that do; answers how many were new.
pub async fn add(api: &Api, command: SaleCommand, sale: SaleId) -> Result<usize, Problem> {
    let reply = api.apply(Command::Sale(command)).await?;
    api.directory.forget(sale);
    match reply {
        Reply::Count(added) => Ok(added),
        other => unreachable!("added SKUs are counted, not answered with {other:?}"),
    }
}

/// The body of a top-up.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopUp {
    quantity: u64,
}

/// `POST /admin/v1/sales/{sale}/skus/{sku}/top-up`
pub async fn top_up(
    State(api): State<Shared>,
    _: Admin,
    names: Names,
    headers: HeaderMap,
    In(top_up): In<TopUp>,
) -> Answer {
    let (sale, sku) = (names.sale()?, names.sku()?);
    let key = key_of(&headers)?.ok_or(Slug::KeyMissing)?;
    let command = SaleCommand::TopUp { sale, sku, quantity: top_up.quantity, key };
    match api.ports.store.apply(Command::Sale(command)).await {
        Outcome::Done(_) => {}
        Outcome::Refused(refusal) => return Err(refusal.into()),
        // Added or not: the same key adds at most once, and is answered as the first time.
        Outcome::Unknown => return Err(Slug::OutcomeUnknown.into()),
    }
    // Of what was written once under the key, so that a repetition has the same bytes.
    let rows = api.read(Reads { top_ups: [(sale, key)].into(), ..Reads::default() }).await?;
    let row = rows.top_ups.get(&(sale, key)).ok_or(Slug::OutcomeUnknown)?;
    let answer = json!({
        "sale": sale,
        "sku": row.sku,
        "quantity": row.quantity,
        "total": row.total,
        "done_at": stamp::text(row.done_at),
    });
    Ok((StatusCode::ACCEPTED, Json(answer)).into_response())
}
