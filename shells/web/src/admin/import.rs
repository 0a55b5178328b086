//! Imports: many SKUs and their products at once, whole or not at all.

use crate::admin::rows::{Import, from_csv, from_lines};
use crate::admin::sales::add;
use crate::api::{Api, Shared};
use crate::body::{self, IMPORT_BYTES_MAX};
use crate::extract::{Admin, Names};
use crate::problem::{Answer, Problem, Slug};
use axum::Json;
use axum::extract::{Request, State};
use axum::response::IntoResponse;
use doorbuster_core::database::tables::Reads;
use doorbuster_core::ids::SaleId;
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
    let import = read(&bytes, known.row.currency)?;
    let (products, rows) = (import.products.len(), import.skus.len());
    if rows == 0 {
        return Err(Slug::BadRow.because("There is no row.").with("line", 1));
    }
    let added = match add(&api, command(known.row.id, &import), known.row.id).await {
        Ok(added) => added,
        Err(problem) => return Err(explain(&api, known.row.id, &import, problem).await),
    };
    let answer = json!({"rows": rows, "skus_added": added, "products": products});
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

fn command(sale: SaleId, import: &Import) -> SaleCommand {
    let products = import.products.values().cloned().collect();
    SaleCommand::Import { sale, products, skus: import.skus.values().cloned().collect() }
}

/// The row that the sale would not have, by line and column. It only explains: nothing was written, whatever is found.
async fn explain(api: &Api, sale: SaleId, import: &Import, problem: Problem) -> Problem {
    if problem.slug != Slug::InvalidValue {
        return problem;
    }
    let reads = Reads { skus: import.skus.keys().map(|sku| (sale, *sku)).collect(), ..Reads::default() };
    let Ok(rows) = api.read(reads).await else { return problem };
    import.contradiction(&rows.skus).unwrap_or(problem)
}
