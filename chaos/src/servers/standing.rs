//! Servers that outlive the program that started them: `cargo lab up`, `status` and `down`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::cache::Cache;
use super::launch::Site;
use super::running::{Bond, Running};
use super::table::Table;
use super::{Layout, Server, Trouble, lab};
use crate::ci::seconds;
use crate::stop;

/// Held while servers are brought up or taken down: two programs at once would start each of them twice.
const LOCK: &str = "standing";
const HEADINGS: [&str; 5] = ["server", "version", "address", "pid", "ready in"];

/// The servers of this user that stand on this machine.
pub struct Standing {
    cache: Cache,
}

/// Which servers are wanted, and where.
#[derive(Clone, Debug)]
pub struct Choice {
    pub servers: Vec<Server>,
    /// The first port of a server, by its name; another than the default, or than that on which it stands already.
    pub ports: BTreeMap<String, u16>,
}

/// What became of a server that was wanted.
struct Outcome {
    server: Server,
    result: Result<Up, Trouble>,
}

/// A server that can be used, and whether it could before.
struct Up {
    running: Running,
    stood: bool,
}

impl Standing {
    /// Those that were installed and started from this cache.
    pub fn of(cache: Cache) -> Standing {
        Standing { cache }
    }

    /// Starts what does not stand yet, and waits until all of it can be used. Prints the variables that tests read to the
    /// standard output, as a shell reads them, and everything else beside it.
    ///
    /// Returns whether everything that can be had on this machine is up.
    pub fn up(&self, choice: &Choice) -> Result<bool, String> {
        // Stopped in the middle, it ends what is not yet of use to anybody.
        stop::heed();
        let _lock = self.cache.lock(LOCK)?;
        let bring_up = |server: Server| Outcome { server, result: self.bring_up(server, choice) };
        let outcomes: Vec<Outcome> = std::thread::scope(|scope| {
            let started: Vec<_> = choice.servers.iter().map(|server| scope.spawn(move || bring_up(*server))).collect();
            let joined =
                started.into_iter().map(|thread| thread.join().expect("what brings a server up does not panic"));
            joined.collect()
        });
        let mut table = Table::of(&HEADINGS);
        outcomes.iter().for_each(|outcome| table.add(outcome.row()));
        eprint!("{table}");
        for up in outcomes.iter().filter_map(|outcome| outcome.result.as_ref().ok()) {
            for (name, value) in up.running.server.variables(&up.running.site) {
                println!("export {name}={value}");
            }
        }
        let troubles = outcomes.iter().filter_map(|outcome| Some((outcome.server, outcome.result.as_ref().err()?)));
        troubles.for_each(|(server, trouble)| eprintln!("{server}: {trouble}"));
        Ok(!outcomes.iter().any(|outcome| matches!(outcome.result, Err(Trouble::Failed(_)))))
    }

    /// Prints what stands. Returns whether all of it can be used.
    pub fn status(&self, servers: &[Server]) -> Result<bool, String> {
        let mut table = Table::of(&["server", "version", "address", "pid", "state"]);
        let mut good = true;
        for server in servers {
            let Some(running) = Running::recall(&self.directory(*server))? else {
                table.add(vec![
                    server.name().to_owned(),
                    "-".to_owned(),
                    "-".to_owned(),
                    "-".to_owned(),
                    "not up".to_owned(),
                ]);
                continue;
            };
            let answer =
                if running.is_running() { running.server.ask(&running.site) } else { Err("it ended".to_owned()) };
            good &= answer.is_ok();
            let state = answer.map_or_else(|why| format!("CANNOT BE USED: {why}"), |()| "up".to_owned());
            table.add(row(&running, state));
        }
        print!("{table}");
        Ok(good)
    }

