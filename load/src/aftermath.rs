//! After the burst: what is doubtful is looked up, part of what was accepted is paid, the rest runs out, and the
//! released units are bought again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::errand::{Done, Errand, Kind, Runner};
use crate::generator::{Acceptance, Click, Generated, Plan};
use crate::history::History;
use crate::platform::Platform;
use crate::request::Requests;
use crate::settings::Settings;
use crate::verdict::Check;

/// Pause between two rounds of questions about all orders that are still open.
/// One user may ask ten times a second; a round every quarter of a second stays well below.
const ROUND_PAUSE: Duration = Duration::from_millis(250);

/// An accepted order has its row within this long, a restart and the drain of a log included.
const ROW_BOUND: Duration = Duration::from_secs(120);

/// An unpaid order is final this long after its hold: the grace after intake (10 s), a lease (10 s), and the minute of
/// the sweep with the minute after which it takes an order for overdue.
const FINAL_BOUND: Duration = Duration::from_secs(150);

/// Released units are for sale again within this long after their orders are final.
const RELEASE_BOUND: Duration = Duration::from_secs(60);

/// So many receipts are shown again at the end; they are signed alike, so more would say the same.
const RECEIPTS_MAX: usize = 200;

/// What every step of a run shares.
#[derive(Clone)]
pub struct Scene {
    /// The user's settings.
    pub settings: Settings,
    /// Builds the buyers' requests.
    pub requests: Arc<Requests>,
    /// The administrator's calls.
    pub platform: Platform,
    /// End of the run.
    pub deadline: Instant,
    /// Zero of the history's times.
    pub origin: Instant,
    /// The same in milliseconds since 1970.
    pub origin_unix_ms: u64,
    /// Pay window of the sales.
    pub hold: Duration,
}

impl Scene {
    /// A runner of errands on so many connections.
    #[must_use]
    pub fn runner(&self, connections: u16) -> Runner {
        Runner {
            requests: self.requests.clone(),
            timeout: self.settings.timeout(),
            deadline: self.deadline,
            origin: self.origin,
            connections,
        }
    }

    /// A burst over the scene's connections.
    #[must_use]
    pub fn plan(&self, clicks: Vec<Click>, rate_per_second: f64) -> Plan {
        Plan {
            requests: self.requests.clone(),
            clicks,
            rate_per_second,
            connections: self.settings.connections,
            timeout: self.settings.timeout(),
            bound: Duration::from_secs(self.settings.unknown_bound_seconds),
            deadline: self.deadline,
            origin: self.origin,
            accepted: None,
        }
    }

    /// By then an order that is made now is final.
    #[must_use]
    pub fn final_bound(&self) -> Instant {
        self.bound(self.hold + FINAL_BOUND)
    }

    fn bound(&self, after: Duration) -> Instant {
        (Instant::now() + after).min(self.deadline)
    }
}

/// One accepted order as the client knows it.
#[derive(Clone, Debug)]
pub struct Order {
    /// Its id.
    pub id: String,
    /// The click that it came from.
    pub click: Click,
    /// The platform's receipt; empty when the order is known from a look-up only.
    pub receipt: String,
    /// The status last read; empty before the first answer.
    pub status: String,
}

impl Order {
    /// An order of which nothing was read yet.
    #[must_use]
    pub fn new(id: String, receipt: String, click: Click) -> Self {
        Self { id, click, receipt, status: String::new() }
    }

    fn has_row(&self) -> bool {
        !matches!(self.status.as_str(), "" | "on-its-way")
    }

    pub fn is_final(&self) -> bool {
        matches!(self.status.as_str(), "PAID" | "CANCELLED" | "REFUNDED" | "REJECTED" | "lost")
    }

    /// An errand about this order.
    #[must_use]
    pub fn errand(&self, kind: Kind) -> Errand {
        Errand {
            kind,
            sale: self.click.sale.clone(),
            user: self.click.user,
            key: self.click.key(),
            order: self.id.clone(),
            receipt: self.receipt.clone(),
            lines: self.click.lines.clone(),
        }
    }
}

