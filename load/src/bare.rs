//! `load bare`: a hyper server that answers every POST with the same 202, the base that the platform is measured against.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use clap::Args;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue, LOCATION};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use crate::error::LoadError;

/// A server without a platform behind it.
#[derive(Args, Clone, Debug)]
pub struct Bare {
    /// Loopback address to listen on; port 0 takes a free one, which is printed.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// Length of the answer's body.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(64..=65_536))]
    pub body_bytes: u32,
    /// Ends when its standard input does, so that it never outlives the comparison that started it.
    #[arg(long, hide = true)]
    pub until_input_ends: bool,
}

/// Serves until the process is ended.
///
/// # Errors
/// `Bare` when the address is not on loopback or cannot be bound.
pub async fn run(bare: &Bare) -> Result<(), LoadError> {
    let failed = |error: std::io::Error| LoadError::Bare(error.to_string());
    if !bare.listen.ip().is_loopback() {
        return Err(LoadError::Bare(format!("{} is not a loopback address", bare.listen)));
    }
    let listener = TcpListener::bind(bare.listen).await.map_err(failed)?;
    println!("listening {}", listener.local_addr().map_err(failed)?);
    let body = body(bare.body_bytes as usize);
    if bare.until_input_ends {
        tokio::select! {
            () = serve(listener, body) => {}
            () = input_ended() => {}
        }
    } else {
        serve(listener, body).await;
    }
    Ok(())
}

async fn serve(listener: TcpListener, body: Bytes) {
    loop {
        // An accept fails when files run out; the next one may succeed, and there is nothing else to do here.
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let body = body.clone();
        let service = service_fn(move |request| answer(request, body.clone()));
        tokio::spawn(async move {
            let _ = http1::Builder::new().pipeline_flush(true).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(request: Request<Incoming>, body: Bytes) -> Result<Response<Full<Bytes>>, Infallible> {
    // The body is read as every server of this route must; a broken one ends the connection anyway.
    let _ = request.into_body().collect().await;
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = StatusCode::ACCEPTED;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
        .headers_mut()
        .insert(LOCATION, HeaderValue::from_static("/v1/orders/load-bare.0.AAAAAAAAAAAAAAAAAAAAAAAAAA"));
    Ok(response)
}

async fn input_ended() {
    let mut input = tokio::io::stdin();
    let mut buffer = [0; 64];
    while input.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
}

/// An accepted answer of exactly this length, the receipt taking up what remains.
fn body(length: usize) -> Bytes {
    let head = r#"{"id":"load-bare.0.AAAAAAAAAAAAAAAAAAAAAAAAAA","status":"held","receipt":""#;
    let filler = length.saturating_sub(head.len() + 2);
    Bytes::from(format!("{head}{}\"}}", "r".repeat(filler)))
}
