//! One link: what is read on one side is written on the other, as late and as long as the weather lets it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::{Counters, Direction, Weather};

/// Bytes read at once: what a socket's buffer holds at its beginning.
const CHUNK_BYTES: usize = 64 * 1024;
/// Chunks that wait in one direction of one link. With the sockets' own buffers that is a few megabytes, as much as a
/// connection has under way on a fast and long line; a sender behind that has to wait, as it would there.
const CHUNKS_MAX: usize = 32;

/// Bytes and the moment before which they are not passed on.
struct Chunk {
    due: Instant,
    bytes: Vec<u8>,
}

/// The counters of one direction.
struct Tally<'counters> {
    taken: &'counters AtomicU64,
    passed: &'counters AtomicU64,
}

/// Carries one client's bytes until both sides have ended, one has broken off, or the link is cut.
pub async fn carry(mut client: TcpStream, target: SocketAddr, weather: watch::Receiver<Weather>, counters: &Counters) {
    let mut resets = weather.clone();
    let mut server = None;
    let ended = tokio::select! {
        // In this order: who is cut has nothing passed on any more, whatever is ready.
        biased;
        () = until_reset(&mut resets) => false,
        ended = join(&mut client, target, &mut server, weather, counters) => ended,
    };
    if server.is_none() {
        counters.refused.fetch_add(1, Ordering::Relaxed);
    }
    if !ended {
        // A reset, and nothing of what is still in the buffers: an orderly end would tell the peer that it has everything.
        for side in [Some(&client), server.as_ref()].into_iter().flatten() {
            // A socket that is broken already needs no reset.
            let _ = side.set_zero_linger();
        }
    }
}

/// Connects and carries both directions. Returns whether both came to an orderly end.
async fn join(
    client: &mut TcpStream,
    target: SocketAddr,
    server: &mut Option<TcpStream>,
    weather: watch::Receiver<Weather>,
    counters: &Counters,
) -> bool {
    // Whoever is held does not even get a connection: the client has one, to nobody, as behind a router that drops.
    if !until_passable(&mut weather.clone(), Direction::ToTarget).await {
        return false;
    }
    let Ok(connected) = TcpStream::connect(target).await else { return false };
    counters.links.fetch_add(1, Ordering::Relaxed);
    let server = server.insert(connected);
    // Small questions and answers are what is measured through here.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (client_read, client_write) = client.split();
    let (server_read, server_write) = server.split();
    let to_target = Tally { taken: &counters.taken_from_client, passed: &counters.passed_to_target };
    let to_client = Tally { taken: &counters.taken_from_target, passed: &counters.passed_to_client };
    let carried = tokio::try_join!(
        pass(client_read, server_write, Direction::ToTarget, weather.clone(), to_target),
        pass(server_read, client_write, Direction::ToClient, weather, to_client),
    );
    carried.is_ok()
}

/// Carries one direction. The end of what is read is passed on too, behind everything that was read before it.
async fn pass(
    read: ReadHalf<'_>,
    write: WriteHalf<'_>,
    direction: Direction,
    weather: watch::Receiver<Weather>,
    tally: Tally<'_>,
) -> std::io::Result<()> {
    let (queue, waiting) = mpsc::channel(CHUNKS_MAX);
    let taken = take(read, queue, weather.clone(), tally.taken);
    let passed = give(write, waiting, direction, weather, tally.passed);
    tokio::try_join!(taken, passed).map(|_| ())
}

async fn take(
    mut read: ReadHalf<'_>,
    queue: mpsc::Sender<Chunk>,
    weather: watch::Receiver<Weather>,
    count: &AtomicU64,
) -> std::io::Result<()> {
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let length = read.read(&mut buffer).await?;
        let due = Instant::now() + Duration::from_millis(weather.borrow().delay_ms);
        count.fetch_add(length as u64, Ordering::Relaxed);
        // A chunk of nothing is the end.
        let chunk = Chunk { due, bytes: buffer[..length].to_vec() };
        if queue.send(chunk).await.is_err() || length == 0 {
            return Ok(());
        }
    }
}

async fn give(
    mut write: WriteHalf<'_>,
    mut waiting: mpsc::Receiver<Chunk>,
    direction: Direction,
    mut weather: watch::Receiver<Weather>,
    count: &AtomicU64,
) -> std::io::Result<()> {
    while let Some(chunk) = waiting.recv().await {
        tokio::time::sleep_until(chunk.due).await;
        if !until_passable(&mut weather, direction).await {
            return Err(std::io::ErrorKind::ConnectionAborted.into());
        }
        if chunk.bytes.is_empty() {
            return write.shutdown().await;
        }
        write.write_all(&chunk.bytes).await?;
        count.fetch_add(chunk.bytes.len() as u64, Ordering::Relaxed);
    }
    Ok(())
}

/// Waits until the weather lets this direction pass. Returns false when there is no proxy any more.
async fn until_passable(weather: &mut watch::Receiver<Weather>, direction: Direction) -> bool {
    weather.wait_for(|weather| !weather.holds(direction)).await.is_ok()
}

/// Returns when the links are reset, when new ones are refused, or when there is no proxy any more.
async fn until_reset(weather: &mut watch::Receiver<Weather>) {
    let before = weather.borrow().resets;
    let _ = weather.wait_for(|weather| weather.refuses || weather.resets != before).await;
}
