//! What the page knows of a run.

use super::story;
use crate::plan::{Strike, World};
use crate::report::Report;
use crate::trace::{Kind, Line, Stock};
use doorbuster_core::oracle::verdict::Check;
use serde::Serialize;
use std::collections::BTreeMap;

/// Roles in the order in which an order passes them: lanes stand in this order, others below.
const ROLES: &[&str] = &[
    "buyer",
    "shopper",
    "client",
    "edge",
    "gateway",
    "lane",
    "redis",
    "memory",
    "forwarder",
    "kafka",
    "broker",
    "intake",
    "spanner",
    "database",
    "store",
    "relay",
    "settler",
    "reaper",
    "sweep",
    "payment",
    "provider",
    "keeper",
    "sales",
    "search",
    "elasticsearch",
];

/// Lines that a page holds, beside those of the story: the latest. It stays quick, and below some 20 MB.
const LINES_MAX: usize = 100_000;
/// Changes of one SKU's stock that a page holds: the latest.
const POINTS_MAX: usize = 50_000;

/// The run, as the page's script reads it.
#[derive(Serialize)]
pub struct Data {
    seed: u64,
    world: &'static str,
    story: String,
    command: String,
    hash: String,
    events: u64,
    /// Lines that are not on the page.
    left_out: usize,
    ended_us: u64,
    violation: Option<Broken>,
    hosts: Vec<String>,
    kinds: Vec<&'static str>,
    /// Time, ordinal, host, kind, message or -1, text.
    lines: Vec<(u64, u64, usize, usize, i64, String)>,
    /// Places in `lines` of what led to the violation.
    led: Vec<usize>,
    skus: Vec<Sku>,
    strikes: Vec<Band>,
    faults: Vec<(&'static str, &'static str, u64, u64)>,
    counts: BTreeMap<&'static str, u64>,
}

#[derive(Serialize)]
struct Broken {
    id: String,
    promise: &'static str,
    at_us: u64,
    what: String,
}

#[derive(Serialize)]
struct Sku {
    total: u64,
    /// Time, available, held, sold.
    points: Vec<(u64, u64, u64, u64)>,
}

#[derive(Serialize)]
struct Band {
    fault: &'static str,
    title: &'static str,
    heal: &'static str,
    target: String,
    amount: u64,
    from_us: u64,
    until_us: u64,
    /// The lanes that it hits; none when it hits all or nobody in particular.
    hosts: Vec<usize>,
}

const KINDS: [Kind; 9] = [
    Kind::Step,
    Kind::Sent,
    Kind::Delivered,
    Kind::Lost,
    Kind::Client,
    Kind::Committed,
    Kind::Struck,
    Kind::Healed,
    Kind::Violated,
];

impl Data {
    /// Of a run.
    pub fn of(report: &Report, again: &str) -> Data {
        let lines = report.trace.lines.as_deref().unwrap_or_default();
        let hosts = lanes(lines);
        let place = |host: &str| hosts.iter().position(|known| known == host).expect("it is one of the lanes");
        let kind = |kind: Kind| KINDS.iter().position(|known| *known == kind).expect("all are listed");
        let told = |line: &Line| {
            let message = line.message.map_or(-1, |id| id as i64);
            (line.at_us, line.ordinal, place(&line.host), kind(line.kind), message, line.text.clone())
        };
        let world = match report.plan.world {
            World::Fast => "fast",
            World::Wire => "wire",
        };
        let led = story::led(lines, report.violation.as_ref());
        let kept = kept(lines.len(), &led);
        Data {
            seed: report.plan.seed,
            world,
            story: report.plan.story.clone(),
            command: again.to_owned(),
            hash: format!("{:016x}", report.trace.hash()),
            events: report.trace.events(),
            ended_us: report.ended_at_us,
            violation: report.violation.as_ref().map(|found| Broken {
                id: found.id.clone(),
                promise: promise(&found.id),
                at_us: found.at_us,
                what: found.what.clone(),
            }),
            kinds: KINDS.map(Kind::word).to_vec(),
            lines: kept.iter().map(|index| told(&lines[*index])).collect(),
            led: led.iter().filter_map(|index| kept.binary_search(index).ok()).collect(),
            left_out: lines.len() - kept.len(),
            skus: skus(&report.plan.setup.stock, &report.trace.stocks),
            strikes: report.plan.strikes.iter().map(|strike| band(strike, &hosts)).collect(),
            faults: report
                .faults
                .kinds
                .iter()
                .map(|(kind, n)| (kind.id(), kind.title(), n.injected, n.effective))
                .collect(),
            counts: report.counts.clone(),
            hosts,
        }
    }

    /// What a browser shows in its tab.
    pub fn title(&self) -> String {
        let verdict = self.violation.as_ref().map_or("green", |found| &found.id);
        format!("{verdict} · seed {} · {} world", self.seed, self.world)
    }
}

