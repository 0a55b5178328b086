//! Products, as an operator writes them.

use crate::api::Shared;
use crate::body::Json as In;
use crate::etag::{check_match, etag};
use crate::extract::{Admin, Names};
use crate::problem::{Answer, Slug};
use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use doorbuster_core::database::command::Command;
use doorbuster_core::database::rows::ProductRow;
use doorbuster_core::database::tables::Reads;
use doorbuster_core::ids::Version;
use doorbuster_core::sale::command::SaleCommand;
use http::HeaderMap;
use http::header::{ETAG, IF_MATCH};
use serde::Deserialize;

/// The body of a product.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Product {
    name: String,
    #[serde(default)]
    category: String,
    #[serde(default)]
    image_url: String,
}

/// `PUT /admin/v1/products/{product}`
///
/// With `If-Match` it is written only over the version that was read, which the transaction compares.
pub async fn put_product(
    State(api): State<Shared>,
    _: Admin,
    names: Names,
    headers: HeaderMap,
    In(product): In<Product>,
) -> Answer {
    let id = names.product()?;
    let reads = Reads { products: [id].into(), ..Reads::default() };
    let Product { name, category, image_url } = product;
    let row = ProductRow { id, name, category, image_url, version: Version(0) };
    let command = if headers.contains_key(IF_MATCH) {
        let rows = api.read(reads.clone()).await?;
        let expected = rows.products.get(&id).map_or(Version(0), |row| row.version);
        check_match(&headers, expected)?;
        SaleCommand::ChangeProduct { product: row, expected }
    } else {
        SaleCommand::PutProducts(vec![row])
    };
    api.apply(Command::Sale(command)).await?;
    let rows = api.read(reads).await?;
    let row = rows.products.get(&id).ok_or(Slug::UnknownProduct)?;
    Ok(([(ETAG, etag(row.version))], Json(row)).into_response())
}
