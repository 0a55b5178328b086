//! A TCP proxy of the loopback that breaks: links that are cut, that stand still in one direction or both, and that are slow.
//!
//! It knows nothing of what passes. A link is a client's connection and the one that the proxy makes to the target for it.

mod link;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, watch};

/// Links at once. A client that opens more is leaking them; the rest wait in the kernel's queue.
const LINKS_MAX: usize = 4_096;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the target: what is held here is a request that never arrives.
    ToTarget,
    /// From the target to the client: what is held here is an answer whose request was carried out.
    ToClient,
}

/// What the links suffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Weather {
    /// How often links were reset: each link ends when the number is another than at its beginning.
    resets: u64,
    refuses: bool,
    hold_to_target: bool,
    hold_to_client: bool,
    delay_ms: u64,
}

impl Weather {
    fn holds(self, direction: Direction) -> bool {
        match direction {
            Direction::ToTarget => self.hold_to_target,
            Direction::ToClient => self.hold_to_client,
        }
    }
}

/// What went through since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Links that were opened.
    pub links: u64,
    /// Connections of clients that were refused because the proxy was cut, or its target did not answer.
    pub refused: u64,
    /// Bytes that clients sent and the proxy took.
    pub taken_from_client: u64,
    /// Bytes of those that were passed on.
    pub passed_to_target: u64,
    /// Bytes that the target sent and the proxy took.
    pub taken_from_target: u64,
    /// Bytes of those that were passed on.
    pub passed_to_client: u64,
}

/// The counters behind [`Counts`].
#[derive(Debug, Default)]
struct Counters {
    links: AtomicU64,
    refused: AtomicU64,
    taken_from_client: AtomicU64,
    passed_to_target: AtomicU64,
    taken_from_target: AtomicU64,
    passed_to_client: AtomicU64,
}

/// A proxy; its links are closed when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    weather: watch::Sender<Weather>,
    counters: Arc<Counters>,
    runtime: Option<Runtime>,
}

impl Proxy {
    /// Listens on a free port of the loopback and passes everything on to `target`, until something is broken.
    ///
    /// # Errors
    ///
    /// No port or no thread can be had. A target that is not there is no error: its clients are refused, as without a proxy.
    pub fn start(target: SocketAddr) -> io::Result<Proxy> {
        // One thread copies some gigabytes a second, which is more than anything behind it answers.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
        let address = listener.local_addr()?;
        let (weather, observed) = watch::channel(Weather::default());
        let counters = Arc::new(Counters::default());
        runtime.spawn(accept(listener, target, observed, Arc::clone(&counters)));
        Ok(Proxy { address, weather, counters, runtime: Some(runtime) })
    }

    /// Where clients find it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Resets every link, with what is under way in it, and every new one until [`Proxy::heal`]: the target's machine is gone.
    pub fn cut(&self) {
        self.weather.send_modify(|weather| {
            weather.resets += 1;
            weather.refuses = true;
        });
    }

    /// Resets every link, with what is under way in it; new ones are made at once.
    pub fn reset(&self) {
        self.weather.send_modify(|weather| weather.resets += 1);
    }

    /// Lets nothing pass in either direction, and nobody know: links stay open, new ones are accepted, and what is sent waits.
    pub fn hold(&self) {
        self.hold_only(Direction::ToTarget);
        self.hold_only(Direction::ToClient);
    }

    /// Lets nothing pass in one direction: a link that is half open. What is sent in it waits; the other direction goes on.
    pub fn hold_only(&self, direction: Direction) {
        self.weather.send_modify(|weather| match direction {
            Direction::ToTarget => weather.hold_to_target = true,
            Direction::ToClient => weather.hold_to_client = true,
        });
    }

    /// Passes everything on so many milliseconds after it came, in each direction; what came before keeps its own delay.
    pub fn delay_ms(&self, delay_ms: u64) {
        self.weather.send_modify(|weather| weather.delay_ms = delay_ms);
    }

    /// Ends all of it: what waited passes, in its order, and new links are made.
    pub fn heal(&self) {
        self.weather.send_modify(|weather| *weather = Weather { resets: weather.resets, ..Weather::default() });
    }

