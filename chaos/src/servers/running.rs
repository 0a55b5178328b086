//! A server that was started: what it consists of, how it is asked, ended, and found again by a later program.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use super::cache::{create, remove, write};
use super::launch::{Installed, Launch, Site};
use super::process::Process;
use super::{Server, ports, tool};
use crate::stop;

/// How often a server that comes up or goes down is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long a server that was asked to end may take before it is made to: it closes its files meanwhile.
const END_MAX: Duration = Duration::from_secs(20);
/// The kernel ends a process at once, but for one that waits for a disk.
const KILL_MAX: Duration = Duration::from_secs(10);
/// In a server's directory: what a later program needs in order to find it and to end it.
const RECORD: &str = "record.json";

/// Who ends with whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bond {
    /// The servers outlive this program: a group of their own, which no key of this terminal reaches.
    Free,
    /// They belong to this program, and are of its group, so that whoever ends the group ends them.
    Bound,
}

/// A server that was started.
#[derive(Debug)]
pub struct Running {
    pub server: Server,
    pub version: String,
    pub site: Site,
    /// From its start until it could be used; none as long as it could not.
    pub ready_in: Option<Duration>,
    members: Vec<Member>,
    /// The program that it belongs to, if it must not outlive one.
    owner: Option<Process>,
}

/// One process of a server, and those that it started by itself.
#[derive(Debug)]
struct Member {
    name: String,
    process: Process,
    offspring: Vec<Process>,
    /// Kept where this program started it: somebody has to take its status when it ends.
    child: Option<Child>,
}

/// The form in which a server is remembered.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    server: Server,
    version: String,
    ports: Vec<u16>,
    ready_ms: Option<u64>,
    processes: Vec<Remembered>,
    owner: Option<Process>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Remembered {
    name: String,
    process: Process,
    offspring: Vec<Process>,
}

impl Running {
    /// Starts it in an empty directory, and remembers it there before it is waited for: whoever finds the directory can end it.
    pub fn start(server: Server, installed: &dyn Installed, site: Site, bond: Bond) -> Result<Running, String> {
        if let Some(port) = ports::taken(&site.ports) {
            return Err(format!(
                "port {port} is taken by a program that is not the lab's: end it, or choose another port"
            ));
        }
        remove(&site.directory)?;
        create(&site.directory)?;
        let owner = if bond == Bond::Bound { Process::own() } else { None };
        let version = installed.version().to_owned();
        let mut running = Running { server, version, site, ready_in: None, members: Vec::new(), owner };
        for launch in installed.launches(&running.site)? {
            // What was started before a failure is ended when `running` is dropped.
            let member = Member::start(&launch, &running.site, bond).map_err(|why| {
                let ended = running.end();
                format!("{why}{}", ended.err().map_or(String::new(), |also| format!("; {also}")))
            })?;
            running.members.push(member);
            running.remember()?;
        }
        Ok(running)
    }

    /// Waits until it can be used. It is ended if that takes longer than it may, if a process of it ends, or if this program
    /// is told to stop.
    pub fn wait(&mut self) -> Result<(), String> {
        let began = Instant::now();
        let why = loop {
            if let Some(member) = self.members.iter_mut().find_map(|member| member.ended().then_some(&*member)) {
                break format!("its process `{}` ended at its start", member.name);
            }
            let wanting = match self.server.ask(&self.site) {
                Ok(()) => {
                    self.ready_in = Some(began.elapsed());
                    for member in &mut self.members {
                        member.offspring = member.process.offspring();
                    }
                    return self.remember();
                }
                Err(wanting) => wanting,
            };
            if let Some(signal) = stop::asked() {
                break format!("this program got signal {signal}");
            }
            if began.elapsed() >= self.server.ready_max() {
                break format!("it could not be used after {} s: {wanting}", self.server.ready_max().as_secs());
            }
            std::thread::sleep(LOOK_EVERY);
        };
        let said: Vec<String> = self.members.iter().map(|member| tool::last_lines(&member.log(&self.site))).collect();
        let ended = self.end().err().map_or(String::new(), |also| format!("; {also}"));
        Err(format!("{why}{ended}\n{}", said.join("\n")))
    }

    /// Starts one of its processes again on what it had, after that has ended.
    pub fn restart(&mut self, installed: &dyn Installed, process: &str) -> Result<(), String> {
        let launches = installed.launches(&self.site)?;
        let of = |name: &str| launches.iter().find(|launch| launch.name == process && launch.name == name);
        let found = self.members.iter_mut().find_map(|member| Some((of(&member.name)?, member)));
        let (launch, member) = found.ok_or_else(|| format!("{} has no process `{process}`", self.server))?;
        if !member.ended() {
            return Err(format!("the process `{process}` of {} still runs", self.server));
        }
        let bond = if self.owner.is_some() { Bond::Bound } else { Bond::Free };
        *member = Member::start(launch, &self.site, bond)?;
        self.remember()
    }

    /// Whether each of its processes is still there.
    pub fn is_running(&self) -> bool {
        self.members.iter().all(|member| member.process.is_running())
    }