/// What was promised. The last ones are not the oracle's: they are judged where they are seen.
fn promise(id: &str) -> &'static str {
    let others = [
        ("S16", "a cache never goes back"),
        ("S17", "one load at a time, and none over an invalidation"),
        ("S18", "a window's sum is exact"),
        ("S19", "a change stream is read in order"),
        ("S22", "the same seed is the same run"),
        ("L8", "caches converge"),
        ("L9", "windows converge"),
        ("L10", "a rebuild ends and sales go on"),
        ("L11", "who has work makes progress"),
        ("L12", "one instance of each role is enough"),
        ("panic", "no assertion of the product fails"),
    ];
    let check = Check::ALL.iter().find(|check| check.id() == id).map(|check| check.title());
    let other = others.iter().find(|(other, _)| *other == id).map(|(_, title)| *title);
    check.or(other).unwrap_or("a promise of the platform")
}

fn lanes(lines: &[Line]) -> Vec<String> {
    let mut first = BTreeMap::new();
    for (index, line) in lines.iter().enumerate() {
        first.entry(line.host.as_ref()).or_insert(index);
    }
    let rank = |host: &str| ROLES.iter().position(|role| host.starts_with(role)).unwrap_or(ROLES.len());
    let mut hosts: Vec<&str> = first.keys().copied().collect();
    // The instances of a role by name; hosts of no known role by their first line.
    hosts.sort_by_key(|host| (rank(host), if rank(host) == ROLES.len() { first[host] } else { 0 }));
    hosts.into_iter().map(str::to_owned).collect()
}

/// Places of the lines that the page holds, in order.
fn kept(count: usize, led: &[usize]) -> Vec<usize> {
    let first = count.saturating_sub(LINES_MAX);
    led.iter().copied().filter(|index| *index < first).chain(first..count).collect()
}

fn skus(totals: &[u64], stocks: &[Stock]) -> Vec<Sku> {
    let points = |sku: usize| {
        let of = stocks.iter().filter(move |stock| stock.sku == sku);
        let mut points: Vec<_> = of.map(|stock| (stock.at_us, stock.available, stock.held, stock.sold)).collect();
        points.drain(..points.len().saturating_sub(POINTS_MAX));
        points
    };
    totals.iter().enumerate().map(|(sku, total)| Sku { total: *total, points: points(sku) }).collect()
}

/// A target is a host, a link of two hosts, or a role with all its hosts.
fn band(strike: &Strike, hosts: &[String]) -> Band {
    let ends: Vec<&str> = strike.target.split('>').filter(|end| !end.is_empty()).collect();
    let hit =
        |host: &str| ends.iter().any(|end| host == *end || host.rsplit_once('-').is_some_and(|(role, _)| role == *end));
    Band {
        fault: strike.fault.id(),
        title: strike.fault.title(),
        heal: strike.fault.heal(),
        target: strike.target.clone(),
        amount: strike.amount,
        from_us: strike.at_ms.saturating_mul(1_000),
        until_us: strike.at_ms.saturating_add(strike.for_ms).saturating_mul(1_000),
        hosts: (0..hosts.len()).filter(|index| hit(&hosts[*index])).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::Runner;
    use crate::worlds::fast::Keep;

    #[test]
    fn lanes_stand_in_the_order_of_an_orders_way() {
        let runner = Runner::toy();
        let report = runner.run(&runner.draw(1), Keep::Lines);
        assert_eq!(Data::of(&report, "again").hosts, ["edge-0", "redis-0", "intake-0", "nemesis"]);
    }

    #[test]
    fn a_long_run_keeps_its_end_and_its_story() {
        assert_eq!(kept(3, &[1]), [0, 1, 2]);
        let long = kept(LINES_MAX + 10, &[2, 50]);
        assert_eq!((long[0], long[1], long.len()), (2, 10, LINES_MAX + 1));
    }

    #[test]
    fn a_fault_hits_a_host_a_link_or_a_role() {
        let hosts = ["edge-0", "edge-1", "redis-0"].map(str::to_owned);
        let hit = |target: &str| {
            let fault = crate::fault::FaultKind::N1;
            band(&Strike::new(1, fault, target, 0, 0), &hosts).hosts
        };
        assert_eq!(hit("edge-1"), [1]);
        assert_eq!(hit("edge-1>redis-0"), [1, 2]);
        assert_eq!(hit("edge"), [0, 1]);
        assert!(hit("").is_empty());
    }

    #[test]
    fn every_invariant_of_the_oracle_has_its_words() {
        assert_eq!(promise("S1"), "no oversell");
        assert_ne!(promise("L11"), promise("nothing that is known"));
    }
}
