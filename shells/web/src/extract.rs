//! What handlers take from a request's head.

use crate::api::Shared;
use crate::problem::{Problem, Slug};
use crate::reserve::{authenticate, parse_key};
use crate::token::{Caller, Role};
use axum::extract::{FromRequestParts, RawPathParams};
use doorbuster_core::ids::{Key, OrderId, ProductId, SaleId, ShardId, SkuId};
use http::request::Parts;
use serde::de::DeserializeOwned;

impl FromRequestParts<Shared> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Shared) -> Result<Caller, Problem> {
        authenticate(api, &parts.headers, api.now().wall)
    }
}

/// A caller with the role admin.
pub struct Admin;

impl FromRequestParts<Shared> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Shared) -> Result<Admin, Problem> {
        match authenticate(api, &parts.headers, api.now().wall)?.role {
            Role::Admin => Ok(Admin),
            Role::Buyer => Err(Slug::Forbidden.into()),
        }
    }
}

/// The names in the path.
pub struct Names(Vec<(String, String)>);

impl FromRequestParts<Shared> for Names {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Shared) -> Result<Names, Problem> {
        // Only a name that is not UTF-8 is refused here: there is nothing of that name.
        let params = RawPathParams::from_request_parts(parts, api).await.map_err(|_| Slug::NotFound)?;
        Ok(Names(params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()))
    }
}

impl Names {
    /// The text under this name; the route has it.
    pub fn text(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(known, _)| known == name);
        &found.expect("the route names what its handler asks for").1
    }

    /// What cannot be a sale's id is the id of no sale.
    pub fn sale(&self) -> Result<SaleId, Problem> {
        SaleId::parse(self.text("sale")).map_err(|_| Slug::UnknownSale.into())
    }

    /// The SKU.
    pub fn sku(&self) -> Result<SkuId, Problem> {
        SkuId::parse(self.text("sku")).map_err(|_| Slug::UnknownSku.into())
    }

    /// The product.
    pub fn product(&self) -> Result<ProductId, Problem> {
        ProductId::parse(self.text("product")).map_err(|_| Slug::UnknownProduct.into())
    }

    /// The order.
    pub fn order(&self) -> Result<OrderId, Problem> {
        self.text("order").parse().map_err(|_| Slug::UnknownOrder.into())
    }

    /// The idempotency key.
    pub fn key(&self) -> Result<Key, Problem> {
        parse_key(self.text("key"))
    }

    /// The shard.
    pub fn shard(&self) -> Result<ShardId, Problem> {
        let k = self.text("shard").parse().map_err(|_| Slug::UnknownShard)?;
        Ok(ShardId { sale: self.sale()?, k })
    }
}

/// The query string.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<Shared> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Query<T>, Problem> {
        let query = axum::extract::Query::try_from_uri(&parts.uri);
        query
            .map(|axum::extract::Query(value)| Query(value))
            .map_err(|error| Slug::InvalidQuery.because(error.body_text()))
    }
}