    /// What went through so far.
    pub fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        // What was passed on is read before what was taken, so that it is never the larger of the two.
        let (passed_to_target, passed_to_client) =
            (read(&self.counters.passed_to_target), read(&self.counters.passed_to_client));
        Counts {
            links: read(&self.counters.links),
            refused: read(&self.counters.refused),
            taken_from_client: read(&self.counters.taken_from_client),
            passed_to_target,
            taken_from_target: read(&self.counters.taken_from_target),
            passed_to_client,
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Its tasks hold nothing that would have to be finished, and a drop inside of another runtime must not wait.
            runtime.shutdown_background();
        }
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, weather: watch::Receiver<Weather>, counters: Arc<Counters>) {
    let room = Arc::new(Semaphore::new(LINKS_MAX));
    while let Ok(place) = Arc::clone(&room).acquire_owned().await {
        // An error of one connection, such as one that is gone before it was accepted, is no reason to stop.
        let Ok((client, _)) = listener.accept().await else { continue };
        let (weather, counters) = (weather.clone(), Arc::clone(&counters));
        tokio::spawn(async move {
            link::carry(client, target, weather, &counters).await;
            drop(place);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{Shutdown, TcpListener, TcpStream};
    use std::time::{Duration, Instant};

    /// Sends back what it gets, to everybody at once.
    fn echo() -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                std::thread::spawn(move || {
                    let (mut read, mut write) = (stream.try_clone().unwrap(), stream);
                    // A link that was cut is what these tests are about.
                    let _ = std::io::copy(&mut read, &mut write);
                    let _ = write.shutdown(Shutdown::Write);
                });
            }
        });
        address
    }

    fn read(client: &mut TcpStream, length: usize) -> std::io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        client.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn echoed(client: &mut TcpStream, word: &[u8]) -> std::io::Result<bool> {
        client.write_all(word)?;
        Ok(read(client, word.len())? == word)
    }

    fn until(proxy: &Proxy, holds: impl Fn(Counts) -> bool) {
        while !holds(proxy.counts()) {
            std::thread::yield_now();
        }
    }

    #[test]
    fn what_is_sent_comes_back_and_is_counted_and_so_is_the_end() {
        let proxy = Proxy::start(echo()).unwrap();
        let mut client = TcpStream::connect(proxy.address()).unwrap();
        let long: Vec<u8> = (0..1_000_000_u32).map(|number| number as u8).collect();
        let mut writer = client.try_clone().unwrap();
        let sent = long.clone();
        let writing = std::thread::spawn(move || {
            writer.write_all(&sent).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        let mut back = Vec::new();
        client.read_to_end(&mut back).unwrap();
        writing.join().unwrap();
        assert!(back == long);
        until(&proxy, |counts| counts.passed_to_client == 1_000_000);
        let counts = proxy.counts();
        assert_eq!((counts.links, counts.refused), (1, 0));
        assert_eq!((counts.taken_from_client, counts.passed_to_target), (1_000_000, 1_000_000));
    }

    #[test]
    fn a_cut_resets_the_links_and_refuses_new_ones_until_it_is_healed() {
        let proxy = Proxy::start(echo()).unwrap();
        let mut client = TcpStream::connect(proxy.address()).unwrap();
        assert!(echoed(&mut client, b"before").unwrap());
        proxy.cut();
        assert!(echoed(&mut client, b"during").is_err());
        let mut during = TcpStream::connect(proxy.address()).unwrap();
        assert!(echoed(&mut during, b"during").is_err());
        assert_eq!(proxy.counts().refused, 1);
        proxy.heal();
        assert!(echoed(&mut client, b"after").is_err(), "a link that was cut stays cut");
        assert!(echoed(&mut TcpStream::connect(proxy.address()).unwrap(), b"after").unwrap());
    }

    #[test]
    fn a_reset_ends_the_links_and_new_ones_are_made_at_once() {
        let proxy = Proxy::start(echo()).unwrap();
        let mut client = TcpStream::connect(proxy.address()).unwrap();
        assert!(echoed(&mut client, b"before").unwrap());
        proxy.reset();
        assert!(echoed(&mut client, b"after").is_err());
        assert!(echoed(&mut TcpStream::connect(proxy.address()).unwrap(), b"after").unwrap());
        assert_eq!((proxy.counts().links, proxy.counts().refused), (2, 0));
    }

    #[test]
    fn what_is_held_waits_and_comes_when_it_is_healed() {
        let proxy = Proxy::start(echo()).unwrap();
        let mut client = TcpStream::connect(proxy.address()).unwrap();
        assert!(echoed(&mut client, b"before").unwrap());
        proxy.hold();
        client.write_all(b"held").unwrap();
        let mut late = TcpStream::connect(proxy.address()).unwrap();
        late.write_all(b"late").unwrap();
        until(&proxy, |counts| counts.taken_from_client == 10);
        let counts = proxy.counts();
        assert_eq!((counts.passed_to_target, counts.links), (6, 1), "the late one is accepted, and leads nowhere");
        proxy.heal();
        assert_eq!(read(&mut client, 4).unwrap(), b"held");
        assert_eq!(read(&mut late, 4).unwrap(), b"late");
    }

    #[test]
    fn an_answer_that_is_held_and_cut_was_carried_out_and_is_never_heard_of() {
        let proxy = Proxy::start(echo()).unwrap();
        let mut client = TcpStream::connect(proxy.address()).unwrap();
        assert!(echoed(&mut client, b"before").unwrap());
        proxy.hold_only(Direction::ToClient);
        client.write_all(b"question").unwrap();
        until(&proxy, |counts| counts.taken_from_target == 14);
        assert_eq!((proxy.counts().passed_to_target, proxy.counts().passed_to_client), (14, 6));
        proxy.cut();
        proxy.heal();
        assert!(read(&mut client, 1).is_err());
        assert_eq!(proxy.counts().passed_to_client, 6);
    }

    #[test]
    fn what_is_delayed_comes_no_earlier_in_each_direction() {
        let proxy = Proxy::start(echo()).unwrap();
        let mut client = TcpStream::connect(proxy.address()).unwrap();
        proxy.delay_ms(30);
        let began = Instant::now();
        assert!(echoed(&mut client, b"slow").unwrap());
        assert!(began.elapsed() >= Duration::from_millis(60));
    }

    #[test]
    fn a_target_that_is_not_there_refuses() {
        let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        let proxy = Proxy::start(nobody).unwrap();
        let mut client = TcpStream::connect(proxy.address()).unwrap();
        assert!(echoed(&mut client, b"hello").is_err());
        until(&proxy, |counts| counts.refused == 1);
    }
}
