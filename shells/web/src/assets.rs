//! The console's page and what it loads: compiled in, so that the binary is all there is to install.

use crate::extract::Names;
use crate::problem::{Answer, Slug};
use axum::response::IntoResponse;
use http::HeaderName;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const PAGE: &str = "text/html; charset=utf-8";

/// Name, media type and content of each.
const ASSETS: [(&str, &str, &str); 5] = [
    ("console.css", STYLE, include_str!("../assets/console.css")),
    ("console.js", SCRIPT, include_str!("../assets/console.js")),
    ("board.js", SCRIPT, include_str!("../assets/board.js")),
    ("orders.js", SCRIPT, include_str!("../assets/orders.js")),
    ("page.js", SCRIPT, include_str!("../assets/page.js")),
];

/// `GET /`
pub async fn console() -> impl IntoResponse {
    (headers(PAGE), include_str!("../assets/console.html"))
}

/// `GET /assets/{asset}`
pub async fn asset(names: Names) -> Answer {
    let wanted = names.text("asset");
    let (_, media, content) = ASSETS.iter().find(|(name, ..)| *name == wanted).ok_or(Slug::NotFound)?;
    Ok((headers(media), *content).into_response())
}

/// A new binary brings new assets under the same names, so a browser asks each time; and it takes each as what it is.
fn headers(media: &'static str) -> [(HeaderName, &'static str); 3] {
    [(CONTENT_TYPE, media), (CACHE_CONTROL, "no-cache"), (HeaderName::from_static("x-content-type-options"), "nosniff")]
}
