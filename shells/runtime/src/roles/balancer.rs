//! The balancers, wired: one per sale with more than one shard. They hear of refused buyers through the lanes.

use super::auditor::Keepers;
use super::{Ports, shards};
use crate::drive::{Inbox, Perform, Performed, Stop, drive, inbox, spawn};
use crate::ports::Unavailable;
use crate::ports::admit::{Admission, Admit};
use crate::ports::ledger::ServerView;
use crate::telemetry::Metric;
use async_trait::async_trait;
use doorbuster_core::database::command::Command;
use doorbuster_core::database::tables::{Reads, Rows};
use doorbuster_core::ids::{SaleId, ShardId, SkuId};
use doorbuster_core::keeper::balance::{Move, observe};
use doorbuster_core::keeper::balancer::{Balancer, BalancerEffect, BalancerEvent, SaleView, SkuView};
use doorbuster_core::keeper::talk::KeeperEvent;
use doorbuster_core::ledger::basket::Basket;
use doorbuster_core::ledger::reserve::{ReserveItem, ReserveRefusal};
use doorbuster_core::outcome::Outcome;
use doorbuster_core::sale::command::SaleCommand;
use doorbuster_core::time::Now;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, RwLock};

/// The balancers of this process, by sale.
#[derive(Clone, Default)]
pub struct Balancers(Arc<RwLock<BTreeMap<SaleId, Inbox<BalancerEvent>>>>);

/// Starts a balancer for each sale with more than one shard, now and whenever one appears.
pub fn start(ports: &Ports, keepers: Keepers, stop: &Stop) -> Balancers {
    let balancers = Balancers::default();
    let (started, of, until) = (balancers.clone(), ports.clone(), stop.clone());
    shards::follow(ports, stop, move |shard| {
        // A sale has a second shard if and only if it has several.
        if shard.k == 1 {
            let events = start_one(shard.sale, &of, keepers.clone(), &until);
            started.0.write().expect("no holder of this lock panics").insert(shard.sale, events);
        }
    });
    balancers
}

fn start_one(sale: SaleId, ports: &Ports, keepers: Keepers, stop: &Stop) -> Inbox<BalancerEvent> {
    let (events, received) = inbox();
    let machine = Balancer::new(ports.env.now().mono);
    let performer = Arc::new(BalancerPerformer { sale, ports: ports.clone(), keepers });
    let channel = (events.clone(), received);
    spawn(drive(machine, performer, ports.env.clone(), stop.clone(), channel, |_| BalancerEvent::Woken));
    events
}

impl Balancers {
    /// These lanes, of whose refusals the balancers are told.
    pub fn watch(&self, lanes: Arc<dyn Admit>) -> Arc<dyn Admit> {
        Arc::new(WatchedLanes { lanes, balancers: self.clone() })
    }

    fn sold_out(&self, shard: ShardId, sku: SkuId, basket: &Basket) {
        let balancers = self.0.read().expect("no holder of this lock panics");
        let Some(events) = balancers.get(&shard.sale) else { return };
        let wanted = basket.lines().iter().find(|line| line.sku == sku);
        let quantity = wanted.map_or(1, |line| u64::from(line.quantity));
        // A balancer with a full inbox knows of enough buyers; this one counts when he presses again.
        let _ = events.try_send(BalancerEvent::SoldOut { k: shard.k, sku, quantity });
    }
}

struct WatchedLanes {
    lanes: Arc<dyn Admit>,
    balancers: Balancers,
}

#[async_trait]
impl Admit for WatchedLanes {
    async fn reserve(&self, shard: ShardId, item: ReserveItem) -> Admission {
        let basket = item.basket.clone();
        let admission = self.lanes.reserve(shard, item).await;
        if let Admission::Refused(ReserveRefusal::SoldOut(sku)) = &admission {
            self.balancers.sold_out(shard, *sku, &basket);
        }
        admission
    }
}

struct BalancerPerformer {
    sale: SaleId,
    ports: Ports,
    keepers: Keepers,
}

