//! The balancer of a sale with several shards; beside the keepers of its process.

use super::intake::applied;
use crate::services::{database, node};
use crate::worlds::fast::host::{Told, Unit, step};
use crate::worlds::fast::world::{At, World};
use doorbuster_core::database::command::Command;
use doorbuster_core::database::tables::{Reads, Rows};
use doorbuster_core::ids::{ServerId, ShardId, SkuId};
use doorbuster_core::keeper::balance::{Move, observe};
use doorbuster_core::keeper::balancer::{BalancerEffect, BalancerEvent, SaleView, SkuView};
use doorbuster_core::keeper::talk::KeeperEvent;
use doorbuster_core::ledger::shard::{Counter, Meta};
use doorbuster_core::machine::Ticket;
use doorbuster_core::outcome::Outcome;
use doorbuster_core::sale::command::SaleCommand;
use std::collections::BTreeMap;

type Views = BTreeMap<ShardId, (ServerId, Option<Meta>, Vec<(SkuId, Counter)>)>;

/// Performs what a balancer asks for.
pub fn perform(world: &mut World, at: At, cell: usize, effect: BalancerEffect) {
    match effect {
        BalancerEffect::Look { ticket, skus, pools } => look(world, at, cell, ticket, (skus, pools)),
        BalancerEffect::Make { sku, step: Move::Withdraw { k, quantity } } => {
            let wanted = ShardId { sale: world.sale, k };
            let cells = &world.hosts[at.host].cells;
            let keeper = cells.iter().position(|cell| matches!(&cell.unit, Unit::Keeper(shard, _) if *shard == wanted));
            let keeper = keeper.expect("a keeper's process has a keeper of every shard");
            world.notify_cell(at, keeper, Told::Keeper(KeeperEvent::RebalanceAsked { sku, quantity }));
        }
        BalancerEffect::Make { sku, step } => {
            let sale = world.sale;
            let command = match step {
                Move::Grant { k, quantity, after } => {
                    SaleCommand::Grant { shard: ShardId { sale, k }, sku, quantity, after }
                }
                Move::Distribute => SaleCommand::Distribute { sale, sku },
                Move::Withdraw { .. } => unreachable!("a keeper does it"),
            };
            // Made, void or unknown: the next look tells where the units are.
            let request = database::Request::Apply(Command::Sale(command));
            world.ask_database(at, request, |_, _, outcome| drop(applied(outcome)));
        }
    }
}

fn tell(world: &mut World, at: At, cell: usize, ticket: Ticket, view: Option<SaleView>) {
    step(world, at, cell, Told::Balancer(BalancerEvent::Looked { ticket, view }));
}

/// All SKUs are few here: one read of all of them stands for the pools' and the wanted ones'.
fn look(world: &mut World, at: At, cell: usize, ticket: Ticket, (skus, pools): (Vec<SkuId>, bool)) {
    let sale = world.sale;
    let mut reads = Reads::default();
    reads.sales.insert(sale);
    reads.skus.extend(world.skus.iter().map(|sku| (sale, *sku)));
    for shard in world.shards() {
        reads.shards.insert(shard);
        reads.stock.extend(world.skus.iter().map(|sku| (shard, *sku)));
    }
    world.ask_database(at, database::Request::Read(reads), move |world, at, outcome| {
        let Outcome::Done(database::Reply::Rows(_, mut rows)) = outcome else {
            return tell(world, at, cell, ticket, None);
        };
        rows.skus.retain(|(_, sku), row| skus.contains(sku) || (pools && row.pool > 0));
        let shards: Vec<ShardId> = rows.shards.keys().copied().collect();
        inspect(world, at, cell, ticket, (rows, shards, Views::new()));
    });
}

fn inspect(
    world: &mut World,
    at: At,
    cell: usize,
    ticket: Ticket,
    (rows, mut shards, mut views): (Rows, Vec<ShardId>, Views),
) {
    let Some(shard) = shards.pop() else {
        let view = view(&rows, &views);
        return tell(world, at, cell, ticket, view);
    };
    world.ask_node(at, node::Request::Inspect(shard), move |world, at, outcome| {
        // A shard whose server does not answer neither gives nor gets.
        if let Outcome::Done(node::Reply::View { server, meta, counters }) = outcome {
            views.insert(shard, (server, meta, counters));
        }
        inspect(world, at, cell, ticket, (rows, shards, views));
    });
}

fn view(rows: &Rows, views: &Views) -> Option<SaleView> {
    let sale = rows.sales.values().next()?;
    let skus = rows.skus.values().map(|row| sku_view(row.sku, row.pool, rows, views)).collect();
    Some(SaleView { state: sale.state, skus })
}

fn sku_view(sku: SkuId, pool: u64, rows: &Rows, views: &Views) -> SkuView {
    let observed = rows.shards.values().filter_map(|row| {
        let (server, meta, counters) = views.get(&row.id)?;
        let stock = rows.stock.get(&(row.id, sku)).copied().unwrap_or_default();
        let counter = counters.iter().find(|(of, _)| *of == sku).map(|(_, counter)| *counter);
        observe(row, &stock, *server, meta.as_ref()?, &counter.unwrap_or_default())
    });
    SkuView { sku, pool, shards: observed.collect() }
}
