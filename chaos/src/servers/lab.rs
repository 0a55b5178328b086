//! Servers for the life of a value, on ports of their own: what the gate and the runs that break things use.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::cache::Cache;
use super::launch::{Installed, Site};
use super::ports::Ports;
use super::running::{Bond, Running};
use super::{Server, Trouble};
use crate::stop;

/// Somebody who is not a lab may take a port between its choice and its use, seconds later; not twice in a row.
const STARTS_MAX: usize = 2;

/// Servers that are ended when this is dropped. When this program is killed before it can, the next lab ends them, or
/// `cargo lab down`.
pub struct Lab {
    benches: Vec<Bench>,
    missing: Vec<(Server, Trouble)>,
}

/// One server and what it holds.
struct Bench {
    running: Running,
    installed: Box<dyn Installed>,
    _ports: Ports,
}

impl Lab {
    /// Starts these servers, each on free ports, and waits until they can be used. Those that cannot be had on this machine
    /// are missing; fails, with nothing left running, when one that is here does not come up.
    ///
    /// From here on a signal that asks this program to stop is noted and not obeyed: at once it would leave the servers to
    /// run. Whoever has a lab looks at what was noted, and drops it.
    pub fn start(cache: &Cache, wanted: &[Server]) -> Result<Lab, String> {
        stop::heed();
        end_orphans(cache)?;
        let directory = directory(cache);
        let started: Vec<(Server, Result<Bench, Trouble>)> = std::thread::scope(|scope| {
            let start = |server: Server| Bench::start(cache, server, directory.join(server.name()));
            let threads: Vec<_> = wanted.iter().map(|server| (*server, scope.spawn(move || start(*server)))).collect();
            let joined = |thread: std::thread::ScopedJoinHandle<'_, _>| thread.join().expect("a start does not panic");
            threads.into_iter().map(|(server, thread)| (server, joined(thread))).collect()
        });
        let mut lab = Lab { benches: Vec::new(), missing: Vec::new() };
        let mut failed = Vec::new();
        for (server, result) in started {
            match result {
                Ok(bench) => lab.benches.push(bench),
                Err(missing @ Trouble::Missing { .. }) => lab.missing.push((server, missing)),
                Err(Trouble::Failed(why)) => failed.push(format!("{server}: {why}")),
            }
        }
        // Dropped with what did come up.
        if failed.is_empty() { Ok(lab) } else { Err(failed.join("\n")) }
    }

    /// The servers that run.
    pub fn running(&self) -> impl Iterator<Item = &Running> {
        self.benches.iter().map(|bench| &bench.running)
    }

    /// One of them, to break it or to look at it.
    pub fn server(&self, server: Server) -> Option<&Running> {
        self.running().find(|running| running.server == server)
    }

    /// The servers that cannot be had here, and why.
    pub fn missing(&self) -> &[(Server, Trouble)] {
        &self.missing
    }

    /// What tests read to find the servers: names of environment variables and their values.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        self.running().flat_map(|running| running.server.variables(&running.site)).collect()
    }

    /// Starts processes of a server again that have ended, on the data that they left, and waits until the server can be used.
    pub fn restart(&mut self, server: Server, processes: &[&str]) -> Result<(), String> {
        let bench = self.benches.iter_mut().find(|bench| bench.running.server == server);
        let bench = bench.ok_or_else(|| format!("{server} is not in this lab"))?;
        for process in processes {
            bench.running.restart(bench.installed.as_ref(), process)?;
        }
        bench.running.wait()
    }

    /// Ends the servers and waits until they are gone. Returns how long that took.
    pub fn stop(mut self) -> Result<Duration, String> {
        let took = self.benches.iter_mut().map(Bench::end).collect::<Result<Vec<Duration>, String>>()?;
        Ok(took.into_iter().sum())
    }
}

impl Bench {
    fn start(cache: &Cache, server: Server, directory: PathBuf) -> Result<Bench, Trouble> {
        let installed = server.obtain(cache)?;
        let mut why = String::new();
        // Held until one is up, so that the next try is on others.
        let mut tried = Vec::new();
        for _ in 0..STARTS_MAX {
            let ports = Ports::free(server.port_offsets())?;
            let site = Site { directory: directory.clone(), ports: ports.numbers.clone() };
            match Running::start(server, installed.as_ref(), site, Bond::Bound) {
                Ok(mut running) => match running.wait() {
                    Ok(()) => return Ok(Bench { running, installed, _ports: ports }),
                    Err(failure) => {
                        why = failure;
                        running.forget()?;
                    }
                },
                Err(failure) => why = failure,
            }
            tried.push(ports);
            if stop::asked().is_some() {
                break;
            }
        }
        Err(Trouble::Failed(why))
    }

    fn end(&mut self) -> Result<Duration, String> {
        let took = self.running.end()?;
        self.running.forget()?;
        Ok(took)
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if let Err(why) = self.end() {
            eprintln!("{why}");
        }
        // Gone with its last server; whatever else is in it is not ours to remove.
        let _ = self.running.site.directory.parent().map(fs::remove_dir);
    }
}

/// Ends servers whose lab was killed with its program. Returns how many.
pub fn end_orphans(cache: &Cache) -> Result<usize, String> {
    let mut ended = 0;
    for lab in fs::read_dir(labs(cache)).into_iter().flatten().flatten() {
        for server in fs::read_dir(lab.path()).into_iter().flatten().flatten() {
            let Some(mut running) = Running::recall(&server.path())?.filter(Running::is_orphaned) else { continue };
            running.end()?;
            running.forget()?;
            ended += 1;
        }
        // Fails while there is something in it, which belongs to a lab that lives.
        let _ = fs::remove_dir(lab.path());
    }
    Ok(ended)
}

/// A directory that no other lab has, of this program or of another.
fn directory(cache: &Cache) -> PathBuf {
    static LABS: AtomicU32 = AtomicU32::new(0);
    let number = LABS.fetch_add(1, Ordering::Relaxed);
    labs(cache).join(format!("{}-{number}", std::process::id()))
}

fn labs(cache: &Cache) -> PathBuf {
    cache.run_directory().join("labs")
}
