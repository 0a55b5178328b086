//! What stands before the edges: each connection goes to the next of them that accepts it.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

/// An edge of this machine accepts at once; one that is stopped by a signal accepts too, and does not answer.
const CONNECT_MAX: Duration = Duration::from_millis(300);

/// Open until it is dropped.
pub struct Door {
    address: SocketAddr,
    runtime: Option<Runtime>,
}

impl Door {
    /// On a free port.
    pub fn open(edges: &[SocketAddr]) -> Result<Door, String> {
        let told = |error: std::io::Error| format!("the door to the edges: {error}");
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().map_err(told)?;
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).map_err(told)?;
        let address = listener.local_addr().map_err(told)?;
        runtime.spawn(admit(listener, edges.to_vec()));
        Ok(Door { address, runtime: Some(runtime) })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn admit(listener: TcpListener, edges: Vec<SocketAddr>) {
    for turn in 0.. {
        // An error of one connection is no reason to stop.
        let Ok((client, _)) = listener.accept().await else { continue };
        let mut edges = edges.clone();
        let count = edges.len();
        edges.rotate_left(turn % count);
        tokio::spawn(lead(client, edges));
    }
}

async fn lead(mut client: TcpStream, edges: Vec<SocketAddr>) {
    for edge in edges {
        let Ok(Ok(mut server)) = tokio::time::timeout(CONNECT_MAX, TcpStream::connect(edge)).await else { continue };
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        // Either side may break off: that is what the run is about, and whoever is left hears of it.
        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
        return;
    }
}
