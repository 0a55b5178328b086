//! The one table of routes: the router and the OpenAPI document are made from it.

use crate::admin::{catalogue, import, orders as admin_orders, sales as admin_sales, shards};
use crate::api::Shared;
use crate::problem::{Answer, Slug};
use crate::{admin, assets, body, health, live, openapi, orders, payments, products, reservations, reserve, shop};
use axum::Router;
use axum::extract::{Request, State};
use axum::routing::{MethodRouter, delete, get, post, put};
use doorbuster_core::ids::SaleId;

/// Who may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody.
    Public,
    /// Whoever has a token.
    Buyer,
    /// Whoever has an administrator's token.
    Admin,
    /// Whoever can sign it.
    Signed,
}

/// One route.
pub struct Route {
    /// The method, as OpenAPI spells it.
    pub method: &'static str,
    /// The path, as axum and OpenAPI spell it alike.
    pub path: &'static str,
    /// What it does.
    pub summary: &'static str,
    /// Who may call.
    pub access: Access,
    /// Media type and schema of the body, where it takes one.
    pub body: Option<(&'static str, &'static str)>,
    /// Status, media type and schema of success.
    pub answer: (u16, &'static str, &'static str),
    /// Its own problems; those of its access and body are added.
    pub problems: &'static [Slug],
    handler: fn() -> MethodRouter<Shared>,
}

const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";

macro_rules! routes {
    ($($method:ident $path:literal $access:ident $body:expr => $status:literal $media:expr, $schema:literal
        [$($slug:ident),*] $summary:literal $handler:path;)*) => {
        /// Every route.
        pub const ROUTES: &[Route] = &[$(Route {
            method: stringify!($method),
            path: $path,
            summary: $summary,
            access: Access::$access,
            body: $body,
            answer: ($status, $media, $schema),
            problems: &[$(Slug::$slug),*],
            handler: || $method($handler),
        },)*];
    };
}

