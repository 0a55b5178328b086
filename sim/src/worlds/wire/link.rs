//! Links between hosts, and what befalls them: what the network does by itself, and what our ends of it do.

use crate::fault::FaultKind;
use crate::worlds::fast::network::End;
use std::collections::BTreeMap;
use std::time::Duration;
use turmoil::Sim;

/// What a rule does to the connections that it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// Up to so many milliseconds more.
    Slow(u64),
    /// Held back until the rule ends.
    Hold,
    /// Lost on the way there.
    SwallowRequests,
    /// Lost both ways; connections are refused.
    Refuse,
    /// Lost, so many of a thousand, and all that stands behind it in its connection.
    Lose(u64),
    /// The connection breaks in the middle of a message, so many of a thousand.
    Break(u64),
    /// The reply is lost with its connection, so many of a thousand; what was asked for is done.
    LoseReply(u64),
    /// The reader takes a few bytes at a time.
    Trickle,
}

/// A strike on links, while it lasts.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Which strike of the plan.
    pub strike: usize,
    /// For the report.
    pub fault: FaultKind,
    /// Who opened the connection.
    pub from: End,
    /// To whom.
    pub to: End,
    /// What happens.
    pub treatment: Treatment,
}

impl Rule {
    /// Whether it is about connections of this kind.
    pub fn is_about(&self, client: &str, server: &str) -> bool {
        self.from.is(client) && self.to.is(server)
    }
}

/// What the simulated network does to one link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    #[default]
    Sound,
    Held,
    /// Nothing from the first to the second, from the second to the first.
    Cut(bool, bool),
}

/// The standing of every link that is not as it should be.
#[derive(Debug, Default)]
pub struct Links {
    standing: BTreeMap<(String, String), Standing>,
    slow: BTreeMap<(String, String), u64>,
    /// Greatest latency of a sound link, in milliseconds.
    latency_ms: u64,
}

impl Links {
    /// Sound ones of this greatest latency in milliseconds.
    pub fn new(latency_ms: u64) -> Links {
        Links { latency_ms, ..Links::default() }
    }

    /// Makes every link what the rules say.
    pub fn follow(&mut self, sim: &mut Sim<'_>, hosts: &[String], rules: &[Rule]) {
        for (index, first) in hosts.iter().enumerate() {
            for second in &hosts[index + 1..] {
                let (standing, slow_ms) = wanted(rules, first, second);
                let pair = (first.clone(), second.clone());
                self.stand(sim, pair.clone(), standing);
                self.slow_down(sim, pair, slow_ms);
            }
        }
    }

    fn stand(&mut self, sim: &mut Sim<'_>, pair: (String, String), wanted: Standing) {
        let present = self.standing.get(&pair).copied().unwrap_or_default();
        if present == wanted {
            return;
        }
        let (first, second) = (pair.0.as_str(), pair.1.as_str());
        match present {
            Standing::Sound => {}
            Standing::Held => sim.release(first, second),
            Standing::Cut(..) => sim.repair(first, second),
        }
        match wanted {
            Standing::Sound => {}
            Standing::Held => sim.hold(first, second),
            Standing::Cut(true, true) => sim.partition(first, second),
            Standing::Cut(there, back) => {
                if there {
                    sim.partition_oneway(first, second);
                }
                if back {
                    sim.partition_oneway(second, first);
                }
            }
        }
        self.standing.insert(pair, wanted);
    }

    fn slow_down(&mut self, sim: &mut Sim<'_>, pair: (String, String), slow_ms: u64) {
        let present = self.slow.get(&pair).copied().unwrap_or_default();
        if present != slow_ms {
            let greatest = Duration::from_millis(self.latency_ms + slow_ms);
            sim.set_link_max_message_latency(pair.0.as_str(), pair.1.as_str(), greatest);
            self.slow.insert(pair, slow_ms);
        }
    }
}

fn wanted(rules: &[Rule], first: &str, second: &str) -> (Standing, u64) {
    let (mut held, mut there, mut back, mut slow_ms) = (false, false, false, 0);
    for rule in rules {
        let (forward, backward) = (rule.is_about(first, second), rule.is_about(second, first));
        if !forward && !backward {
            continue;
        }
        match rule.treatment {
            Treatment::Slow(more_ms) => slow_ms = slow_ms.max(more_ms),
            Treatment::Hold => held = true,
            Treatment::SwallowRequests => {
                there |= forward;
                back |= backward;
            }
            Treatment::Refuse => (there, back) = (true, true),
            Treatment::Lose(_) | Treatment::Break(_) | Treatment::LoseReply(_) | Treatment::Trickle => {}
        }
    }
    let standing = match (there || back, held) {
        (true, _) => Standing::Cut(there, back),
        (false, true) => Standing::Held,
        (false, false) => Standing::Sound,
    };
    (standing, slow_ms)
}
