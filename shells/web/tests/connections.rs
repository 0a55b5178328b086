//! Connections end when they are told to, whatever their peers have done before.

mod world;

use axum::serve::Listener;
use doorbuster_runtime::drive::spawn;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use world::Served;

/// A peer whose first bytes cost all that one turn of a task may do, and who is silent from then on.
struct Costly {
    read: bool,
    gone: Arc<AtomicBool>,
}

impl Drop for Costly {
    fn drop(&mut self) {
        self.gone.store(true, Ordering::SeqCst);
    }
}

impl AsyncRead for Costly {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while !self.read {
            self.read = pin!(tokio::task::consume_budget()).poll(context).is_pending();
        }
        Poll::Pending
    }
}

impl AsyncWrite for Costly {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Accepts one connection, and tells when it was asked for the next.
struct One {
    io: Option<Costly>,
    accepted: watch::Sender<bool>,
}

impl Listener for One {
    type Io = Costly;
    type Addr = ();

    async fn accept(&mut self) -> (Costly, ()) {
        match self.io.take() {
            Some(io) => (io, ()),
            None => {
                self.accepted.send_replace(true);
                std::future::pending().await
            }
        }
    }

    fn local_addr(&self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_peer_that_used_up_its_first_turn_still_ends_at_the_stop() {
    let served = Served::easy().await;
    let gone = Arc::new(AtomicBool::new(false));
    let (accepted, mut is_accepted) = watch::channel(false);
    let listener = One { io: Some(Costly { read: false, gone: gone.clone() }), accepted };
    let (stop, stopped) = watch::channel(false);
    let server = spawn(doorbuster_web::serve_on(listener, served.api.clone(), stopped));
    is_accepted.wait_for(|accepted| *accepted).await.unwrap();
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    stop.send_replace(true);
    tokio::time::pause();
    server.await.unwrap();
    assert!(gone.load(Ordering::SeqCst), "it was left open");
}