routes! {
    post "/v1/sales/{sale}/reservations" Buyer Some((JSON, "Wish")) => 202 JSON, "Held"
        [QuotaExceeded, KeyMissing, KeyInvalid, BasketEmpty, TooManyLines, QuantityZero, QuantityTooLarge, RepeatedSku, UnknownSale, UnknownSku,
         KeyReused, SoldOut, LimitReached, NotStarted, Ended, Stopped, KeysExhausted, NotReady, Overloaded, OutcomeUnknown]
        "Reserves a basket, whole or not at all. The header Idempotency-Key is required; the same key gets the same answer." click;
    get "/v1/sales/{sale}/reservations/{key}" Buyer None => 200 JSON, "Fate"
        [UnknownSale, KeyInvalid, BadReceipt, NotReady]
        "What became of a key; with the header Receipt the answer lost is final." reservations::look_up;
    post "/v1/sales/{sale}/reservations/{key}/abandon" Buyer None => 200 JSON, "Fate"
        [UnknownSale, KeyInvalid, OutcomeUnknown]
        "Makes it certain that this key is not and will not be a sale; a paid order stays paid and is shown." reservations::abandon;
    get "/v1/orders/{order}" Buyer None => 200 JSON, "Order"
        [UnknownOrder, NotReady]
        "The order; while it is on its way, what is known of it." orders::read;
    delete "/v1/orders/{order}" Buyer None => 200 JSON, "Order"
        [UnknownOrder, NotYet, ForbiddenTransition, NotReady, OutcomeUnknown]
        "Cancels an unpaid order." orders::cancel;
    get "/v1/orders/{order}/events" Buyer None => 200 EVENTS, "Order"
        [UnknownOrder, NotReady]
        "The order at each change of its status, until it can change no more." orders::events;
    post "/v1/orders/{order}/payments" Buyer Some((JSON, "Payment")) => 202 JSON, "PaymentStarted"
        [UnknownOrder, NotYet, ForbiddenTransition, KeyInvalid, KeyReused, NotReady, OutcomeUnknown]
        "Starts a payment. The same Idempotency-Key starts the same one." payments::start;
    post "/v1/webhooks/payments/{provider}" Signed Some((JSON, "Notice")) => 200 JSON, "PaymentState"
        [NotFound, BadSignature, UnknownPayment, PaymentState, OutcomeUnknown]
        "The provider's word, signed in the header Webhook-Signature; repeating it is harmless." payments::webhook;
    get "/v1/payments/{payment}" Buyer None => 200 JSON, "PaymentStatus" [UnknownPayment]
        "A payment of the caller. One that came after its order's end pays the new order that it names, or goes back." payments::read;
    get "/v1/sales" Public None => 200 JSON, "Sales" []
        "Every sale." shop::sales;
    get "/v1/sales/{sale}" Public None => 200 JSON, "Sale" [UnknownSale]
        "One sale with its SKUs and what is left of them." shop::sale;
    get "/v1/products" Public None => 200 JSON, "Products" [InvalidQuery]
        "Products in the order of their ids: limit, after, category, q." shop::products;
    get "/v1/products/{product}" Public None => 200 JSON, "Product" [UnknownProduct, Overloaded]
        "One product, through caches that follow each change. Its version is the header ETag." products::read;
    get "/v1/live" Public None => 200 EVENTS, "Live" [Unauthenticated, Forbidden]
        "The console's feed, each second; one document where the header Accept asks for JSON." live::feed;
    post "/admin/v1/sales" Admin Some((JSON, "NewSale")) => 201 JSON, "AdminSale" [SaleConflict, OutcomeUnknown]
        "Creates a sale as a draft; repeating it is harmless." admin_sales::create;
    get "/admin/v1/sales/{sale}" Admin None => 200 JSON, "AdminSale" [UnknownSale]
        "One sale with its shards and stock." admin_sales::read;
    post "/admin/v1/sales/{sale}/open" Admin None => 202 JSON, "SaleState" [UnknownSale, SaleConflict, OutcomeUnknown]
        "Opens a draft." admin_sales::open;
    post "/admin/v1/sales/{sale}/stop" Admin None => 202 JSON, "SaleState" [UnknownSale, SaleConflict, OutcomeUnknown]
        "Pauses a sale." admin_sales::stop;
    post "/admin/v1/sales/{sale}/resume" Admin None => 202 JSON, "SaleState" [UnknownSale, SaleConflict, OutcomeUnknown]
        "Lets a paused sale go on." admin_sales::resume;
    post "/admin/v1/sales/{sale}/close" Admin None => 202 JSON, "SaleState" [UnknownSale, SaleConflict, OutcomeUnknown]
        "Ends a sale for good." admin_sales::close;
    post "/admin/v1/sales/{sale}/skus" Admin Some((JSON, "NewSkus")) => 201 JSON, "Added" [UnknownSale, SaleConflict, OutcomeUnknown]
        "Adds SKUs, whole or not at all." admin_sales::add_skus;
    post "/admin/v1/sales/{sale}/skus/{sku}/top-up" Admin Some((JSON, "TopUp")) => 202 JSON, "ToppedUp"
        [KeyMissing, KeyInvalid, KeyReused, UnknownSale, UnknownSku, SaleConflict, OutcomeUnknown]
        "Adds units, once under each key of the sale. The header Idempotency-Key is required; the same key gets the same answer, also after the close." admin_sales::top_up;
    post "/admin/v1/sales/{sale}/import" Admin Some(("text/csv", "Import")) => 201 JSON, "Imported" [UnknownSale, BadRow, TooManyRows, SaleConflict, OutcomeUnknown]
        "Adds up to 10,000 SKUs with their products, whole or not at all, from CSV or JSON lines; what is there already stays as it is, so repeating it is harmless." import::import;
    get "/admin/v1/sales/{sale}/ledger" Admin None => 200 JSON, "Ledger" [UnknownSale]
        "Rows and the memory's counters side by side." shards::ledger;
    get "/admin/v1/sales/{sale}/audit" Admin None => 200 "application/x-ndjson", "AuditLine" [UnknownSale]
        "Every row of the sale from one snapshot, as JSON lines: what the oracle reads." admin::audit::stream_audit;
    post "/admin/v1/sales/{sale}/shards/{shard}/seal" Admin None => 202 JSON, "Shard" [UnknownSale, UnknownShard, ShardNotOpen, OutcomeUnknown]
        "Ends the shard's epoch; the next one is rebuilt from the rows." shards::seal;
    put "/admin/v1/products/{product}" Admin Some((JSON, "NewProduct")) => 200 JSON, "Product" [UnknownProduct, StaleVersion, OutcomeUnknown]
        "Writes a product; with the header If-Match only over the version that it names." catalogue::put_product;
    post "/admin/v1/orders/{order}/refund" Admin Some((JSON, "Refund")) => 202 JSON, "Order" [UnknownOrder, NotYet, ForbiddenTransition, OutcomeUnknown]
        "Begins to give a paid order's money back." admin_orders::refund;
    post "/admin/v1/orders/{order}/cancel" Admin None => 200 JSON, "Order" [UnknownOrder, NotYet, ForbiddenTransition, OutcomeUnknown]
        "Cancels an unpaid order." admin_orders::cancel;
    post "/admin/v1/orders/{order}/extend" Admin Some((JSON, "Extend")) => 200 JSON, "Order" [UnknownOrder, NotYet, ForbiddenTransition, OutcomeUnknown]
        "Moves the end of an unpaid order's pay window later." admin_orders::extend;
    get "/healthz" Public None => 200 "text/plain", "Text" []
        "The process lives." health::alive;
    get "/readyz" Public None => 200 JSON, "Ready" [NotReady]
        "The store answers, and every shard of every open sale sells." health::ready;
    get "/metrics" Public None => 200 "text/plain", "Text" []
        "Counters in the Prometheus text format." health::metrics;
    get "/openapi.json" Public None => 200 JSON, "Text" []
        "This document." openapi::document;
    get "/problems/{slug}" Public None => 200 "text/html", "Text" []
        "What a problem means and what to do." openapi::problem_page;
    get "/" Public None => 200 "text/html", "Text" []
        "The console." assets::console;
    get "/assets/{asset}" Public None => 200 "text/plain", "Text" [NotFound]
        "What the console loads." assets::asset;
}

