//! Edge threads: each serves its connections on a runtime of its own, so that a buyer's request stays on one core.
//!
//! On a runtime that cores share, one of them hears of the sockets and the others take the work from it: each request
//! moves from cache to cache. What the router answers (console, operators, streams) still runs on the shared runtime,
//! where it holds up no buyer.

use crate::api::Shared;
use crate::server::{self, CONNECTIONS_MAX, Station};
use axum::serve::Listener;
use doorbuster_runtime::drive::Stop;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::num::NonZero;
use std::thread::{Builder, available_parallelism};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// Connections that were accepted and wait for their thread: at its bound it takes none, and the kernel's backlog waits.
const HANDED_MAX: usize = 1;

/// Where a thread's connections are handed in.
type Inlet = mpsc::Sender<std::net::TcpStream>;

/// Serves until told to stop; returns when the requests in flight are answered, or after ten seconds.
///
/// # Errors
/// When the machine gives no further thread or poll.
pub async fn serve(mut listener: TcpListener, api: Shared, mut stop: Stop) -> io::Result<()> {
    let address = listener.local_addr()?;
    let threads = u32::try_from(available_parallelism().map_or(1, NonZero::get)).unwrap_or(1);
    let station = Station { shared: Handle::current(), connections_max: (CONNECTIONS_MAX / threads).max(1) };
    let (running, mut ended) = mpsc::channel(1);
    let mut inlets = Vec::new();
    for number in 0..threads {
        inlets.push(start(number, address, (api.clone(), stop.clone(), station.clone()), running.clone())?);
    }
    drop(running);
    for turn in (0..inlets.len()).cycle() {
        tokio::select! {
            biased;
            () = server::stopped(&mut stop) => break,
            () = hand_over(&mut listener, &inlets, turn) => {}
        }
    }
    drop((listener, inlets));
    // Nothing is ever sent: it ends when the last thread has let go of its end.
    ended.recv().await;
    Ok(())
}

async fn hand_over(listener: &mut TcpListener, inlets: &[Inlet], turn: usize) {
    let (stream, _) = Listener::accept(listener).await;
    // The next thread that has room: one that is full must not hold the others' connections up.
    let mut in_turn = inlets.iter().cycle().skip(turn).take(inlets.len());
    let inlet = in_turn.find(|inlet| inlet.capacity() > 0).unwrap_or(&inlets[turn]);
    // Answers are small and whole: waiting for more to send would only delay them.
    match stream.set_nodelay(true).and_then(|()| stream.into_std()) {
        // A thread ends only with the process's stop, and then this connection ends too.
        Ok(stream) => drop(inlet.send(stream).await),
        Err(error) => tracing::debug!(%error, "a connection went away while it was accepted"),
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "threads of sockets, whose order is the network's; a simulator serves on its own runtime instead"
)]
fn start(
    number: u32,
    address: SocketAddr,
    (api, stop, station): (Shared, Stop, Station),
    running: mpsc::Sender<()>,
) -> io::Result<Inlet> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (inlet, handed) = mpsc::channel(HANDED_MAX);
    Builder::new().name(format!("edge-{number}")).spawn(move || {
        runtime.block_on(server::serve_in(station, Handed { handed, address }, api, stop));
        drop(running);
    })?;
    Ok(inlet)
}

/// The connections of one thread.
struct Handed {
    handed: mpsc::Receiver<std::net::TcpStream>,
    address: SocketAddr,
}

impl Listener for Handed {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            // The inlet is gone only at the stop, which ends this wait.
            let Some(stream) = self.handed.recv().await else { pending().await };
            match TcpStream::from_std(stream) {
                Ok(stream) => return (stream, self.address),
                Err(error) => tracing::warn!(%error, "a connection could not be polled"),
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}
