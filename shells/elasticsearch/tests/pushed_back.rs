//! Answers that a server gives only in trouble, from one that is made up. It needs no real one.

use doorbuster_core::ids::ProductId;
use doorbuster_core::outcome::Outcome;
use doorbuster_core::search::document::{Document, SnapshotTime};
use doorbuster_core::search::indexer::{PushedBack, Written};
use doorbuster_elasticsearch::cluster::Cluster;
use doorbuster_elasticsearch::config::ElasticsearchConfig;
use doorbuster_elasticsearch::index::ElasticsearchIndex;
use doorbuster_runtime::drive::spawn;
use doorbuster_runtime::ports::search::SearchIndex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What the made-up server does with a bulk.
#[derive(Clone, Copy)]
enum Does {
    /// Answers with this status and this body.
    Answers(u16, &'static str),
    /// Hears it and hangs up.
    HangsUp,
    /// Hears it and says nothing.
    Waits,
    /// Says that more follows than it sends.
    AnswersInPart,
}

/// Reads a request to the end of its body.
async fn hear(stream: &mut TcpStream) -> String {
    let (mut heard, mut part) = (Vec::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut part).await.expect("the client talks");
        heard.extend_from_slice(&part[..read]);
        let text = String::from_utf8(heard.clone()).expect("a request is text");
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length =
            head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.expect("a bulk has a length") {
            return text;
        }
    }
}

async fn serve(listener: TcpListener, does: Does) {
    let mut waiting = Vec::new();
    loop {
        let (mut stream, _) = listener.accept().await.expect("somebody asks");
        let request = hear(&mut stream).await;
        assert!(
            request.starts_with("POST /products-write/_bulk?") && request.contains("require_alias=true"),
            "{request}"
        );
        assert!(request.contains("\"version\":5,\"version_type\":\"external\""), "{request}");
        let (status, body, more) = match does {
            Does::Answers(status, body) => (status, body, 0),
            Does::AnswersInPart => (200, "{\"items\":[", 100),
            Does::HangsUp => continue,
            Does::Waits => {
                waiting.push(stream);
                continue;
            }
        };
        let length = body.len() + more;
        let head =
            format!("HTTP/1.1 {status} as told\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n");
        stream.write_all(format!("{head}connection: close\r\n\r\n{body}").as_bytes()).await.expect("it listens");
    }
}

async fn outcome(does: Does) -> Outcome<Vec<Written>, PushedBack> {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let urls = vec![format!("http://{}", listener.local_addr().expect("an address"))];
    let server = spawn(serve(listener, does));
    let config = ElasticsearchConfig { urls, bulk_ms: 500, primary_ms: 100, ..ElasticsearchConfig::default() };
    let search = ElasticsearchIndex::new(Cluster::new(config).expect("a valid section"));
    let document = |name: &str| {
        let product = ProductId::parse(name).expect("a test names a product");
        Document { product, version: SnapshotTime(5), row: None, sales_7d: 0 }
    };
    let outcome = search.write(vec![document("lamp"), document("chair")]).await;
    server.abort();
    outcome
}

#[tokio::test]
async fn a_bulk_that_is_pushed_back_whole_took_nothing() {
    let body = "{\"error\":{\"type\":\"es_rejected_execution_exception\",\"reason\":\"full\"},\"status\":429}";
    assert_eq!(outcome(Does::Answers(429, body)).await, Outcome::Refused(PushedBack));
    assert_eq!(outcome(Does::Answers(429, "too many requests")).await, Outcome::Refused(PushedBack), "a proxy's");
}

#[tokio::test]
async fn a_bulk_that_is_pushed_back_in_part_is_taken_apart() {
    let full =
        "{\"index\":{\"status\":429,\"error\":{\"type\":\"es_rejected_execution_exception\",\"reason\":\"full\"}}}";
    let body: &'static str = format!("{{\"items\":[{full},{{\"index\":{{\"status\":201}}}}]}}").leak();
    assert_eq!(outcome(Does::Answers(200, body)).await, Outcome::Done(vec![Written::Failed, Written::Stored]));
}

#[tokio::test]
async fn a_lost_or_torn_answer_is_unknown() {
    for does in [Does::HangsUp, Does::Waits, Does::AnswersInPart, Does::Answers(200, "{\"items\":[]}")] {
        assert_eq!(outcome(does).await, Outcome::Unknown);
    }
    for status in [500, 502, 503, 504] {
        assert_eq!(outcome(Does::Answers(status, "somebody in between")).await, Outcome::Unknown, "{status}");
    }
}
