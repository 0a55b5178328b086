//! Links between hosts and services: what becomes of a message on its way.

use super::world::Address;
use crate::fault::FaultKind;
use crate::seed::Seed;
use doorbuster_core::rng::Rng;

/// What a rule does to the messages that it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Treatment {
    /// So many microseconds more.
    Slow(u64),
    /// Held back until the rule ends.
    Hold,
    /// Lost, both ways.
    Swallow,
    /// Lost on the way there.
    SwallowRequests,
    /// Refused at once: nothing happened.
    Refuse,
    /// Lost, so many of a thousand, either way.
    Lose(u64),
    /// The connection breaks, so many of a thousand: the caller knows at once that it knows nothing.
    Break(u64),
    /// The reply is lost, so many of a thousand; what was asked for is done.
    LoseReply(u64),
}

/// One end of a link.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// Everything.
    Any,
    /// All instances of a role, or the service with this name.
    Role(String),
    /// One host or server.
    Host(String),
}

impl End {
    /// "intake-0" is a host, "intake" a role, "" or "*" everything.
    pub fn parse(text: &str) -> End {
        match text {
            "" | "*" => End::Any,
            text if text.rsplit('-').next().is_some_and(|tail| tail.bytes().all(|byte| byte.is_ascii_digit())) => {
                End::Host(text.to_owned())
            }
            text => End::Role(text.to_owned()),
        }
    }

    /// Whether the host with this name is at this end.
    pub fn is(&self, name: &str) -> bool {
        match self {
            End::Any => true,
            End::Host(host) => host == name,
            End::Role(role) => {
                name.strip_prefix(role.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
            }
        }
    }
}

/// A strike on links, while it lasts.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Which strike of the plan.
    pub strike: usize,
    /// For the report.
    pub fault: FaultKind,
    /// Who asks.
    pub from: End,
    /// Who is asked.
    pub to: End,
    /// What happens.
    pub treatment: Treatment,
    /// From when and until when, in microseconds.
    pub during_us: (u64, u64),
}

/// What becomes of one request, or of one reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// It arrives at this time.
    Arrives(u64),
    /// It never does.
    Lost,
    /// It never does, and the caller knows at once.
    Broken,
    /// It never left: nothing happened.
    Refused,
}

/// All links.
#[derive(Clone, Debug)]
pub struct Network {
    rng: Rng,
    latency_us: (u64, u64),
    /// What befalls links.
    pub rules: Vec<Rule>,
    /// What rules did since somebody looked: the world reports it.
    pub bitten: Vec<FaultKind>,
}

impl Network {
    /// Quiet links of this latency.
    pub fn new(seed: Seed, latency_us: (u64, u64)) -> Network {
        Network { rng: seed.stream("network"), latency_us, rules: Vec::new(), bitten: Vec::new() }
    }

    fn latency(&mut self) -> u64 {
        let (least, greatest) = self.latency_us;
        least.max(1) + self.rng.below(greatest.saturating_sub(least) + 1)
    }

    /// A request leaves.
    pub fn request(&mut self, now_us: u64, from: &str, to: &str) -> Passage {
        self.pass(now_us, from, to, true)
    }

    /// A reply leaves; `from` is still who asked.
    pub fn reply(&mut self, now_us: u64, from: &str, to: &str) -> Passage {
        self.pass(now_us, from, to, false)
    }

    fn pass(&mut self, now_us: u64, from: &str, to: &str, is_request: bool) -> Passage {
        let mut at_us = now_us + self.latency();
        for index in 0..self.rules.len() {
            let rule = &self.rules[index];
            let on = (rule.during_us.0..rule.during_us.1).contains(&now_us);
            if !on || !rule.from.is(from) || !rule.to.is(to) {
                continue;
            }
            let (fault, until) = (rule.fault, rule.during_us.1);
            let passage = match rule.treatment {
                Treatment::Slow(more_us) => {
                    at_us += self.rng.below(more_us + 1);
                    self.bitten.push(fault);
                    continue;
                }
                Treatment::Hold => {
                    at_us = at_us.max(until + self.rng.below(1_000));
                    self.bitten.push(fault);
                    continue;
                }
                Treatment::Swallow => Passage::Lost,
                Treatment::SwallowRequests if is_request => Passage::Lost,
                Treatment::Refuse if is_request => Passage::Refused,
                Treatment::Lose(permille) if self.rng.below(1000) < permille => Passage::Lost,
                Treatment::Break(permille) if self.rng.below(1000) < permille => Passage::Broken,
                Treatment::LoseReply(permille) if !is_request && self.rng.below(1000) < permille => Passage::Lost,
                Treatment::SwallowRequests
                | Treatment::Refuse
                | Treatment::Lose(_)
                | Treatment::Break(_)
                | Treatment::LoseReply(_) => continue,
            };
            self.bitten.push(fault);
            return passage;
        }
        Passage::Arrives(at_us)
    }

    /// The name of the other end, as plans write it.
    pub fn name(address: Address) -> &'static str {
        match address {
            Address::Database => "database",
            Address::Broker => "broker",
            Address::Provider => "provider",
            Address::Search => "search",
            Address::Node(0) => "redis-0",
            Address::Node(_) => "redis-1",
            Address::Host(_) => "edge",
        }
    }
}
