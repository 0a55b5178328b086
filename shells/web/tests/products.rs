//! Products as readers meet them: one read for a crowd, what is new for everybody, and what is told when nobody knows.

mod world;

use axum::serve::Listener;
use doorbuster_core::ids::{ProductId, Version};
use doorbuster_core::limits::{BACKOFF_MS_MAX, CACHE_ABSENT_AGE_MS};
use doorbuster_core::outcome::Outcome;
use doorbuster_runtime::drive::spawn;
use doorbuster_runtime::ports::cache::SharedCache;
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::io;
use std::time::Duration;
use tokio::io::DuplexStream;
use tokio::sync::{mpsc, watch};
use world::{Fault, Served};

const LAMP: &str = "/v1/products/lamp";

async fn put_lamp(served: &Served, name: &str) {
    served.admin().put("/admin/v1/products/lamp", &json!({"name": name})).await.expect(200);
}

/// What the invalidator does with a change.
async fn invalidate(served: &Served, version: u64) {
    let change = vec![(ProductId::parse("lamp").unwrap(), Version(version))];
    assert!(matches!(served.shared.floor(change.clone()).await, Outcome::Done(_)));
    assert!(matches!(served.shared.announce(change).await, Outcome::Done(())));
}

/// Asks until this version is shown: a message takes a few turns of the runtime, which nothing counts.
async fn shows(served: &Served, version: u64) -> Value {
    const ASKED_MAX: u32 = 1_000;
    for _ in 0..ASKED_MAX {
        let shown = served.anybody().get(LAMP).await.expect(200).json();
        if shown["version"] == version {
            return shown;
        }
    }
    panic!("version {version} was never shown");
}

/// Connections without sockets.
struct Memory(mpsc::UnboundedReceiver<DuplexStream>);

impl Listener for Memory {
    type Io = DuplexStream;
    type Addr = ();