    /// Ends what [`Standing::up`] has started, and what labs of programs that were killed have left; nothing else.
    pub fn down(&self, servers: &[Server]) -> Result<bool, String> {
        let _lock = self.cache.lock(LOCK)?;
        let mut good = true;
        let mut ended = 0;
        for server in servers {
            let Some(mut running) = Running::recall(&self.directory(*server))? else { continue };
            let (server, pids, ran) = (running.server, numbers(&running), running.is_running());
            match running.end() {
                Ok(took) if ran => println!("{server}: gone after {}: {pids}", seconds(took)),
                Ok(_) => println!("{server}: had ended before: {pids}"),
                Err(why) => {
                    good = false;
                    println!("{why}");
                    continue;
                }
            }
            running.forget()?;
            ended += 1;
        }
        let left = lab::end_orphans(&self.cache)?;
        if left > 0 {
            println!("servers left behind by programs that were killed: {left}, gone");
        }
        if ended == 0 && left == 0 && good {
            println!("nothing that `lab up` has started is here");
        }
        Ok(good)
    }

    fn bring_up(&self, server: Server, choice: &Choice) -> Result<Up, Trouble> {
        let wanted = choice.ports.get(server.name()).copied();
        if let Some(mut running) = Running::recall(&self.directory(server))? {
            if running.is_running() && running.server.ask(&running.site).is_ok() {
                return agrees(&running, server, wanted).map(|()| Up { running, stood: true });
            }
            running.end()?;
        }
        let installed = server.obtain(&self.cache)?;
        let first = wanted.unwrap_or(server.default_port());
        let ports = server.port_offsets().iter().map(|offset| first.checked_add(*offset));
        let ports = ports.collect::<Option<Vec<u16>>>().ok_or(format!("port {first} leaves no room for its others"))?;
        let site = Site { directory: self.directory(server), ports };
        let mut running = Running::start(server, installed.as_ref(), site, Bond::Free)?;
        running.wait()?;
        Ok(Up { running, stood: false })
    }

    /// One for each server, whatever its layout: no two of one kind stand at once.
    fn directory(&self, server: Server) -> PathBuf {
        self.cache.run_directory().join("standing").join(server.name())
    }
}

/// Whether what stands is what is wanted.
fn agrees(running: &Running, server: Server, port: Option<u16>) -> Result<(), Trouble> {
    let address = running.site.address();
    if running.server == server && port.is_none_or(|port| port == address.port()) {
        return Ok(());
    }
    let name = server.name();
    Err(Trouble::Failed(format!("`{}` stands at {address}: `cargo lab down --only {name}` ends it", running.server)))
}

impl Outcome {
    fn row(&self) -> Vec<String> {
        match &self.result {
            Ok(up) => {
                let took = up.running.ready_in.map_or("-".to_owned(), seconds);
                row(&up.running, if up.stood { format!("{took}, was up") } else { took })
            }
            Err(trouble) => {
                let word = if matches!(trouble, Trouble::Failed(_)) { "FAILED" } else { "cannot be had here" };
                vec![self.server.name().to_owned(), "-".to_owned(), "-".to_owned(), "-".to_owned(), word.to_owned()]
            }
        }
    }
}

fn row(running: &Running, last: String) -> Vec<String> {
    let address = running.site.address().to_string();
    vec![running.server.to_string(), running.version.clone(), address, numbers(running), last]
}

fn numbers(running: &Running) -> String {
    let numbers: Vec<String> = running.processes().map(|(_, process)| process.pid.to_string()).collect();
    numbers.join(",")
}

impl Choice {
    /// The servers of these names, or all of them when none is named. Fails, in words, at a name that no server has.
    pub fn named(names: &[String], layout: Layout, ports: BTreeMap<String, u16>) -> Result<Choice, String> {
        let known = || format!("the servers are {}", Server::NAMES.join(", "));
        let server = |name: &String| {
            Server::named(name, layout).ok_or_else(|| format!("there is no server `{name}`; {}", known()))
        };
        if let Some(name) = ports.keys().find(|name| Server::named(name, layout).is_none()) {
            return Err(format!("there is no server `{name}`; {}", known()));
        }
        let mut servers = names.iter().map(server).collect::<Result<Vec<Server>, String>>()?;
        if servers.is_empty() {
            servers = Server::all(layout).to_vec();
        }
        servers.sort_unstable();
        servers.dedup();
        Ok(Choice { servers, ports })
    }
}
