//! Nonsense never becomes a server error, and never takes a unit.

mod world;

use doorbuster_runtime::telemetry::Metric;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use world::Served;
use world::client::raw;

/// Requests of one run; each is a connection on loopback.
const CASES: u32 = 400;

fn method() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => Just("POST".to_owned()),
        2 => prop::sample::select(vec!["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"]).prop_map(str::to_owned),
        1 => "[A-Z]{1,12}",
    ]
}

fn path() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        6 => prop::sample::select(vec![
            "v1", "admin", "sales", "demo", "reservations", "orders", "payments", "products", "events", "abandon", "k",
            "simulated", "webhooks", "import", "audit", "ledger", "skus", "a", "top-up", "open", "shards", "0", "seal",
            "demo.0.aaaaaaaaaaaaaaaaaaaaaaaaaa", "live", "openapi.json", "metrics", "problems", "refund", "extend",
        ])
        .prop_map(str::to_owned),
        1 => "[ -~&&[^ ?#]]{0,40}",
        1 => Just("%ff%00".to_owned()),
        1 => "[0-9]{1,30}",
    ];
    let query = prop_oneof![3 => Just(String::new()), 1 => "\\?[a-z]{1,5}=[!-~]{0,10}"];
    prop_oneof![
        3 => Just("/v1/sales/demo/reservations".to_owned()),
        1 => prop::sample::select(vec![
            "/admin/v1/sales", "/admin/v1/sales/demo/import", "/admin/v1/sales/demo/skus",
            "/admin/v1/sales/demo/skus/a/top-up", "/admin/v1/products/p", "/v1/products",
            "/v1/orders/demo.0.aaaaaaaaaaaaaaaaaaaaaaaaaa/payments", "/v1/webhooks/payments/simulated",
        ])
        .prop_map(str::to_owned),
        3 => (vec(part, 1..8), query).prop_map(|(parts, query)| format!("/{}{query}", parts.join("/"))),
    ]
}

fn headers(tokens: [String; 2]) -> impl Strategy<Value = Vec<String>> {
    let header = prop_oneof![
        4 => prop::sample::select(tokens.to_vec()).prop_map(|token| format!("authorization: Bearer {token}")),
        1 => "authorization: (Bearer|Basic|) ?[!-~]{0,80}",
        4 => "idempotency-key: [!-~]{1,70}",
        1 => Just("idempotency-key: late:x".to_owned()),
        3 => Just("content-type: application/json".to_owned()),
        1 => prop::sample::select(vec!["text/csv", "application/x-ndjson", "text/plain", ";;", ""])
            .prop_map(|media| format!("content-type: {media}")),
        1 => "receipt: [0-9]{0,25}\\.[0-9]{0,25}\\.[0-9a-f]{0,40}",
        1 => "webhook-signature: t=[0-9]{0,25},v1=[0-9a-f]{0,70}",
        1 => "[a-z-]{1,20}: [ -~]{0,60}",
    ];
    vec(header, 0..6)
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let json = prop_oneof![
        Just(r#"{"lines":[{"sku":"a","quantity":1}]}"#.to_owned()),
        r#"\{"lines":\[\{"sku":"[ab]","quantity":-?[0-9]{1,22}\}\]\}"#,
        r#"\{"(lines|quantity|sale|verdict|simulate|restock|expires_at)":("[a-z0-9:-]{0,30}"|[0-9.eE-]{1,12}|null|\[\]|\{\})\}"#,
        r#"[\[\]{}":,0-9a-z ]{0,60}"#,
        "(\\[){0,300}",
    ];
    prop_oneof![
        5 => json.prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 0..200),
        1 => (16_000_usize..20_000).prop_map(|length| vec![b'1'; length]),
        1 => Just(Vec::new()),
    ]
}

/// A request in a frame that holds: its length is true, so the server has no reason to wait for more.
async fn framed(address: SocketAddr, method: &str, path: &str, headers: &[String], body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n").into_bytes();
    for header in headers {
        bytes.extend_from_slice(format!("{header}\r\n").as_bytes());
    }
    bytes.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
    bytes.extend_from_slice(body);
    let mut stream = tokio::net::TcpStream::connect(address).await.expect("the server listens");
    let _ = stream.write_all(&bytes).await;
    let mut answer = vec![0; 512];
    let read = stream.read(&mut answer).await.unwrap_or(0);
    answer.truncate(read);
    answer
}

fn check(answer: &[u8], accepted: &mut u64) -> Result<(), TestCaseError> {
    let text = String::from_utf8_lossy(answer);
    prop_assert!(text.is_empty() || text.starts_with("HTTP/1."), "{}", text);
    let status: u16 = text.get(9..12).and_then(|digits| digits.parse().ok()).unwrap_or(0);
    prop_assert!(status < 500, "{}", text);
    if status == 202 && text.contains("location: /v1/orders/") {
        *accepted += 1;
    }
    Ok(())
}

#[test]
fn nonsense_is_refused_and_takes_nothing() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let served = runtime.block_on(async {
        let served = Served::easy().await;
        served.sale("demo", 100_000).await;
        served
    });
    let tokens = [
        served.token("ann", doorbuster_web::token::Role::Buyer),
        served.token("root", doorbuster_web::token::Role::Admin),
    ];
    let mut runner = TestRunner::new(Config { cases: CASES, failure_persistence: None, ..Config::default() });
    let accepted = std::cell::Cell::new(0);
    let requests = (method(), path(), headers(tokens), body());
    runner
        .run(&requests, |(method, path, headers, body)| {
            let answer = runtime.block_on(framed(served.address, &method, &path, &headers, &body));
            let mut count = accepted.get();
            let checked = check(&answer, &mut count);
            accepted.set(count);
            checked
        })
        .unwrap();
    // Whole acceptances, and nothing else, have been counted and logged; replays of the same key are not.
    assert_eq!(served.telemetry.read(Metric::Accepted), served.world.state().log.len() as u64);
    assert!(served.telemetry.read(Metric::Accepted) <= accepted.get());
    runtime.block_on(async { served.anybody().get("/healthz").await.expect(200) });
}

#[test]
fn bytes_that_are_no_request_hurt_nobody() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let served = runtime.block_on(Served::easy());
    let mut runner = TestRunner::new(Config { cases: CASES / 4, failure_persistence: None, ..Config::default() });
    let bytes = prop_oneof![
        vec(any::<u8>(), 0..300),
        "(POST|GET) [ -~]{0,60}(\r\n|\n)([ -~]{0,40}(\r\n|\n)){0,5}".prop_map(String::into_bytes),
        (17_000_usize..40_000)
            .prop_map(|length| format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(length)).into_bytes()),
        (65_usize..200).prop_map(|count| format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(count)).into_bytes()),
    ];
    runner.run(&bytes, |bytes| check(&runtime.block_on(raw(served.address, &bytes)), &mut 0)).unwrap();
    runtime.block_on(async { served.anybody().get("/healthz").await.expect(200) });
}
