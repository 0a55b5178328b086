//! What a refused caller is told: RFC 9457 problem documents, every type of them from one table.
//!
//! The OpenAPI document, the page of each type and the answers themselves are made from this table.

use crate::reply::{Reply, whole};
use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use serde_json::{Map, Value, json};
use std::sync::LazyLock;

/// The media type of RFC 9457.
pub const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

macro_rules! problems {
    ($($slug:ident, $status:literal, $name:literal, $title:literal, $retry:expr, $advice:literal;)*) => {
        /// Every documented way to be refused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Slug { $(#[doc = $title] $slug,)* }

        impl Slug {
            /// All of them, in the order of their declaration.
            pub const ALL: &'static [Slug] = &[$(Slug::$slug,)*];

            /// The last part of the problem's type: `/problems/<name>`.
            pub fn name(self) -> &'static str {
                match self { $(Slug::$slug => $name,)* }
            }

            /// The HTTP status.
            pub fn status(self) -> u16 {
                match self { $(Slug::$slug => $status,)* }
            }

            /// One line for people; the same for every occurrence.
            pub fn title(self) -> &'static str {
                match self { $(Slug::$slug => $title,)* }
            }

            /// What the caller should do now.
            pub fn advice(self) -> &'static str {
                match self { $(Slug::$slug => $advice,)* }
            }

            /// Seconds after which it is worth asking again, where it is.
            pub fn retry_after_s(self) -> Option<u32> {
                match self { $(Slug::$slug => $retry,)* }
            }
        }
    };
}

