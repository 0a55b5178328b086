//! One product, through the caches: what most visitors of a shop ask for.

use crate::api::Shared;
use crate::etag::{etag, is_known};
use crate::extract::Names;
use crate::problem::{Answer, Slug};
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use doorbuster_core::cache::Value;
use doorbuster_core::cache::talk;
use doorbuster_core::ids::Version;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG};
use http::{HeaderMap, HeaderValue, StatusCode};

/// Whoever keeps a product beyond this process keeps it no longer than the process does that missed a change: together
/// they show an old one for some seconds at worst.
const KEPT: HeaderValue = HeaderValue::from_static("public, max-age=1");

/// `GET /v1/products/{product}`
pub async fn read(State(api): State<Shared>, names: Names, headers: HeaderMap) -> Answer {
    match api.ports.products.read(names.product()?).await {
        talk::Answer::Found { version, .. } if is_known(&headers, version) => {
            Ok((StatusCode::NOT_MODIFIED, [(CACHE_CONTROL, KEPT), (ETAG, etag(version))]).into_response())
        }
        talk::Answer::Found { version, value } => Ok(document(version, value)),
        talk::Answer::Absent => Err(Slug::UnknownProduct.into()),
        talk::Answer::Overloaded => {
            Err(Slug::Overloaded.because("Too many wait for products. Come again after Retry-After."))
        }
        talk::Answer::NotReady => {
            Err(Slug::Unavailable.because("The product could not be read in time. Come again after Retry-After."))
        }
    }
}

/// A product as caches keep it, sent as it stands.
fn document(version: Version, value: Value) -> Response {
    const JSON: HeaderValue = HeaderValue::from_static("application/json");
    let headers = [(CONTENT_TYPE, JSON), (CACHE_CONTROL, KEPT), (ETAG, etag(version))];
    (headers, Body::from(Bytes::from_owner(value))).into_response()
}
