//! A proxy that swallows what the server answers to one request.

use doorbuster_runtime::drive::spawn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// Passes everything on until a request has the needle in it: that one still arrives, its answer does not, nor any after.
pub struct Proxy {
    pub address: String,
    armed: Arc<AtomicBool>,
}

impl Proxy {
    pub async fn start(server: &str, needle: &'static [u8]) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound").to_string();
        let (armed, server) = (Arc::new(AtomicBool::new(false)), server.to_owned());
        let arms = armed.clone();
        spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) =
                    TcpStream::connect(&server).await.expect("the server is up").into_split();
                let silent = Arc::new(AtomicBool::new(false));
                spawn(forward(from_client, to_server, needle, arms.clone(), silent.clone()));
                spawn(answer(from_server, to_client, silent));
            }
        });
        Proxy { address, armed }
    }

    pub fn arm(&self) {
        self.armed.store(true, Ordering::SeqCst);
    }
}

async fn forward(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    needle: &[u8],
    armed: Arc<AtomicBool>,
    silent: Arc<AtomicBool>,
) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let found = buffer[..read].windows(needle.len()).any(|window| window == needle);
        if found && armed.load(Ordering::SeqCst) {
            silent.store(true, Ordering::SeqCst);
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

async fn answer(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, silent: Arc<AtomicBool>) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if !silent.load(Ordering::SeqCst) && to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
