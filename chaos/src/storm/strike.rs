//! Does what a plan says to a running deployment, and notes whether anybody felt it.

use std::time::{Duration, Instant};

use super::plan::{Planned, Strike};
use crate::fleet::{Fleet, Link};
use crate::proxy::{Counts, Proxy};
use crate::servers::{Lab, Process, Server, Signal, Watched};

/// How long a replica hears nothing before its master is killed.
const DEAF: Duration = Duration::from_millis(700);
/// A process that is asked to stop in the middle of a run.
const STOP_MAX: Duration = Duration::from_secs(40);

/// A Sentinel of the lab promotes within two seconds.
const PROMOTION_MAX: Duration = Duration::from_secs(15);
/// The kernel ends a process as soon as it has its turn.
const KILL_MAX: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// What became of a strike.
#[derive(Clone, Debug)]
pub struct Struck {
    pub planned: Planned,
    /// When it was ended in truth, in milliseconds since the start.
    pub ended_ms: u64,
    /// Whether anybody felt it: a process ran that was killed or stopped, a link was refused or kept bytes waiting.
    pub felt: bool,
    /// What should not have happened, such as a process that did not stop when it was asked to.
    pub wrong: Option<String>,
}

/// A strike that has begun.
pub struct Begun {
    planned: Planned,
    felt: bool,
    wrong: Option<String>,
    counts: Option<Counts>,
    /// What was stopped by a signal and must go on.
    stopped: Option<Process>,
    /// The process of Redis that was killed by a failover.
    killed: Option<&'static str>,
}

impl Begun {
    /// What it strikes.
    pub fn lane(&self) -> &'static str {
        self.planned.strike.lane()
    }
}

/// What is struck.
pub struct Target<'run> {
    pub fleet: &'run mut Fleet,
    pub lab: &'run mut Lab,
}

impl Target<'_> {
    /// Begins a strike.
    pub fn begin(&mut self, planned: Planned) -> Begun {
        let mut begun = Begun { planned, felt: false, wrong: None, counts: None, stopped: None, killed: None };
        match begun.planned.strike.clone() {
            Strike::Kill { member, .. } => begun.felt = self.fleet.member(member).kill(),
            Strike::Restart { member } => {
                let member = self.fleet.member(member);
                begun.felt = member.is_running();
                member.ask_to_stop();
                begun.wrong = member.wait_for_stop(Instant::now() + STOP_MAX).err();
            }
            Strike::Pause { member } => begun.felt = self.fleet.member(member).pause(),
            Strike::Cut { member, link } => begun.counts = self.on_link(member, link, Proxy::cut),
            Strike::Hold { member, link, only: None } => begun.counts = self.on_link(member, link, Proxy::hold),
            Strike::Hold { member, link, only: Some(direction) } => {
                begun.counts = self.on_link(member, link, |proxy| proxy.hold_only(direction));
            }
            Strike::Delay { member, link, delay_ms } => {
                begun.counts = self.on_link(member, link, |proxy| proxy.delay_ms(delay_ms));
            }
            Strike::KillServer { server, process } => {
                begun.felt = self.process(server, process).is_some_and(|process| process.send(Signal::KILL));
            }
            Strike::PauseServer { server, process } => {
                begun.stopped = self.process(server, process).filter(|process| process.send(Signal::STOP));
                begun.felt = begun.stopped.is_some();
            }
            Strike::FailOver => self.fail_over(&mut begun),
        }
        begun
    }

    /// Ends it: what was killed is started again, what was held goes on.
    ///
    /// # Errors
    /// Something cannot be started again: the run is over.
    pub fn end(&mut self, mut begun: Begun, now_ms: u64) -> Result<Struck, String> {
        match begun.planned.strike.clone() {
            Strike::Kill { member, skew_ms } => self.fleet.member(member).start(skew_ms)?,
            Strike::Restart { member } => self.fleet.member(member).start(0)?,
            Strike::Pause { member } => self.fleet.member(member).resume(),
            Strike::Cut { member, link } | Strike::Hold { member, link, .. } | Strike::Delay { member, link, .. } => {
                let broken = self.fleet.member(member).link(link);
                let felt = |(proxy, before): (&Proxy, Counts)| is_felt(&begun.planned.strike, before, proxy.counts());
                begun.felt = broken.zip(begun.counts).is_some_and(felt);
                broken.inspect(|proxy| proxy.heal());
            }
            Strike::KillServer { server, process } => self.restart(server, process)?,
            Strike::PauseServer { .. } => {
                // One that was ended meanwhile needs no more.
                let _ = begun.stopped.is_some_and(|process| process.send(Signal::CONT));
            }
            Strike::FailOver => {
                if let Some(process) = begun.killed {
                    self.wait_for_promotion(process);
                    self.restart("redis", process)?;
                }
            }
        }
        Ok(Struck { planned: begun.planned, ended_ms: now_ms, felt: begun.felt, wrong: begun.wrong })
    }

    fn on_link(&mut self, member: &str, link: Link, strike: impl FnOnce(&Proxy)) -> Option<Counts> {
        let proxy = self.fleet.member(member).link(link)?;
        let before = proxy.counts();
        strike(proxy);
        Some(before)
    }

    fn named(&self, server: &str) -> Option<Server> {
        self.lab.running().map(|running| running.server).find(|running| running.name() == server)
    }

    fn process(&self, server: &str, process: &str) -> Option<Process> {
        self.lab.server(self.named(server)?)?.process(process).cloned()
    }

    fn restart(&mut self, server: &str, process: &str) -> Result<(), String> {
        let killed = self.process(server, process);
        let began = Instant::now();
        // On a busy machine even a process that is killed needs its turn to end.
        while killed.as_ref().is_some_and(Process::is_running) && began.elapsed() < KILL_MAX {
            std::thread::sleep(LOOK_EVERY);
        }
        let server = self.named(server).ok_or_else(|| format!("there is no {server}"))?;
        self.lab.restart(server, &[process])
    }

    /// A master that is back before the Sentinel misses it stays the master, with nothing: a loss, and no failover.
    fn wait_for_promotion(&self, killed: &str) {
        let (began, server) = (Instant::now(), self.named("redis"));
        let site = server.and_then(|server| self.lab.server(server)).map(|running| &running.site);
        let promoted = || site.and_then(|site| Watched::of(site).ok()).is_none_or(|watched| watched.master != killed);
        while !promoted() && began.elapsed() < PROMOTION_MAX {
            std::thread::sleep(LOOK_EVERY * 10);
        }
    }

    /// Only where both follow each other: a master that is killed with no replica in step would leave nobody to promote.
    fn fail_over(&mut self, begun: &mut Begun) {
        let Some(server) = self.named("redis") else { return };
        let Some(watched) = self.lab.server(server).and_then(|running| Watched::of(&running.site).ok()) else { return };
        let (Some(master), Some(replica)) =
            (self.process("redis", watched.master), self.process("redis", watched.replica))
        else {
            return;
        };
        if !watched.in_step || !replica.send(Signal::STOP) {
            return;
        }
        std::thread::sleep(DEAF);
        begun.felt = master.send(Signal::KILL);
        begun.killed = Some(watched.master);
        replica.send(Signal::CONT);
    }
}

/// Whether a broken link kept anything from anybody; one that is only slow is felt by every byte.
fn is_felt(strike: &Strike, before: Counts, after: Counts) -> bool {
    let waits = after.taken_from_client > after.passed_to_target || after.taken_from_target > after.passed_to_client;
    match strike {
        Strike::Delay { .. } => after.passed_to_target > before.passed_to_target,
        _ => after.refused > before.refused || waits,
    }
}
