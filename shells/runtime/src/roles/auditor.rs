//! The live oracle, wired: the ledger's equations over rows and memories, again and again, while the platform sells.
//!
//! I1, I2, I4 and I5 come from counters each round; I3 from a scan over all orders of a shard in one snapshot, whose age
//! is shown. A broken I4 or I5 seals the shard through its keeper; the others name a broken database.

use super::Ports;
use crate::drive::{Inbox, Stop, spawn};
use crate::ports::Unavailable;
use crate::ports::ledger::ServerView;
use crate::ports::store::Snapshot;
use crate::telemetry::Metric;
use doorbuster_core::database::rows::{SaleRow, ShardRow, StockRow};
use doorbuster_core::database::tables::{Reads, Rows};
use doorbuster_core::ids::{ShardId, SkuId};
use doorbuster_core::keeper::talk::KeeperEvent;
use doorbuster_core::oracle::live::{
    RollingScan, agrees_when_quiet, consumed_within_granted, granted_and_pool_are_total, granted_is_available_and_live,
};
use doorbuster_core::oracle::verdict::{Check, Checked, Missing};
use doorbuster_core::outcome::Outcome;
use doorbuster_core::time::{Mono, Wall};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

/// Between two rounds: what is broken is seen within a few seconds, and a round costs a few reads per shard.
const ROUND: Duration = Duration::from_secs(2);
/// Orders of one page of the scan: about a millisecond of work between two pauses.
const PAGE: usize = 200;
/// A pause is so many times as long as the page before it took: the scan has a hundredth of one core, and less when the
/// machine is busy, because then its pages take longer.
const PAUSE_FACTOR: u64 = 100;
/// The shortest pause, in microseconds.
const PAUSE_US_MIN: u64 = 10_000;

/// A settlement is taken in within some milliseconds; this is many times as long.
const CONFIRM: Duration = Duration::from_millis(500);

/// What one invariant is judged to be, over all shards.
#[derive(Clone, Debug)]
pub struct LiveCheck {
    /// Which.
    pub check: Check,
    /// Red if it is red anywhere; else green if it could be checked anywhere.
    pub judged: Checked,
    /// When its input was read.
    pub at: Mono,
}

/// The keepers of this process, to tell them what is broken.
pub type Keepers = Arc<Mutex<BTreeMap<ShardId, Inbox<KeeperEvent>>>>;

/// Starts the live oracle; what it says can be watched.
pub fn start(ports: &Ports, keepers: Keepers, stop: &Stop) -> watch::Receiver<Vec<LiveCheck>> {
    let (said, heard) = watch::channel(Vec::new());
    let scans = Arc::new(Mutex::new(BTreeMap::new()));
    until_stopped(stop, scan_orders(ports.clone(), scans.clone()));
    until_stopped(stop, judge_counters(ports.clone(), keepers, scans, said));
    heard
}

fn until_stopped(stop: &Stop, work: impl Future<Output = ()> + Send + 'static) {
    let mut stop = stop.clone();
    spawn(async move {
        tokio::select! {
            biased;
            _ = stop.wait_for(|stopped| *stopped) => {}
            () = work => {}
        }
    });
}

/// The last judgement of I3 per shard, and the time of the snapshot that it is about.
type Scans = Arc<Mutex<BTreeMap<ShardId, (Mono, Checked)>>>;

async fn judge_counters(ports: Ports, keepers: Keepers, scans: Scans, said: watch::Sender<Vec<LiveCheck>>) {
    loop {
        match round(&ports, &keepers, &scans).await {
            Ok(checks) => {
                let red = checks.iter().filter(|check| is_red(&check.judged)).count();
                ports.telemetry.set(Metric::OracleRed, red as u64);
                said.send_replace(checks);
            }
            Err(unavailable) => tracing::warn!(%unavailable, "the live oracle could not read"),
        }
        tokio::time::sleep(ROUND).await;
    }
}

fn is_red(checked: &Checked) -> bool {
    checked.as_ref().is_ok_and(|judgement| judgement.is_red())
}

/// Judgements of one round, merged over shards.
#[derive(Default)]
struct Board(BTreeMap<Check, (Mono, Checked)>);

impl Board {
    fn add(&mut self, check: Check, at: Mono, judged: Checked) {
        let Some((known_at, known)) = self.0.get_mut(&check) else {
            self.0.insert(check, (at, judged));
            return;
        };
        // Red anywhere is red; the oldest input is the age that is shown.
        *known_at = at.min(*known_at);
        if !is_red(known) && (is_red(&judged) || known.is_err()) {
            *known = judged;
        }
    }

    fn finish(self) -> Vec<LiveCheck> {
        self.0.into_iter().map(|(check, (at, judged))| LiveCheck { check, judged, at }).collect()
    }
}

async fn round(ports: &Ports, keepers: &Keepers, scans: &Scans) -> Result<Vec<LiveCheck>, Unavailable> {
    let (mut board, at) = (Board::default(), ports.env.now().mono);
    let snapshot = ports.store.snapshot().await?;
    for sale in snapshot.sales().await? {
        let rows = stock_rows(snapshot.as_ref(), &sale).await?;
        for ((_, sku), row) in &rows.skus {
            let shards = rows.stock.iter().filter(|((_, of), _)| of == sku).map(|(_, row)| *row);
            board.add(Check::I2, at, granted_and_pool_are_total(row, shards));
        }
        for shard in rows.shards.values() {
            let stock = stock_of(&rows, shard.id);
            board.add(Check::I1, at, consumed_within_granted(shard.id, &stock));
            let scanned = scans.lock().expect("no holder of this lock panics").get(&shard.id).cloned();
            let (scanned_at, judged) = scanned.unwrap_or((at, Err(Missing("the first scan of all orders".to_owned()))));
            board.add(Check::I3, scanned_at, judged);
            judge_memory(ports, keepers, &mut board, shard, &stock).await;
        }
    }
    Ok(board.finish())
}