/// What the time after the burst was like.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Settled {
    /// Different orders that were promised.
    pub orders: u64,
    /// Orders that had a row within the bound.
    pub persisted: u64,
    /// End of the burst to the row of the last one, in milliseconds; `None` when some had none.
    pub persisted_after_ms: Option<u64>,
    /// End of the burst to the final status of the last one, in milliseconds; `None` when some had none.
    pub drained_after_ms: Option<u64>,
    /// Orders by their last status.
    pub statuses: BTreeMap<String, u64>,
    /// What became of doubtful clicks.
    pub doubtful: BTreeMap<String, u64>,
    /// Probe buyers that tried a released unit.
    pub probes: u64,
    /// Probe buyers that got it.
    pub probes_accepted: u64,
    /// Clicks without an answer in the end.
    #[serde(skip)]
    pub unresolved: Vec<String>,
    /// The release check.
    #[serde(skip)]
    pub checks: Vec<Check>,
}

/// The different orders of a burst.
#[must_use]
pub fn orders(clicks: &[Click], accepted: &[Acceptance]) -> Vec<Order> {
    let mut seen = BTreeSet::new();
    let first = accepted.iter().filter(|acceptance| seen.insert(acceptance.id.as_str()));
    first
        .map(|acceptance| {
            let Acceptance { click, id, receipt } = acceptance;
            Order::new(id.clone(), receipt.clone(), clicks[*click].clone())
        })
        .collect()
}

/// Looks up what is doubtful, waits for rows, pays `pay_share` of the orders, and waits until all are final.
pub async fn settle(
    scene: &Scene,
    clicks: &[Click],
    generated: &Generated,
    pay_share: f64,
    history: &mut History,
) -> Settled {
    let burst_ended_at = Instant::now();
    let mut settled = Settled::default();
    let mut orders = orders(clicks, &generated.accepted);
    look_up(scene, clicks, &generated.doubtful, &mut orders, &mut settled, history).await;
    if generated.unsent > 0 {
        settled.unresolved.push(format!("{} clicks were never sent: the platform was not reachable", generated.unsent));
    }
    settled.orders = orders.len() as u64;
    follow(scene, &mut orders, Order::has_row, scene.bound(ROW_BOUND), history).await;
    settled.persisted = orders.iter().filter(|order| order.has_row()).count() as u64;
    settled.persisted_after_ms = (settled.persisted == settled.orders).then(|| elapsed_ms(burst_ended_at));
    pay(scene, &orders, pay_share, history).await;
    let all_final = follow(scene, &mut orders, Order::is_final, scene.final_bound(), history).await;
    settled.drained_after_ms = all_final.then(|| elapsed_ms(burst_ended_at));
    settled.checks.extend(show_receipts(scene, &orders, history).await);
    for order in &orders {
        let status = if order.status.is_empty() { "not found" } else { &order.status };
        *settled.statuses.entry(status.to_owned()).or_default() += 1;
    }
    settled
}

async fn look_up(
    scene: &Scene,
    clicks: &[Click],
    doubtful: &[usize],
    orders: &mut Vec<Order>,
    settled: &mut Settled,
    history: &mut History,
) {
    let errand = |kind: Kind, click: &Click| Order::new(String::new(), String::new(), click.clone()).errand(kind);
    let runner = scene.runner(32);
    let looked_up = runner.run(doubtful.iter().map(|click| errand(Kind::LookUp, &clicks[*click])).collect()).await;
    let mut open = Vec::new();
    for done in &looked_up {
        if done.told("outcome") == "accepted" {
            count(&mut settled.doubtful, "accepted");
            remember(orders, done);
        } else {
            // Only an abandonment makes "did not" certain.
            open.push(Errand { kind: Kind::Abandon, ..done.errand.clone() });
        }
    }
    let abandoned = runner.run(open).await;
    for done in &abandoned {
        match done.status {
            Some(status) if status < 300 => count(&mut settled.doubtful, "abandoned"),
            Some(_) | None => {
                count(&mut settled.doubtful, "unknown");
                settled.unresolved.push(format!(
                    "key {} of user {}: {:?} {}",
                    done.errand.key,
                    scene.requests.user(done.errand.user),
                    done.status,
                    done.slug
                ));
            }
        }
    }
    history.commands.extend(looked_up.into_iter().chain(abandoned).flat_map(|done| done.commands));
}

fn remember(orders: &mut Vec<Order>, done: &Done) {
    let id = done.told("id");
    if !id.is_empty() && orders.iter().all(|order| order.id != id) {
        let key = done.errand.key.trim_start_matches("k-").parse().unwrap_or_default();
        let click =
            Click { sale: done.errand.sale.clone(), user: done.errand.user, key, lines: done.errand.lines.clone() };
        orders.push(Order::new(id.to_owned(), String::new(), click));
    }
}

