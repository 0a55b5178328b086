//! Bodies that come in: bounded, typed, and refused with the place of the mistake.

use crate::problem::{Problem, Slug};
use axum::extract::{FromRequest, Request};
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http_body_util::BodyExt;
use hyper::body::Body;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

/// Bodies of everything but imports: eight lines of a basket have some 600 bytes; a sale with many SKUs is imported.
pub const BODY_BYTES_MAX: usize = 16 * 1024;
/// Body of an import: 10,000 rows of some 800 bytes.
pub const IMPORT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Reads a body of at most `limit` bytes; a body that came in one piece is not copied.
pub async fn read<B>(mut body: B, limit: usize) -> Result<Bytes, Problem>
where
    B: Body<Data = Bytes> + Unpin,
{
    if body.size_hint().lower() > limit as u64 {
        return Err(Slug::BodyTooLarge.into());
    }
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        // The connection broke in the middle of the body: the answer will reach nobody.
        let Ok(frame) = frame else { return Err(Slug::MalformedJson.because("The body ended too early.")) };
        let Ok(data) = frame.into_data() else { continue };
        if first.len() + rest.len() + data.len() > limit {
            return Err(Slug::BodyTooLarge.into());
        }
        if first.is_empty() {
            first = data;
        } else {
            rest.extend_from_slice(&data);
        }
    }
    if rest.is_empty() {
        return Ok(first);
    }
    let mut whole = BytesMut::from(first);
    whole.unsplit(rest);
    Ok(whole.freeze())
}

/// The media type without its parameters.
pub fn media_type(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(CONTENT_TYPE)?.to_str().unwrap_or("");
    Some(value.split(';').next().unwrap_or("").trim())
}

/// Refuses a body that says that it is something else than JSON; one that says nothing is taken at its word.
pub fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    match media_type(headers) {
        None => Ok(()),
        Some(media) if media.eq_ignore_ascii_case("application/json") => Ok(()),
        Some(_) => Err(Slug::UnsupportedMediaType.into()),
    }
}

/// Parses JSON; the problem names line and column.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|error| {
        let what = error.to_string();
        let slug = match error.classify() {
            Category::Io | Category::Syntax | Category::Eof => Slug::MalformedJson,
            Category::Data if what.starts_with("unknown field") => Slug::UnknownField,
            Category::Data => Slug::InvalidValue,
        };
        slug.because(what).with("line", error.line()).with("column", error.column())
    })
}

/// A JSON body of a routed request.
pub struct Json<T>(pub T);

/// A JSON body that may be left out: then everything in it has its default.
pub struct MaybeJson<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Json<T>, Problem> {
        require_json(request.headers())?;
        let bytes_max = bytes_max(&request);
        Ok(Json(parse(&read(request.into_body(), bytes_max).await?)?))
    }
}

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for MaybeJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<MaybeJson<T>, Problem> {
        let declared = require_json(request.headers());
        let bytes = read(request.into_body(), BODY_BYTES_MAX).await?;
        if bytes.is_empty() {
            return Ok(MaybeJson(T::default()));
        }
        declared?;
        Ok(MaybeJson(parse(&bytes)?))
    }
}

/// Problems that every route with a body shares.
pub const PROBLEMS: [Slug; 5] =
    [Slug::MalformedJson, Slug::UnknownField, Slug::InvalidValue, Slug::BodyTooLarge, Slug::UnsupportedMediaType];

/// An operator may name a whole catalogue; who may, has been asked before the body is read.
fn bytes_max(request: &Request) -> usize {
    if request.uri().path().starts_with("/admin/") { IMPORT_BYTES_MAX } else { BODY_BYTES_MAX }
}