problems! {
    MalformedJson, 400, "malformed-json", "The body is not JSON", None, "Mend the body at the line and column that are named.";
    UnknownField, 400, "unknown-field", "The body has a field that is not known here", None, "Remove the field, or spell it as the OpenAPI document does.";
    InvalidValue, 400, "invalid-value", "A value is missing, of the wrong type, or out of bounds", None, "The detail says which value it is and what is allowed.";
    InvalidQuery, 400, "invalid-query", "The query string is not understood", None, "Use the parameters that the OpenAPI document names.";
    BasketEmpty, 400, "basket-empty", "The basket has no line", None, "Name at least one SKU.";
    TooManyLines, 400, "too-many-lines", "The basket has too many lines", None, "Reserve at most eight SKUs at once; use several keys for more.";
    QuantityZero, 400, "quantity-zero", "A line asks for no unit", None, "Ask for at least one unit.";
    QuantityTooLarge, 400, "quantity-too-large", "A line asks for too many units", None, "Ask for at most a thousand units of one SKU.";
    RepeatedSku, 400, "repeated-sku", "A SKU stands in two lines", None, "Add the quantities up in one line.";
    KeyMissing, 400, "key-missing", "The header Idempotency-Key is missing", None, "Send a key of 1 to 64 printable ASCII characters, a new one for each thing you want and the same one for each retry.";
    KeyInvalid, 400, "key-invalid", "The header Idempotency-Key is not a key", None, "Use 1 to 64 printable ASCII characters without spaces; keys that begin with late: belong to the platform.";
    BadReceipt, 400, "bad-receipt", "The receipt was not given out for this reservation", None, "Send the receipt exactly as it stood in the 202.";
    BadSignature, 400, "bad-signature", "The webhook's signature does not hold", None, "Sign timestamp and body with the shared key; the timestamp may be at most five minutes off.";
    BadRow, 400, "bad-row", "A row of the import is not good", None, "Mend the row at the line and column that are named; nothing was imported.";
    Unauthenticated, 401, "unauthenticated", "There is no valid token", None, "Send Authorization: Bearer with a token that is signed by this platform and has not expired.";
    Forbidden, 403, "forbidden", "The token's role does not allow it", None, "Use an administrator's token.";
    NotFound, 404, "not-found", "There is nothing at this path", None, "See /openapi.json for the paths that exist.";
    UnknownSale, 404, "unknown-sale", "There is no such sale", None, "See GET /v1/sales.";
    UnknownSku, 404, "unknown-sku", "The sale has no such SKU", None, "See GET /v1/sales/{sale}; nothing was reserved.";
    UnknownOrder, 404, "unknown-order", "You have no such order", None, "Check the id; orders of other buyers look like orders that do not exist.";
    UnknownProduct, 404, "unknown-product", "There is no such product", None, "See GET /v1/products.";
    UnknownPayment, 404, "unknown-payment", "There is no such payment", None, "Check the payment's id.";
    UnknownShard, 404, "unknown-shard", "The sale has no such shard", None, "Shards are numbered from 0.";
    MethodNotAllowed, 405, "method-not-allowed", "The path does not take this method", None, "Use one of the methods of the header Allow.";
    SoldOut, 409, "sold-out", "Sold out", None, "Nothing was reserved. Units come back when others do not pay: try again later, the same key may be used.";
    LimitReached, 409, "limit-reached", "The limit per buyer is reached", None, "Nothing was reserved. Cancel an unpaid order first, or ask for less.";
    KeysExhausted, 409, "keys-exhausted", "All keys of this buyer in this sale are used", None, "A buyer may have eight accepted reservations in one sale, the ended ones included.";
    NotStarted, 409, "not-started", "The sale has not started", None, "Nothing was reserved. See starts_at of the sale.";
    Ended, 409, "ended", "The sale has ended", None, "Nothing was reserved.";
    Stopped, 409, "stopped", "The sale is paused by its operator", None, "Nothing was reserved. It may go on later; the same key may be used.";
    NotYet, 409, "not-yet", "The order is accepted and still on its way", Some(1), "Repeat the command after Retry-After.";
    ForbiddenTransition, 409, "forbidden-transition", "The order's state does not allow it", None, "Read the order: the members from and to name the edge that does not exist.";
    PaymentState, 409, "payment-state", "The payment's state does not allow it", None, "Nothing to do: the payment has been dealt with.";
    SaleConflict, 409, "sale-conflict", "The sale's state or rules do not allow it", None, "Read the sale; its rules are fixed at its creation, and closed is for good.";
    ShardNotOpen, 409, "shard-not-open", "The shard has no epoch that could be ended", None, "Read the shard's phase; an epoch that is ending already needs nothing.";
    StaleVersion, 412, "stale-version", "The row has another version than the change was made for", None, "Nothing was written. Read it again, and decide whether the change is still wanted.";
    BodyTooLarge, 413, "body-too-large", "The body is too large", None, "Send at most 16 KiB; an operator may send 8 MiB.";
    TooManyRows, 413, "too-many-rows", "The import has too many rows", None, "Send chunks of at most 10,000 rows; repeating a chunk is harmless.";
    UnsupportedMediaType, 415, "unsupported-media-type", "The content type is not taken here", None, "Send application/json; an import takes text/csv or application/x-ndjson.";
    KeyReused, 422, "key-reused", "The key was used for something else", None, "Use a new key for another basket, or another payment.";
    QuotaExceeded, 429, "quota-exceeded", "Too many requests", Some(1), "Nothing was asked. Come again after Retry-After.";
    Internal, 500, "internal", "A bug of the platform", None, "Report it. Whether the request took effect is not known: look it up, or repeat it under the same key.";
    NotReady, 503, "not-ready", "The sale is being prepared or recovered", Some(1), "Nothing was reserved. Come again after Retry-After with the same key.";
    Overloaded, 503, "overloaded", "Too many buyers wait already", Some(1), "Nothing was reserved. Come again after Retry-After with the same key.";
    OutcomeUnknown, 503, "outcome-unknown", "It is not known whether it took effect", Some(1), "Repeat it under the same key: it is done at most once. Or look the key up.";
    Unavailable, 503, "unavailable", "A part of the platform does not answer", Some(1), "Nothing was done. Come again after Retry-After.";
    TimedOut, 503, "timed-out", "The request took too long", Some(1), "Whether it took effect is not known: look, or repeat it under the same key.";
}

