//! One host's process: its clocks and entropy, whether it stands still, and its way into the network.

use super::carriers::Carriers;
use super::scene::Scene;
use super::stream::Stream;
use crate::seed::Seed;
use crate::worlds::fast::clock::Clock;
use doorbuster_core::rng::Rng;
use doorbuster_core::time::Now;
use doorbuster_runtime::env::{Env, Gate, SharedEnv};
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use turmoil::net::{TcpListener, TcpStream};

/// A connection that is not there after this will never be: a lost SYN is not sent again. Longer than every caller's
/// own patience, so that theirs is what is tried.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// Steps of its machines, reads and writes that a process may do at one moment of the run: a hundred times what the busiest
/// one of 300 seeds does.
const STEPS_MAX: u32 = 10_000;

/// See the module. It outlives the lives of its process.
pub struct Process {
    /// "intake-0".
    pub name: Arc<str>,
    /// Its place among all hosts, for the hash.
    pub number: u64,
    /// What all hosts share.
    pub scene: Arc<Scene>,
    /// The server of shards that it takes for the one in charge.
    pub believes: AtomicUsize,
    /// What carries its connections.
    pub carriers: Carriers,
    seed: Seed,
    clock: Mutex<Clock>,
    life: Mutex<Life>,
    paused: watch::Sender<bool>,
    stop: watch::Sender<bool>,
    /// Milliseconds by which everything that it does is late.
    slow_ms: AtomicU64,
    /// Messages after which it dies, if it is to; at 0 it is dead and the world has not seen it yet.
    dies_after: Mutex<Option<u64>>,
    /// What it has done at the present moment of the run.
    steps: Mutex<Steps>,
}

/// How often a process did anything at one moment.
#[derive(Default)]
struct Steps {
    at_us: u64,
    count: u32,
}

/// What belongs to one life.
struct Life {
    number: u32,
    rng: Rng,
}

impl Process {
    /// A process that has not begun.
    pub fn new(name: &str, number: u64, scene: &Arc<Scene>, seed: Seed) -> Arc<Process> {
        Arc::new(Process {
            name: Arc::from(name),
            number,
            scene: scene.clone(),
            believes: AtomicUsize::new(0),
            carriers: Carriers::default(),
            seed,
            clock: Mutex::default(),
            life: Mutex::new(Life { number: 0, rng: Rng::seeded(0) }),
            paused: watch::Sender::new(false),
            stop: watch::Sender::new(false),
            slow_ms: AtomicU64::new(0),
            dies_after: Mutex::new(None),
            steps: Mutex::default(),
        })
    }

    /// A new life begins: with entropy of its own.
    pub fn begin_life(&self) -> u32 {
        let mut life = self.life.lock().expect("no holder of this lock panics");
        life.number += 1;
        life.rng = self.seed.stream(&format!("{}/{}", self.name, life.number));
        self.paused.send_replace(false);
        self.stop.send_replace(false);
        self.die_after(None);
        life.number
    }

    /// The same, for those who want an `Env`.
    pub fn env(self: &Arc<Process>) -> SharedEnv {
        self.clone()
    }

    /// Changes its clocks.
    pub fn set_clock<T>(&self, change: impl FnOnce(&mut Clock, u64) -> T) -> T {
        let now_us = self.scene.now_us();
        change(&mut self.clock.lock().expect("no holder of this lock panics"), now_us)
    }

    /// Lets it stand still, or go on.
    pub fn pause(&self, paused: bool) {
        self.paused.send_replace(paused);
    }

    /// Makes it late by so many milliseconds in everything.
    pub fn slow_down(&self, millis: u64) {
        self.slow_ms.store(millis, Ordering::Relaxed);
    }

    /// Lets it die when it has sent so many messages more, between two of them.
    pub fn die_after(&self, messages: Option<u64>) {
        *self.dies_after.lock().expect("no holder of this lock panics") = messages;
    }

    /// Counts a message that is about to leave; whether the process died before it.
    pub fn dies_now(&self) -> bool {
        let mut left = self.dies_after.lock().expect("no holder of this lock panics");
        match left.as_mut() {
            None => false,
            Some(0) => true,
            Some(left) => {
                *left -= 1;
                false
            }
        }
    }

    /// Whether it has died and nobody has seen it yet.
    pub fn is_dead(&self) -> bool {
        *self.dies_after.lock().expect("no holder of this lock panics") == Some(0)
    }

