//! What everybody may see: sales and products.

use crate::api::{Api, Shared};
use crate::board::Shelf;
use crate::extract::{Names, Query};
use crate::problem::{Answer, Problem, Slug};
use crate::stamp;
use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use doorbuster_core::database::rows::{ProductRow, SaleRow, SkuRow};
use doorbuster_core::ids::ProductId;
use serde::Deserialize;
use serde_json::{Value, json};

/// Products of one answer, unless fewer are asked for.
const LIMIT_DEFAULT: usize = 20;
/// Most products of one answer: a page of a shop, not an export.
const LIMIT_MAX: usize = 100;
/// Products that one request looks at: a filter that matches little must not read the whole catalogue at once.
const SCANNED_MAX: usize = 5000;

/// A sale's rules as JSON.
pub fn sale_json(row: &SaleRow) -> Value {
    json!({
        "sale": row.id,
        "title": row.title,
        "state": row.state,
        "starts_at": stamp::text(row.window.starts_at),
        "ends_at": stamp::text(row.window.ends_at),
        "limit_per_user": row.limit,
        "hold_seconds": row.hold_ms / 1000,
        "shards": row.shards,
        "ack": row.ack,
        "currency": row.currency,
        "version": row.version,
    })
}

/// A SKU with what is left of it, as JSON.
pub fn sku_json(sale: &SaleRow, row: &SkuRow, shelf: &Shelf) -> Value {
    json!({
        "sku": row.sku,
        "product": row.product,
        "name": row.name,
        "price_minor": row.price_minor,
        "currency": sale.currency,
        "total": row.total,
        "pool": row.pool,
        "available": shelf.available,
        "held": shelf.held,
        "sold": shelf.sold,
    })
}

/// `GET /v1/sales`
pub async fn sales(State(api): State<Shared>) -> Answer {
    let sales = api.snapshot().await?.sales().await?;
    let sales: Vec<Value> = sales.iter().map(sale_json).collect();
    Ok(Json(json!({"sales": sales})).into_response())
}

/// `GET /v1/sales/{sale}`
pub async fn sale(State(api): State<Shared>, names: Names) -> Answer {
    let known = api.learn(names.sale()?).await?;
    let panorama = api.panorama(&known.row, known.skus()).await?;
    let skus: Vec<Value> = panorama.shelves().map(|(row, shelf)| sku_json(&known.row, row, &shelf)).collect();
    let mut json = sale_json(&known.row);
    json["skus"] = skus.into();
    Ok(Json(json).into_response())
}

/// What is asked of the catalogue.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    limit: Option<usize>,
    after: Option<ProductId>,
    category: Option<String>,
    q: Option<String>,
}

impl Wanted {
    fn takes(&self, product: &ProductRow) -> bool {
        let in_category = self.category.as_ref().is_none_or(|category| *category == product.category);
        let named = self.q.as_ref().is_none_or(|text| product.name.to_lowercase().contains(&text.to_lowercase()));
        in_category && named
    }
}

/// `GET /v1/products`
pub async fn products(State(api): State<Shared>, Query(wanted): Query<Wanted>) -> Answer {
    let limit = wanted.limit.unwrap_or(LIMIT_DEFAULT);
    if limit == 0 || limit > LIMIT_MAX {
        return Err(Slug::InvalidQuery.because(format!("limit must be 1 to {LIMIT_MAX}.")));
    }
    let (products, next) = page(&api, &wanted, limit).await?;
    Ok(Json(json!({"products": products, "next": next})).into_response())
}

/// Matching products, and where to go on; a page may be short or empty while there is more.
async fn page(api: &Api, wanted: &Wanted, limit: usize) -> Result<(Vec<ProductRow>, Option<ProductId>), Problem> {
    let snapshot = api.snapshot().await?;
    let (mut found, mut after, mut scanned) = (Vec::new(), wanted.after, 0);
    while scanned < SCANNED_MAX {
        let rows = snapshot.products(after, LIMIT_MAX).await?;
        let last = rows.len() < LIMIT_MAX;
        for row in rows {
            (after, scanned) = (Some(row.id), scanned + 1);
            if wanted.takes(&row) {
                found.push(row);
            }
            if found.len() == limit {
                return Ok((found, after));
            }
        }
        if last {
            return Ok((found, None));
        }
    }
    Ok((found, after))
}