/// One occurrence of a problem.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// Which.
    pub slug: Slug,
    detail: Option<String>,
    members: Vec<(&'static str, Value)>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// What a handler answers.
pub type Answer = Result<axum::response::Response, Problem>;

/// Documents without detail, one per slug: the usual answers of a rush are copies of a pointer.
static PREPARED: LazyLock<Vec<Bytes>> = LazyLock::new(|| {
    // Given away for good, once: copies of a static need no count of owners, which all cores would change.
    let document = |slug: &Slug| -> &'static [u8] {
        Value::Object(members_of(*slug, slug.advice())).to_string().into_bytes().leak()
    };
    Slug::ALL.iter().map(|slug| Bytes::from_static(document(slug))).collect()
});

fn members_of(slug: Slug, detail: &str) -> Map<String, Value> {
    let document = json!({
        "type": format!("/problems/{}", slug.name()),
        "title": slug.title(),
        "status": slug.status(),
        "detail": detail,
    });
    let Value::Object(members) = document else { unreachable!("a literal object") };
    members
}

impl From<Slug> for Problem {
    fn from(slug: Slug) -> Problem {
        Problem { slug, detail: None, members: Vec::new(), headers: Vec::new() }
    }
}

impl Slug {
    /// An occurrence with a sentence of its own.
    pub fn because(self, detail: impl Into<String>) -> Problem {
        Problem { detail: Some(detail.into()), ..Problem::from(self) }
    }

    /// The answer without a sentence of its own: nothing is formatted for it.
    pub fn reply(self) -> Reply {
        let mut response = Response::new(whole(PREPARED[self as usize].clone()));
        self.set_head(&mut response);
        response
    }

    fn set_head<B>(self, response: &mut Response<B>) {
        *response.status_mut() = StatusCode::from_u16(self.status()).expect("the table holds valid statuses");
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, PROBLEM_JSON);
        if let Some(seconds) = self.retry_after_s() {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self == Slug::Unauthenticated {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
    }
}

impl Problem {
    /// Adds a member to the document.
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Problem {
        self.members.push((name, value.into()));
        self
    }

    /// Adds or replaces a header.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Problem {
        self.headers.push((name, value));
        self
    }

    /// A method that the path does not take; `allow` lists those that it does.
    pub fn method_not_allowed(allow: &'static str) -> Problem {
        Problem::from(Slug::MethodNotAllowed).header(ALLOW, HeaderValue::from_static(allow))
    }

    /// The whole answer.
    pub fn reply(self) -> Reply {
        if self.detail.is_none() && self.members.is_empty() && self.headers.is_empty() {
            return self.slug.reply();
        }
        let mut document = members_of(self.slug, self.detail.as_deref().unwrap_or(self.slug.advice()));
        document.extend(self.members.into_iter().map(|(name, value)| (name.to_owned(), value)));
        let mut response = Response::new(whole(Bytes::from(Value::Object(document).to_string())));
        self.slug.set_head(&mut response);
        response.headers_mut().extend(self.headers);
        response
    }
}

impl axum::response::IntoResponse for Problem {
    fn into_response(self) -> axum::response::Response {
        self.reply().map(axum::body::Body::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_slug_has_one_name_and_its_prepared_document() {
        let names: BTreeSet<_> = Slug::ALL.iter().map(|slug| slug.name()).collect();
        assert_eq!(names.len(), Slug::ALL.len());
        for (index, slug) in Slug::ALL.iter().enumerate() {
            assert_eq!(*slug as usize, index);
            let document: Value = serde_json::from_slice(&PREPARED[index]).unwrap();
            assert_eq!(document["type"], format!("/problems/{}", slug.name()));
            assert_eq!(document["status"], slug.status());
            assert_eq!(slug.reply().status().as_u16(), slug.status());
        }
    }

    #[test]
    fn whoever_is_told_to_come_again_is_told_when() {
        for slug in Slug::ALL.iter().filter(|slug| matches!(slug.status(), 429 | 503)) {
            assert!(slug.retry_after_s().is_some(), "{slug:?}");
        }
    }
}
