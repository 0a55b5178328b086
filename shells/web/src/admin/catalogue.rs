//! Products, as an operator writes them.

use crate::api::Shared;
use crate::body::Json as In;
use crate::extract::{Admin, Names};
use crate::problem::{Answer, Slug};
use crate::shop::product_json;
use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use doorbuster_core::database::command::Command;
use doorbuster_core::database::rows::ProductRow;
use doorbuster_core::database::tables::Reads;
use doorbuster_core::ids::Version;
use doorbuster_core::sale::command::SaleCommand;
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
pub async fn put_product(State(api): State<Shared>, _: Admin, names: Names, In(product): In<Product>) -> Answer {
    let id = names.product()?;
    let Product { name, category, image_url } = product;
    let row = ProductRow { id, name, category, image_url, version: Version(0) };
    api.apply(Command::Sale(SaleCommand::PutProducts(vec![row]))).await?;
    let rows = api.read(Reads { products: [id].into(), ..Reads::default() }).await?;
    let row = rows.products.get(&id).ok_or(Slug::UnknownProduct)?;
    Ok(Json(product_json(row)).into_response())
}