fn stock_of(rows: &Rows, shard: ShardId) -> Vec<(SkuId, StockRow)> {
    rows.stock.iter().filter(|((of, _), _)| *of == shard).map(|((_, sku), row)| (*sku, *row)).collect()
}

/// Every row of the sale that counts units.
async fn stock_rows(snapshot: &dyn Snapshot, sale: &SaleRow) -> Result<Rows, Unavailable> {
    let mut reads = Reads::default();
    reads.ranges.insert(sale.id);
    let range = snapshot.read(reads).await?.ranges.remove(&sale.id).unwrap_or_default();
    let mut reads = Reads::default();
    reads.skus.extend(range.skus.iter().map(|sku| (sale.id, *sku)));
    for k in 0..sale.shards {
        let shard = ShardId { sale: sale.id, k };
        reads.shards.insert(shard);
        reads.stock.extend(range.skus.iter().map(|sku| (shard, *sku)));
    }
    snapshot.read(reads).await
}

/// I4 and I5 of one shard's server. The row is read again behind the memory: only if it stands still are both of one moment.
async fn judge_memory(
    ports: &Ports,
    keepers: &Keepers,
    board: &mut Board,
    row: &ShardRow,
    stock: &[(SkuId, StockRow)],
) {
    let at = ports.env.now().mono;
    let Outcome::Done(view) = ports.ledger.inspect(row.id).await else {
        // Not seen is not broken: the keeper finds out whether the server is lost.
        board.add(Check::I4, at, Err(Missing("an answer of the shard's server".to_owned())));
        return;
    };
    let balanced = granted_is_available_and_live(row.id, view.counters.iter().copied());
    if is_red(&balanced) {
        tell_keeper(keepers, row.id);
    }
    board.add(Check::I4, at, balanced);
    let mut agrees = judge_agreement(ports, row, stock, &view).await;
    if is_red(&agrees) {
        // What was freed in the rows a moment ago may still be on its way down: only a difference that stays is one.
        tokio::time::sleep(CONFIRM).await;
        let Outcome::Done(again) = ports.ledger.inspect(row.id).await else { return };
        agrees = judge_agreement(ports, row, stock, &again).await;
    }
    board.add(Check::I5, at, agrees);
}

/// I5 of one shard, if its rows are still what they were when `row` and `stock` were read.
async fn judge_agreement(ports: &Ports, row: &ShardRow, stock: &[(SkuId, StockRow)], view: &ServerView) -> Checked {
    let mut reads = Reads::default();
    reads.shards.insert(row.id);
    reads.stock.extend(stock.iter().map(|(sku, _)| (row.id, *sku)));
    let moving = Err(Missing("a moment with nothing in flight".to_owned()));
    let Ok(again) = ports.store.read(reads).await else { return moving };
    let still = again.shards.get(&row.id).is_some_and(|now| now.cursor == row.cursor && now.epoch == row.epoch)
        && stock_of(&again, row.id) == stock;
    if !still {
        return moving;
    }
    let owed_down = ports.telemetry.read(Metric::SettlerParked);
    agrees_when_quiet(row, stock, view.meta.as_ref(), view.counters.iter().copied(), owed_down)
}

fn tell_keeper(keepers: &Keepers, shard: ShardId) {
    if let Some(keeper) = keepers.lock().expect("no holder of this lock panics").get(&shard) {
        // A full inbox hears it at the next round.
        let _ = keeper.try_send(KeeperEvent::OperatorSeal);
    }
}

/// I3: all orders of every shard, round and round, each round in one snapshot.
async fn scan_orders(ports: Ports, scans: Scans) {
    loop {
        if let Ok(snapshot) = ports.store.snapshot().await {
            let at = ports.env.now().mono;
            for sale in snapshot.sales().await.unwrap_or_default() {
                for k in 0..sale.shards {
                    let shard = ShardId { sale: sale.id, k };
                    if let Ok(judged) = scan_shard(&ports, snapshot.as_ref(), &sale, shard).await {
                        scans.lock().expect("no holder of this lock panics").insert(shard, (at, judged));
                    }
                }
            }
        }
        tokio::time::sleep(ROUND).await;
    }
}

async fn scan_shard(
    ports: &Ports,
    snapshot: &dyn Snapshot,
    sale: &SaleRow,
    shard: ShardId,
) -> Result<Checked, Unavailable> {
    let now: Wall = snapshot.taken_at();
    let mut scan = RollingScan::new(shard, now);
    loop {
        let after = scan.position().map(|order| order.reservation);
        let began = ports.env.now().mono;
        let page = snapshot.orders(shard, after, PAGE).await?;
        if page.is_empty() {
            break;
        }
        scan.feed(&page);
        let took_us = ports.env.now().mono.0 - began.0;
        tokio::time::sleep(Duration::from_micros((PAUSE_FACTOR * took_us).max(PAUSE_US_MIN))).await;
    }
    let rows = stock_rows(snapshot, sale).await?;
    Ok(scan.finish(stock_of(&rows, shard), now))
}