    /// Turned to true when this life is asked to end.
    pub fn stopped(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    /// Asks this life to end.
    pub fn ask_to_stop(&self) {
        self.stop.send_replace(true);
    }

    /// Hears when it stands still.
    pub fn pauses(&self) -> watch::Receiver<bool> {
        self.paused.subscribe()
    }

    /// Counts one more step of a machine, read or write; whether there are so many at this moment that it never ends. The
    /// network never gets its turn again then: the process stands still, so that the run ends with what is broken.
    fn spins(&self) -> bool {
        let now_us = self.scene.now_us();
        let mut steps = self.steps.lock().expect("no holder of this lock panics");
        if steps.at_us != now_us {
            *steps = Steps { at_us: now_us, count: 0 };
        }
        steps.count += 1;
        if steps.count == STEPS_MAX + 1 {
            let what =
                format!("{} wants to be woken for what it does not do: {STEPS_MAX} steps at one moment", self.name);
            self.scene.violate("L11", what);
        }
        steps.count > STEPS_MAX
    }

    /// Opens a connection to a host by its name.
    ///
    /// # Errors
    /// Refused, or nothing came of it in ten seconds.
    pub async fn connect(self: &Arc<Process>, to: &str, port: u16) -> io::Result<Stream> {
        let connecting = tokio::time::timeout(CONNECT_MAX, TcpStream::connect((to, port)));
        let stream = connecting.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        Ok(Stream::opened(self.clone(), to, stream))
    }

    /// Listens on a port of this host.
    ///
    /// # Errors
    /// The port is taken.
    pub async fn listen(self: &Arc<Process>, port: u16) -> io::Result<Listener> {
        let listener = TcpListener::bind((IpAddr::from(Ipv4Addr::UNSPECIFIED), port)).await?;
        Ok(Listener { process: self.clone(), listener })
    }
}

impl Env for Process {
    fn now(&self) -> Now {
        let now_us = self.scene.now_us();
        let own = self.clock.lock().expect("no holder of this lock panics").read(now_us);
        self.scene.after_leaps(own)
    }

    fn entropy(&self) -> u64 {
        self.life.lock().expect("no holder of this lock panics").rng.draw()
    }

    fn gate(&self) -> Option<Gate> {
        if self.spins() {
            return Some(Box::pin(std::future::pending()));
        }
        let mut paused = self.pauses();
        let slow_ms = self.slow_ms.load(Ordering::Relaxed);
        if !*paused.borrow_and_update() {
            return (slow_ms > 0).then(|| Box::pin(tokio::time::sleep(Duration::from_millis(slow_ms))) as Gate);
        }
        Some(Box::pin(async move {
            // The sender lives as long as the process.
            let _ = paused.wait_for(|paused| !*paused).await;
        }))
    }
}

/// Connections that come to a host.
pub struct Listener {
    process: Arc<Process>,
    listener: TcpListener,
}

impl Listener {
    /// The host that listens.
    pub fn name(&self) -> Arc<str> {
        self.process.name.clone()
    }

    /// The next one, and who opened it.
    ///
    /// # Errors
    /// Never in this network.
    pub async fn accept(&self) -> io::Result<(Stream, Arc<str>)> {
        let (stream, from) = self.listener.accept().await?;
        let name = turmoil::reverse_lookup(from.ip()).unwrap_or_else(|| from.ip().to_string());
        let stream = Stream::accepted(self.process.clone(), &name, stream);
        Ok((stream, Arc::from(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::Trace;
    use crate::worlds::watch::Watch;
    use doorbuster_core::ids::SaleId;
    use doorbuster_core::machine::Machine;
    use doorbuster_core::time::Mono;
    use doorbuster_runtime::drive::{Perform, Performed, drive, inbox};

    /// A machine that wants to be woken in the past, for ever.
    struct Spinning;

    impl Machine for Spinning {
        type Event = ();
        type Effect = ();

        fn step(&mut self, _: Now, (): (), _: &mut Vec<()>) {}

        fn wake_at(&self) -> Option<(Mono, &'static str)> {
            Some((Mono(0), "nothing"))
        }
    }

    struct Idle;

    impl Perform<Spinning> for Idle {
        fn perform(&self, _: Now, (): ()) -> Option<Performed<()>> {
            None
        }
    }

    #[tokio::test]
    async fn a_machine_that_spins_breaks_l11_and_lets_the_run_end() {
        let watch = Watch::new(SaleId::parse("demo").expect("a short name"), 1, 1);
        let scene = Scene::new(Trace::default(), watch, Rng::seeded(1));
        let process = Process::new("intake-0", 0, &scene, Seed(1));
        let driven = drive(Spinning, Arc::new(Idle), process.env(), process.stopped(), inbox(), |_| ());
        tokio::select! {
            biased;
            _ = driven => unreachable!("nobody stops it"),
            () = std::future::ready(()) => {}
        }
        let violation = scene.state().violation.clone();
        assert_eq!(violation.map(|violation| violation.id), Some("L11".to_owned()));
    }
}