    /// Names and numbers of its processes.
    pub fn processes(&self) -> impl Iterator<Item = (&str, &Process)> {
        self.members.iter().map(|member| (member.name.as_str(), &member.process))
    }

    /// One of them, to stop it, to let it go on, or to kill it.
    pub fn process(&self, name: &str) -> Option<&Process> {
        self.processes().find_map(|(known, process)| (known == name).then_some(process))
    }

    /// Whether the program that it belongs to is gone, so that nobody will end it.
    pub fn is_orphaned(&self) -> bool {
        self.owner.as_ref().is_some_and(|owner| !owner.is_running())
    }

    /// Ends its processes and waits until they are gone. Returns how long that took.
    pub fn end(&mut self) -> Result<Duration, String> {
        let began = Instant::now();
        let mut remaining: Vec<Process> = self.members.iter().rev().flat_map(Member::all).collect();
        for (signal, max) in [(Signal::TERM, END_MAX), (Signal::KILL, KILL_MAX)] {
            for process in &remaining {
                // One that is gone already is what is wanted; one that is stopped by a signal would not hear.
                process.send(signal);
                process.send(Signal::CONT);
            }
            let asked = Instant::now();
            while asked.elapsed() < max {
                remaining.retain(Process::is_running);
                // Behind the look: one that ended in between would be left for nobody to take its status.
                self.members.iter_mut().for_each(Member::reap);
                if remaining.is_empty() {
                    return Ok(began.elapsed());
                }
                std::thread::sleep(LOOK_EVERY);
            }
        }
        let numbers: Vec<String> = remaining.iter().map(|process| process.pid.to_string()).collect();
        Err(format!("{}: processes that do not end: {}", self.server.name(), numbers.join(", ")))
    }

    /// The server that a program has started in this directory, if one has.
    pub fn recall(directory: &Path) -> Result<Option<Running>, String> {
        let path = directory.join(RECORD);
        let Ok(text) = fs::read_to_string(&path) else { return Ok(None) };
        let record: Record = serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        let member = |remembered: Remembered| {
            let Remembered { name, process, offspring } = remembered;
            Member { name, process, offspring, child: None }
        };
        Ok(Some(Running {
            server: record.server,
            version: record.version,
            site: Site { directory: directory.to_owned(), ports: record.ports },
            ready_in: record.ready_ms.map(Duration::from_millis),
            members: record.processes.into_iter().map(member).collect(),
            owner: record.owner,
        }))
    }

    /// Removes what was written of it, its logs too.
    pub fn forget(&self) -> Result<(), String> {
        remove(&self.site.directory)
    }

    fn remember(&self) -> Result<(), String> {
        let remembered = |member: &Member| Remembered {
            name: member.name.clone(),
            process: member.process.clone(),
            offspring: member.offspring.clone(),
        };
        let record = Record {
            server: self.server,
            version: self.version.clone(),
            ports: self.site.ports.clone(),
            ready_ms: self.ready_in.map(|took| took.as_millis() as u64),
            processes: self.members.iter().map(remembered).collect(),
            owner: self.owner.clone(),
        };
        let text = serde_json::to_string_pretty(&record).map_err(|error| error.to_string())?;
        // In one step, so that no reader finds half of it.
        let (path, next) = (self.site.directory.join(RECORD), self.site.directory.join("record.next"));
        write(&next, text)?;
        fs::rename(&next, &path).map_err(|error| format!("{}: {error}", path.display()))
    }
}

impl Member {
    fn start(launch: &Launch, site: &Site, bond: Bond) -> Result<Member, String> {
        let log = site.directory.join(format!("{}.log", launch.name));
        let output = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .map_err(|error| format!("{}: {error}", log.display()))?;
        let errors = output.try_clone().map_err(|error| error.to_string())?;
        let mut command = Command::new(&launch.program);
        command.args(&launch.arguments).current_dir(&site.directory);
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        if bond == Bond::Free {
            command.process_group(0);
        }
        let mut child = command.spawn().map_err(|error| format!("{}: {error}", launch.program.display()))?;
        let Some(process) = Process::of(child.id().cast_signed()) else {
            let status = child.wait().map_err(|error| error.to_string())?;
            return Err(format!("`{}` ended at its start with {status}:\n{}", launch.name, tool::last_lines(&log)));
        };
        Ok(Member { name: launch.name.clone(), process, offspring: Vec::new(), child: Some(child) })
    }

    fn log(&self, site: &Site) -> PathBuf {
        site.directory.join(format!("{}.log", self.name))
    }

    fn ended(&mut self) -> bool {
        let ended = !self.process.is_running();
        self.reap();
        ended
    }

    fn reap(&mut self) {
        if let Some(child) = &mut self.child {
            // What it ended with changes nothing: it was to run.
            let _ = child.try_wait();
        }
    }

    /// Itself, those that it had started when it could be used, and those that it has started since.
    fn all(&self) -> Vec<Process> {
        let mut all = vec![self.process.clone()];
        all.extend(self.offspring.iter().cloned());
        all.extend(self.process.offspring().into_iter().filter(|process| !self.offspring.contains(process)));
        all
    }
}
