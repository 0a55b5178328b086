//! One process of the fleet: started, stopped, killed, and cut off from its servers.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use super::{LOOK_EVERY, Link, Servers, config};
use crate::platform;
use crate::proxy::Proxy;
use crate::servers::{Process, Signal};

/// Where a process lives.
#[derive(Clone, Debug)]
pub struct Place {
    pub binary: PathBuf,
    /// Its file and its log.
    pub directory: PathBuf,
    /// Where it tells how it is.
    pub watch: SocketAddr,
    /// Where it serves buyers, if it is an edge.
    pub listen: Option<SocketAddr>,
}

/// One process, which may be down.
pub struct Member {
    pub name: &'static str,
    role: &'static str,
    place: Place,
    links: BTreeMap<Link, Proxy>,
    child: Option<Child>,
    paused: bool,
}

impl Member {
    pub fn new(
        name: &'static str,
        role: &'static str,
        place: Place,
        servers: &Servers,
        door: SocketAddr,
    ) -> Result<Member, String> {
        std::fs::create_dir_all(&place.directory).map_err(|error| format!("{}: {error}", place.directory.display()))?;
        let mut links = BTreeMap::new();
        for (link, target) in servers.behind_links() {
            links.insert(link, Proxy::start(target).map_err(|error| format!("a proxy of {name}: {error}"))?);
        }
        let listen = place.listen.unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let by = |link: Link, target: SocketAddr| links.get(&link).map_or(target, Proxy::address);
        config::write(&place.directory.join("config.toml"), &servers.config(by, place.watch, listen, door))?;
        Ok(Member { name, role, place, links, child: None, paused: false })
    }

    /// Starts it if it does not run, with a wall clock that is off by so many milliseconds.
    pub fn start(&mut self, skew_ms: i64) -> Result<(), String> {
        if self.is_running() {
            return Ok(());
        }
        let path = self.place.directory.join("log");
        let open = || File::options().create(true).append(true).open(&path);
        let (output, errors) = (open(), open());
        let told = |error: std::io::Error| format!("{}: {error}", path.display());
        let child = Command::new(&self.place.binary)
            .args(["serve", self.role, "--dev", "--config"])
            .arg(self.place.directory.join("config.toml"))
            .env("DOORBUSTER_CLOCK__SKEW_MS", skew_ms.to_string())
            .stdin(Stdio::null())
            .stdout(output.map_err(told)?)
            .stderr(errors.map_err(told)?)
            .spawn()
            .map_err(|error| format!("{}: {error}", self.place.binary.display()))?;
        (self.child, self.paused) = (Some(child), false);
        Ok(())
    }

    /// Whether it runs, or is stopped by a signal.
    pub fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Whether it says that it can work.
    pub fn is_ready(&self) -> bool {
        platform::get(self.place.watch, "/readyz").is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
    }

    /// Ends it at once. Returns whether it ran.
    pub fn kill(&mut self) -> bool {
        let ran = self.is_running();
        if let Some(mut child) = self.child.take() {
            // One that has ended by itself is what is wanted.
            let _ = child.kill();
            let _ = child.wait();
        }
        ran
    }

    /// Lets it stand still until [`Member::resume`]. Returns whether it ran and did not stand still before.
    pub fn pause(&mut self) -> bool {
        let stops = !self.paused && self.send(Signal::STOP);
        self.paused |= stops;
        stops
    }

    pub fn resume(&mut self) {
        self.send(Signal::CONT);
        self.paused = false;
    }

    /// Asks it to stop, as whoever replaces it would.
    pub fn ask_to_stop(&mut self) {
        self.resume();
        self.send(Signal::TERM);
    }

    /// Waits for that; ends it when it does not.
    ///
    /// # Errors
    /// It had to be ended, or ended badly.
    pub fn wait_for_stop(&mut self, deadline: Instant) -> Result<(), String> {
        let Some(child) = self.child.as_mut() else { return Ok(()) };
        while Instant::now() < deadline {
            match child.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => return Err(format!("{} ended with {status}: {}", self.name, self.last_words())),
                Ok(None) => std::thread::sleep(LOOK_EVERY),
                Err(error) => return Err(format!("{}: {error}", self.name)),
            }
        }
        self.kill();
        Err(format!("{} did not stop when it was asked to: {}", self.name, self.last_words()))
    }

    /// Its way to a server, if a proxy stands there.
    pub fn link(&self, link: Link) -> Option<&Proxy> {
        self.links.get(&link)
    }

    /// Goes on, and reaches everything.
    pub fn heal(&mut self) {
        self.resume();
        self.links.values().for_each(Proxy::heal);
    }

    /// The end of its log.
    pub fn last_words(&self) -> String {
        let log = std::fs::read_to_string(self.place.directory.join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    fn send(&mut self, signal: Signal) -> bool {
        if !self.is_running() {
            return false;
        }
        let pid = self.child.as_ref().and_then(|child| i32::try_from(child.id()).ok());
        pid.and_then(Process::of).is_some_and(|process| process.send(signal))
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.kill();
    }
}