    async fn accept(&mut self) -> (DuplexStream, ()) {
        match self.0.recv().await {
            Some(io) => (io, ()),
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<()> {
        Ok(())
    }
}

/// One request on a connection of its own: status and body.
async fn visit(io: DuplexStream) -> (u16, Bytes) {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(io)).await.unwrap();
    spawn(connection);
    let request = Request::get(LAMP).header("host", "test").body(Empty::<Bytes>::new()).unwrap();
    let (head, body) = sender.send_request(request).await.expect("an answer").into_parts();
    (head.status.as_u16(), body.collect().await.expect("a whole body").to_bytes())
}

#[tokio::test]
async fn ten_thousand_who_miss_at_once_cost_one_read() {
    const READERS: usize = 10_000;
    const IO_BYTES: usize = 1024;
    let served = Served::easy().await;
    put_lamp(&served, "Lamp").await;
    served.world.state().product_reads = 0;
    let (accept, accepted) = mpsc::unbounded_channel();
    let (_stop, stopped) = watch::channel(false);
    spawn(doorbuster_web::serve_on(Memory(accepted), served.api.clone(), stopped));

    served.world.break_now(Fault::StoreHangs);
    tokio::time::pause();
    let mut visits = Vec::new();
    for _ in 0..READERS {
        let (near, far) = tokio::io::duplex(IO_BYTES);
        accept.send(far).unwrap();
        visits.push(spawn(visit(near)));
    }
    // The paused clock goes on only when nothing else can: then all of them wait for the product.
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(served.world.state().product_reads, 1, "one read is under way");
    assert!(visits.iter().all(|visit| !visit.is_finished()), "everybody missed");
    served.world.mend();
    served.world.release.notify_waiters();
    for visit in visits {
        let (status, body) = visit.await.unwrap();
        assert_eq!((status, serde_json::from_slice::<Value>(&body).unwrap()["name"].as_str()), (200, Some("Lamp")));
    }
    assert_eq!(served.world.state().product_reads, 1, "nobody cost another one");
}

#[tokio::test]
async fn a_change_is_shown_by_another_edge_once_it_is_told() {
    let one = Served::easy().await;
    let other = one.beside().await;
    put_lamp(&one, "Lamp").await;
    shows(&other, 1).await;
    put_lamp(&one, "Brighter lamp").await;
    let kept = other.anybody().get(LAMP).await.expect(200).json();
    assert_eq!(kept["name"], "Lamp", "nobody has told it, and its clock stands");
    let reads = one.world.state().product_reads;
    invalidate(&one, 2).await;
    assert_eq!(shows(&other, 2).await["name"], "Brighter lamp");
    assert_eq!(one.world.state().product_reads, reads + 1, "one read for the change");
    shows(&one, 2).await;
    assert_eq!(one.world.state().product_reads, reads + 1, "the other edge has it from what they share");
}

#[tokio::test]
async fn what_is_not_there_is_not_asked_for_again_and_again() {
    let served = Served::easy().await;
    for _ in 0..3 {
        assert_eq!(served.anybody().get(LAMP).await.expect(404).slug(), "unknown-product");
    }
    assert_eq!(served.world.state().product_reads, 1);
    put_lamp(&served, "Lamp").await;
    served.world.pass_ms(CACHE_ABSENT_AGE_MS);
    assert_eq!(served.anybody().get(LAMP).await.expect(200).json()["name"], "Lamp", "also without a message");
}

#[tokio::test]
async fn where_the_database_does_not_answer_readers_come_again() {
    let served = Served::easy().await;
    put_lamp(&served, "Lamp").await;
    let reads = served.world.state().product_reads;
    served.world.break_now(Fault::StoreUnavailable);
    for _ in 0..3 {
        let told = served.anybody().get(LAMP).await.expect(503);
        assert_eq!((told.slug().as_str(), told.header("retry-after")), ("unavailable", "1"));
    }
    assert_eq!(served.world.state().product_reads, reads + 1, "one of them found out for all");
    served.world.mend();
    served.world.pass_ms(BACKOFF_MS_MAX);
    served.anybody().get(LAMP).await.expect(200);
    served.world.break_now(Fault::StoreUnavailable);
    served.anybody().get(LAMP).await.expect(200);
}

#[tokio::test]
async fn a_reader_names_the_version_that_it_has() {
    let served = Served::easy().await;
    put_lamp(&served, "Lamp").await;
    let shown = served.anybody().get(LAMP).await.expect(200);
    assert_eq!((shown.header("etag"), shown.header("cache-control")), ("\"1\"", "public, max-age=1"));
    assert_eq!(shown.header("content-type"), "application/json");
    let known = served.anybody().with("if-none-match", "\"1\"").get(LAMP).await.expect(304);
    assert_eq!((known.header("etag"), known.body.len()), ("\"1\"", 0));
    served.anybody().with("if-none-match", "\"2\"").get(LAMP).await.expect(200);
}

#[tokio::test]
async fn an_operator_changes_the_version_that_was_looked_at() {
    let served = Served::easy().await;
    let (root, path, body) = (served.admin(), "/admin/v1/products/lamp", json!({"name": "Lamp", "category": "light"}));
    assert_eq!(root.with("if-match", "*").put(path, &body).await.expect(412).slug(), "stale-version", "none is there");
    root.put(path, &body).await.expect(200);
    let changed = root.with("if-match", "\"1\"").put(path, &body).await.expect(200);
    assert_eq!((changed.header("etag"), &changed.json()["version"]), ("\"2\"", &json!(2)));
    let stale = root.with("if-match", "\"1\"").put(path, &body).await.expect(412);
    assert_eq!((stale.slug().as_str(), &stale.json()["version"]), ("stale-version", &json!(2)));
    assert_eq!(served.anybody().get(LAMP).await.expect(200).json()["version"], 2);
}

#[tokio::test]
async fn a_product_has_the_shape_that_is_documented() {
    let served = Served::easy().await;
    put_lamp(&served, "Lamp").await;
    let document = served.anybody().get("/openapi.json").await.expect(200).json();
    let properties = document["components"]["schemas"]["Product"]["properties"].as_object().unwrap();
    let (shown, listed) = (served.anybody().get(LAMP).await.json(), served.anybody().get("/v1/products").await.json());
    assert_eq!(shown, listed["products"][0]);
    let documented: Vec<&String> = properties.keys().collect();
    assert_eq!(shown.as_object().unwrap().keys().collect::<Vec<_>>(), documented);
    let operation = &document["paths"]["/v1/products/{product}"]["get"];
    assert!(operation["responses"]["304"].is_object() && operation["responses"]["503"].is_object());
}
