//! Imports: many SKUs and their products at once, whole or not at all.

use crate::admin::rows::{Import, from_csv, from_lines};
use crate::admin::sales::add;
use crate::api::Shared;
use crate::body::{self, IMPORT_BYTES_MAX};
use crate::extract::{Admin, Names};
use crate::problem::{Answer, Slug};
use axum::Json;
use axum::extract::{Request, State};
use axum::response::IntoResponse;
use doorbuster_core::database::command::Command;
use doorbuster_core::sale::command::SaleCommand;
use http::StatusCode;
use serde_json::json;

/// `POST /admin/v1/sales/{sale}/import`
pub async fn import(State(api): State<Shared>, _: Admin, names: Names, request: Request) -> Answer {
    let known = api.learn(names.sale()?).await?;
    let read = match body::media_type(request.headers()).map(str::to_ascii_lowercase).as_deref() {
        Some("text/csv") => from_csv,
        Some("application/x-ndjson") => from_lines,
        Some(_) | None => return Err(Slug::UnsupportedMediaType.into()),
    };
    let bytes = body::read(request.into_body(), IMPORT_BYTES_MAX).await?;
    let Import { products, skus } = read(&bytes, known.row.currency)?;
    let (products, skus): (Vec<_>, Vec<_>) = (products.into_values().collect(), skus.into_values().collect());
    let (product_count, row_count) = (products.len(), skus.len());
    if row_count == 0 {
        return Err(Slug::BadRow.because("There is no row.").with("line", 1));
    }
    // SKUs first: only they can be refused, every rule for products has been checked above. What is left between the
    // two transactions is a crash, after which the same chunk is sent again.
    let added = add(&api, &known, skus).await?;
    api.apply(Command::Sale(SaleCommand::PutProducts(products))).await?;
    let answer = json!({"rows": row_count, "skus_added": added, "products": product_count});
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}