impl Perform<Balancer> for BalancerPerformer {
    fn perform(&self, _: Now, effect: BalancerEffect) -> Option<Performed<BalancerEvent>> {
        let (sale, ports) = (self.sale, self.ports.clone());
        match effect {
            BalancerEffect::Look { ticket, skus, pools } => Some(Box::pin(async move {
                let view = look(&ports, sale, skus.into_iter().collect(), pools).await;
                Some(BalancerEvent::Looked { ticket, view: view.ok().flatten() })
            })),
            BalancerEffect::Make { sku, step } => {
                ports.telemetry.add(Metric::Moves, 1);
                let command = match step {
                    Move::Withdraw { k, quantity } => {
                        self.ask_keeper(ShardId { sale, k }, KeeperEvent::RebalanceAsked { sku, quantity });
                        return None;
                    }
                    Move::Grant { k, quantity, after } => {
                        SaleCommand::Grant { shard: ShardId { sale, k }, sku, quantity, after }
                    }
                    Move::Distribute => SaleCommand::Distribute { sale, sku },
                };
                Some(Box::pin(async move {
                    // Made, void or unknown: the next look tells where the units are.
                    let _ = ports.store.apply(Command::Sale(command)).await;
                    None
                }))
            }
        }
    }
}

impl BalancerPerformer {
    fn ask_keeper(&self, shard: ShardId, wish: KeeperEvent) {
        if let Some(keeper) = self.keepers.lock().expect("no holder of this lock panics").get(&shard) {
            // A keeper with a full inbox is asked again after the next look.
            let _ = keeper.try_send(wish);
        }
    }
}

/// The sale with these SKUs, and with those that have units in their pools when `pools` says so; `None` without a sale.
async fn look(
    ports: &Ports,
    sale: SaleId,
    mut skus: BTreeSet<SkuId>,
    pools: bool,
) -> Result<Option<SaleView>, Unavailable> {
    if pools {
        skus.extend(pooled(ports, sale).await?);
    }
    let mut reads = Reads::default();
    reads.sales.insert(sale);
    let Some(row) = ports.store.read(reads).await?.sales.remove(&sale) else { return Ok(None) };
    if skus.is_empty() {
        return Ok(Some(SaleView { state: row.state, skus: Vec::new() }));
    }
    let mut reads = Reads::default();
    reads.skus.extend(skus.iter().map(|sku| (sale, *sku)));
    for k in 0..row.shards {
        let shard = ShardId { sale, k };
        reads.shards.insert(shard);
        reads.stock.extend(skus.iter().map(|sku| (shard, *sku)));
    }
    let rows = ports.store.read(reads).await?;
    let mut servers = BTreeMap::new();
    for shard in rows.shards.keys() {
        // A shard whose server does not answer neither gives nor gets.
        if let Outcome::Done(view) = ports.ledger.inspect(*shard).await {
            servers.insert(*shard, view);
        }
    }
    let skus = rows.skus.iter().map(|((_, sku), row)| sku_view(*sku, row.pool, &rows, &servers)).collect();
    Ok(Some(SaleView { state: row.state, skus }))
}

/// The SKUs with units that no shard has.
async fn pooled(ports: &Ports, sale: SaleId) -> Result<Vec<SkuId>, Unavailable> {
    let mut reads = Reads::default();
    reads.ranges.insert(sale);
    let range = ports.store.read(reads).await?.ranges.remove(&sale).unwrap_or_default();
    let mut reads = Reads::default();
    reads.skus.extend(range.skus.iter().map(|sku| (sale, *sku)));
    let rows = ports.store.read(reads).await?;
    Ok(rows.skus.values().filter(|row| row.pool > 0).map(|row| row.sku).collect())
}

fn sku_view(sku: SkuId, pool: u64, rows: &Rows, servers: &BTreeMap<ShardId, ServerView>) -> SkuView {
    let observed = rows.shards.values().filter_map(|row| {
        let view = servers.get(&row.id)?;
        let stock = rows.stock.get(&(row.id, sku)).copied().unwrap_or_default();
        let counter = view.counters.iter().find(|(of, _)| *of == sku).map(|(_, counter)| *counter);
        observe(row, &stock, view.server, view.meta.as_ref()?, &counter.unwrap_or_default())
    });
    SkuView { sku, pool, shards: observed.collect() }
}
