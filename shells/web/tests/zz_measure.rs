mod world;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use world::{Served, wish};

async fn drive(address: std::net::SocketAddr, requests: &[Vec<u8>], rounds: usize) -> f64 {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut buffer = vec![0; 65536];
    let began = Instant::now();
    for round in 0..rounds {
        stream.write_all(&requests[round % requests.len()]).await.unwrap();
        let mut got = 0;
        loop {
            got += stream.read(&mut buffer[got..]).await.unwrap();
            if let Some(at) = buffer[..got].windows(4).position(|w| w == b"\r\n\r\n") {
                let head = std::str::from_utf8(&buffer[..at]).unwrap().to_lowercase();
                let length: usize = head.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap().parse().unwrap();
                if got >= at + 4 + length { break; }
            }
        }
    }
    began.elapsed().as_secs_f64() * 1e6 / rounds as f64
}

#[tokio::test]
async fn measure() {
    let served = Served::easy().await;
    served.sale("demo", 1).await;
    served.buyer("ann").reserve("demo", "k", &wish("a", 1)).await.expect(202);
    served.buyer("bob").reserve("demo", "k", &wish("a", 1)).await.expect(409);
    let body = wish("a", 1).to_string();
    let mut requests = Vec::new();
    for n in 0..2000 {
        let token = served.token(&format!("u{n}"), doorbuster_web::token::Role::Buyer);
        requests.push(format!("POST /v1/sales/demo/reservations HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\nidempotency-key: k-{n}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes());
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let bare = listener.local_addr().unwrap();
    doorbuster_runtime::drive::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            doorbuster_runtime::drive::spawn(async move {
                let service = service_fn(|request: Request<hyper::body::Incoming>| async move {
                    let _ = request.into_body().collect().await;
                    Ok::<_, std::convert::Infallible>(Response::new(Full::new(Bytes::from(vec![b'x'; 250]))))
                });
                let _ = hyper::server::conn::http1::Builder::new().pipeline_flush(true).serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    for _ in 0..4 {
        let base = drive(bare, &requests, 20_000).await;
        let ours = drive(served.address, &requests, 20_000).await;
        println!("bare {base:.2} us, latched refusal {ours:.2} us, over {:.2} us", ours - base);
    }
}
