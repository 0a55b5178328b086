//! What happens when: drawn from a seed, and nothing else.

use std::fmt;

use fastrand::Rng;

use crate::fleet::{self, Link};
use crate::proxy::Direction;
use crate::servers::Layout;

/// Between two strikes, on average: with each lasting some seconds, one or two are always on.
const GAP_MS: u64 = 3_000;
/// Everything works for so long at the beginning: the buyers are to be in the middle of something.
const CALM_MS: u64 = 4_000;
/// A process is gone for so long: at once again, as a supervisor starts it, or longer than a lease of ten seconds.
const DOWN_MS: (u64, u64) = (100, 12_000);
/// A process stands still for so long: what it held a lease of may be another's when it goes on.
const PAUSED_MS: (u64, u64) = (500, 15_000);
/// A server stands still for so long: behind every time-out of its clients.
const SERVER_PAUSED_MS: (u64, u64) = (500, 8_000);
const SERVER_DOWN_MS: (u64, u64) = (100, 3_000);
/// A link is broken for so long.
const CUT_MS: (u64, u64) = (300, 9_000);
/// What a slow link adds in each direction: more than an answer usually takes, less than its time-out.
const DELAY_MS: (u64, u64) = (20, 400);
/// Wall clocks of processes differ by no more, which is what a machine without its time server drifts in days: the judge
/// compares the buyers' times with those of the rows to a second.
const SKEW_MS: i64 = 400;
/// Between two strikes at one server: it is to be used in between.
const SERVER_REST_MS: u64 = 40_000;

/// A strike and when it begins and ends, in milliseconds since the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    pub at_ms: u64,
    pub ends_ms: u64,
    pub strike: Strike,
}

/// What can be done to a deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Strike {
    /// A process is killed, and started again with this error of its clock.
    Kill { member: &'static str, skew_ms: i64 },
    /// A process is asked to stop, and started again: a rolling restart.
    Restart { member: &'static str },
    /// A process stands still.
    Pause { member: &'static str },
    /// A process loses its links to a server and gets no new ones.
    Cut { member: &'static str, link: Link },
    /// Nothing passes between a process and a server, and neither is told; with a direction, in this one alone.
    Hold { member: &'static str, link: Link, only: Option<Direction> },
    /// Everything between a process and a server is late.
    Delay { member: &'static str, link: Link, delay_ms: u64 },
    /// A process of a server is killed and started again on what it had on its disk: for Redis that is nothing.
    KillServer { server: &'static str, process: &'static str },
    /// A process of a server stands still: it is cut off from everybody.
    PauseServer { server: &'static str, process: &'static str },
    /// Redis' replica stops hearing; soon after that its master is killed, so that what is promoted has not heard of
    /// everything that was acknowledged.
    FailOver,
}

impl Strike {
    /// Which process or server it strikes.
    pub fn lane(&self) -> &'static str {
        match self {
            Strike::Kill { member, .. } | Strike::Restart { member } | Strike::Pause { member } => member,
            Strike::Cut { member, .. } | Strike::Hold { member, .. } | Strike::Delay { member, .. } => member,
            Strike::KillServer { server, .. } | Strike::PauseServer { server, .. } => server,
            Strike::FailOver => "redis",
        }
    }

    /// Under which name it is counted.
    pub fn kind(&self) -> &'static str {
        match self {
            Strike::Kill { .. } => "process killed",
            Strike::Restart { .. } => "process restarted",
            Strike::Pause { .. } => "process paused",
            Strike::Cut { .. } => "link cut",
            Strike::Hold { only: None, .. } => "link held",
            Strike::Hold { only: Some(_), .. } => "link half open",
            Strike::Delay { .. } => "link slow",
            Strike::KillServer { .. } => "server killed",
            Strike::PauseServer { .. } => "server paused",
            Strike::FailOver => "failover with lost writes",
        }
    }
}

impl fmt::Display for Strike {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.lane(), self.kind())?;
        match self {
            Strike::Kill { skew_ms, .. } => write!(formatter, ", then its clock is off by {skew_ms} ms"),
            Strike::Cut { link, .. } | Strike::Hold { link, only: None, .. } => write!(formatter, ", to {link}"),
            Strike::Hold { link, only: Some(direction), .. } => write!(formatter, ", {} {link}", way(*direction)),
            Strike::Delay { link, delay_ms, .. } => write!(formatter, ", to {link} by {delay_ms} ms"),
            Strike::KillServer { process, .. } | Strike::PauseServer { process, .. } => {
                write!(formatter, ", {process}")
            }
            Strike::Restart { .. } | Strike::Pause { .. } | Strike::FailOver => Ok(()),
        }
    }
}

fn way(direction: Direction) -> &'static str {
    match direction {
        Direction::ToTarget => "nothing reaches",
        Direction::ToClient => "nothing comes from",
    }
}