/// The router over the table. The hot route is answered before it; here it stands for odd spellings of its path and
/// for the methods that it does not take.
pub fn router(api: Shared) -> Router {
    let mut router = Router::new();
    for route in ROUTES {
        router = router.route(route.path, (route.handler)());
    }
    router
        .fallback(|| async { Answer::Err(Slug::NotFound.into()) })
        .method_not_allowed_fallback(|| async { Answer::Err(Slug::MethodNotAllowed.into()) })
        .with_state(api)
}

async fn click(State(api): State<Shared>, names: crate::extract::Names, mut request: Request) -> Answer {
    let sale = SaleId::parse(names.text("sale")).ok();
    let reply = reserve::answer(&api, sale, &mut request).await;
    Ok(reply.map(axum::body::Body::new))
}

impl Route {
    /// Whether its answer has a version by which a caller may say what it knows already.
    pub fn is_versioned(&self) -> bool {
        self.method == "get" && self.answer.2 == "Product"
    }

    /// Every problem that the route can answer with.
    pub fn all_problems(&self) -> Vec<Slug> {
        let mut slugs = self.problems.to_vec();
        match self.access {
            Access::Public | Access::Signed => {}
            Access::Buyer => slugs.push(Slug::Unauthenticated),
            Access::Admin => slugs.extend([Slug::Unauthenticated, Slug::Forbidden]),
        }
        if self.body.is_some() {
            slugs.extend(body::PROBLEMS);
        }
        slugs.extend([Slug::Unavailable, Slug::TimedOut, Slug::Internal]);
        slugs.sort_unstable();
        slugs.dedup();
        slugs
    }
}

/// Problems of no route: of paths and methods that no route takes.
pub const OF_NO_ROUTE: [Slug; 2] = [Slug::NotFound, Slug::MethodNotAllowed];