/// Asks about every order until `enough` holds for it; false when the bound came first.
pub async fn follow(
    scene: &Scene,
    orders: &mut [Order],
    enough: fn(&Order) -> bool,
    bound: Instant,
    history: &mut History,
) -> bool {
    let runner = Runner { deadline: bound, ..scene.runner(scene.settings.connections.min(64)) };
    loop {
        let open: Vec<usize> = (0..orders.len()).filter(|index| !enough(&orders[*index])).collect();
        if open.is_empty() {
            return true;
        }
        if Instant::now() + ROUND_PAUSE >= bound {
            return false;
        }
        // Only a look-up can say that an order is lost, to whoever shows its receipt.
        let question = if scene.settings.may_lose { Kind::LookUp } else { Kind::Read };
        let errands = open.iter().map(|index| orders[*index].errand(question)).collect();
        let places: BTreeMap<String, usize> = open.iter().map(|index| (orders[*index].id.clone(), *index)).collect();
        for done in runner.run(errands).await {
            let order = &mut orders[places[&done.errand.order]];
            if done.status == Some(200) && order.status != done.told("status") {
                order.status = done.told("status").to_owned();
                // Only changes are kept: the questions in between say nothing new.
                history.commands.extend(done.commands);
            }
        }
        if orders.iter().any(|order| !enough(order)) {
            tokio::time::sleep(ROUND_PAUSE).await;
        }
    }
}

async fn pay(scene: &Scene, orders: &[Order], share: f64, history: &mut History) {
    let mut owed = 0.0;
    let chosen = orders.iter().filter(|order| {
        owed += share;
        let pays = owed >= 1.0;
        owed -= if pays { 1.0 } else { 0.0 };
        pays && order.has_row() && !order.is_final()
    });
    let errands = chosen.map(|order| order.errand(Kind::Pay)).collect();
    let paid = scene.runner(scene.settings.connections.min(64)).run(errands).await;
    history.commands.extend(paid.into_iter().flat_map(|done| done.commands));
}

/// Waits until nothing is held and what is not sold is available, or in the pool of a closed sale; the last state seen
/// when the bound came first.
pub async fn wait_for_release(scene: &Scene, sale: &str) -> Option<crate::platform::SaleState> {
    let bound = scene.bound(RELEASE_BOUND);
    loop {
        let state = scene.platform.sale(sale).await.ok()?;
        let released = state.skus.iter().all(|sku| {
            let units = sku.available + sku.sold;
            sku.held == 0 && (units == sku.total || units + sku.pool == sku.total)
        });
        // More sold than there is cannot come to rest; the verdict will say so.
        let hopeless = state.skus.iter().any(|sku| sku.sold > sku.total);
        if released || hopeless || Instant::now() + ROUND_PAUSE >= bound {
            return Some(state);
        }
        tokio::time::sleep(ROUND_PAUSE).await;
    }
}

/// Shows receipts of accepted orders: whatever became of them since, each was accepted and must not be denied.
async fn show_receipts(scene: &Scene, orders: &[Order], history: &mut History) -> Option<Check> {
    let (lost, kept): (Vec<&Order>, Vec<&Order>) =
        orders.iter().filter(|order| !order.receipt.is_empty()).partition(|order| order.status == "lost");
    let errands: Vec<Errand> =
        lost.iter().chain(kept.iter().take(RECEIPTS_MAX)).map(|order| order.errand(Kind::LookUp)).collect();
    if errands.is_empty() {
        return None;
    }
    let statement = "the look-up of an accepted key, with its receipt, says accepted, or lost where it is";
    let numbers = format!("{} receipts shown", errands.len());
    let lost: BTreeSet<&str> = lost.iter().map(|order| order.id.as_str()).collect();
    let (mut wrong, mut silent) = (Vec::new(), 0);
    for done in scene.runner(32).run(errands).await {
        match done.status {
            Some(200)
                if done.told("outcome") == if lost.contains(&*done.errand.order) { "lost" } else { "accepted" } => {}
            Some(status) => {
                wrong.push(format!("{}: {status} {}{}", done.errand.order, done.slug, done.told("outcome")))
            }
            None => silent += 1,
        }
        history.commands.extend(done.commands);
    }
    if silent > 0 && wrong.is_empty() {
        return Some(Check::not_checked("S25", statement, format!("{numbers}, {silent} without an answer")));
    }
    Some(Check::of("S25", statement, &wrong, numbers))
}

fn count(counts: &mut BTreeMap<String, u64>, name: &str) {
    *counts.entry(name.to_owned()).or_default() += 1;
}

fn elapsed_ms(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