/// Everything of a run, in order.
pub fn draw(seed: u64, layout: Layout, length_ms: u64) -> Vec<Planned> {
    let (mut rng, mut plan) = (Rng::with_seed(seed), Vec::<Planned>::new());
    let mut at_ms = CALM_MS;
    while at_ms < length_ms {
        let (strike, lasts_ms) = strike(&mut rng, layout);
        let rests =
            |planned: &Planned| planned.strike.lane() == strike.lane() && at_ms < planned.ends_ms + SERVER_REST_MS;
        let too_soon = is_of_server(&strike) && plan.iter().any(rests);
        // What would begin while its process is down or broken otherwise could have no effect.
        let busy = |planned: &Planned| planned.strike.lane() == strike.lane() && at_ms <= planned.ends_ms;
        if !too_soon && !plan.iter().any(busy) {
            plan.push(Planned { at_ms, ends_ms: at_ms + lasts_ms, strike });
            at_ms += rng.u64(GAP_MS / 4..GAP_MS * 7 / 4);
        }
        at_ms += 1;
    }
    plan
}

fn is_of_server(strike: &Strike) -> bool {
    matches!(strike, Strike::KillServer { .. } | Strike::PauseServer { .. } | Strike::FailOver)
}

fn strike(rng: &mut Rng, layout: Layout) -> (Strike, u64) {
    let names: Vec<&'static str> = fleet::names().collect();
    let member = names[rng.usize(0..names.len())];
    let has_proxy = |link: &&Link| layout == Layout::Single || **link != Link::Redis;
    let links: Vec<&Link> = fleet::links(member).iter().filter(has_proxy).collect();
    let link = *links[rng.usize(0..links.len())];
    let mut lasts = |(least, most): (u64, u64)| {
        // As many short ones as long ones: the short ones meet a process between two of its pauses.
        let (least, most) = (least as f64, most as f64);
        (least * (most / least).powf(rng.f64())) as u64
    };
    let (down, paused, cut, server_paused, server_down) =
        (lasts(DOWN_MS), lasts(PAUSED_MS), lasts(CUT_MS), lasts(SERVER_PAUSED_MS), lasts(SERVER_DOWN_MS));
    match rng.u32(0..100) {
        0..42 => (Strike::Kill { member, skew_ms: rng.i64(-SKEW_MS..=SKEW_MS) }, down),
        42..48 => (Strike::Restart { member }, down.min(1_000)),
        48..60 => (Strike::Pause { member }, paused),
        60..72 => (Strike::Cut { member, link }, cut),
        72..78 => (Strike::Hold { member, link, only: None }, cut),
        78..82 => (Strike::Hold { member, link, only: Some(Direction::ToTarget) }, cut),
        82..87 => (Strike::Hold { member, link, only: Some(Direction::ToClient) }, cut),
        87..90 => (Strike::Delay { member, link, delay_ms: rng.u64(DELAY_MS.0..DELAY_MS.1) }, cut),
        90..95 => (of_redis(rng, layout), server_down),
        95..97 => (Strike::KillServer { server: "kafka", process: "kafka" }, server_down),
        97..98 => (Strike::KillServer { server: "elasticsearch", process: "elasticsearch" }, server_down),
        // The emulator keeps everything in its memory: it may stand still, and must not end.
        98..99 => (Strike::PauseServer { server: "spanner", process: "spanner" }, server_paused),
        _ => (Strike::PauseServer { server: "kafka", process: "kafka" }, server_paused),
    }
}

fn of_redis(rng: &mut Rng, layout: Layout) -> Strike {
    let (server, pauses) = ("redis", rng.u32(0..3) == 0);
    let process = match layout {
        Layout::Single => "redis",
        Layout::Sentinel if pauses => "master",
        Layout::Sentinel => return Strike::FailOver,
        Layout::Cluster => ["master-0", "master-1", "master-2"][rng.usize(0..3)],
    };
    if pauses { Strike::PauseServer { server, process } } else { Strike::KillServer { server, process } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_plan_and_another_seed_is_another() {
        let of = |seed| draw(seed, Layout::Single, 300_000);
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }

    #[test]
    fn nothing_strikes_what_is_struck_and_servers_rest_in_between() {
        for seed in 0..50 {
            for layout in [Layout::Single, Layout::Sentinel, Layout::Cluster] {
                let plan = draw(seed, layout, 300_000);
                for (place, planned) in plan.iter().enumerate() {
                    let same = |other: &&Planned| other.strike.lane() == planned.strike.lane();
                    let before = plan[..place].iter().filter(same).map(|other| other.ends_ms).max();
                    let rest = if is_of_server(&planned.strike) { SERVER_REST_MS } else { 0 };
                    assert!(before.is_none_or(|ended| ended + rest < planned.at_ms + u64::from(rest > 0)));
                }
            }
        }
    }

    #[test]
    fn six_plans_of_five_minutes_kill_and_cut_more_than_is_asked_for() {
        let all: Vec<Planned> = (1..=6).flat_map(|seed| draw(seed, Layout::Single, 300_000)).collect();
        let count = |kind: &str| all.iter().filter(|planned| planned.strike.kind() == kind).count();
        assert!(
            count("process killed") > 120 && count("link cut") > 25,
            "{} {}",
            count("process killed"),
            count("link cut")
        );
    }
}
