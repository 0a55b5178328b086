//! An operator who writes products while readers look at them, and what every edge shows at the end.

use super::catalog::{Reader, Visit};
use super::world::World;
use crate::fault::FaultKind;
use crate::plan::Strike;
use crate::worlds::fast::roles::instances;
use doorbuster_core::database::command::Command;
use doorbuster_core::database::rows::ProductRow;
use doorbuster_core::ids::{ProductId, Version};
use doorbuster_core::limits::{CACHE_LAG_AFTER_LOSS_MS, CACHE_LAG_MS};
use doorbuster_core::rng::Rng;
use doorbuster_core::sale::command::SaleCommand;
use doorbuster_runtime::drive::spawn;
use doorbuster_runtime::roles::cache::Products;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Products are written and read for so long.
pub const CATALOG_MS: u64 = 15_000;
/// Edits of one product that is edited again and again: some seconds of the quickest operator.
const EDITS_MAX: u64 = 20;
/// Visits to it after each edit.
const VISITS: u64 = 3;
/// Tries until every edge has told what it shows at the end.
const FINAL_TRIES: u32 = 60;

/// Reads at an edge what visits to it ask for.
pub async fn read_along(products: Arc<Products>, reader: Arc<Reader>, mut visits: mpsc::UnboundedReceiver<Visit>) {
    while let Some(visit) = visits.recv().await {
        for _ in 0..visit.readers {
            let (products, reader) = (products.clone(), reader.clone());
            spawn(async move {
                let asked_at = reader.asked();
                let answer = products.read(visit.product).await;
                reader.served(visit, asked_at, &answer);
            });
        }
    }
}

/// Whether anybody wants to hear of changes: caches, or search.
pub fn is_on(world: &World) -> bool {
    world.catalog.is_on || instances(&world.plan.setup, "indexer") > 0
}

/// Puts changes and visits on the agenda: many visits come while a change is under way.
pub fn plan(world: &mut World) {
    if !is_on(world) {
        return;
    }
    let mut rng = world.seed.stream("catalog");
    let products = world.catalog.products.clone();
    let any = |rng: &mut Rng| products[rng.below(products.len() as u64) as usize];
    // Not all are there at the beginning: a name that is not there yet is remembered as absent.
    products.iter().copied().filter(|_| rng.below(3) > 0).for_each(|product| edit(world, product));
    let edits: Vec<(u64, ProductId)> = (0..2 + rng.below(4)).map(|_| (rng.below(CATALOG_MS), any(&mut rng))).collect();
    for (at_ms, product) in edits.iter().copied() {
        world.at_ms(at_ms, move |world| edit(world, product));
    }
    if !world.catalog.is_on {
        return;
    }
    for _ in 0..10 + rng.below(10) {
        let (near_ms, near) = edits[rng.below(edits.len() as u64) as usize];
        let (at_ms, product) = match rng.below(2) {
            0 => (rng.below(CATALOG_MS), any(&mut rng)),
            _ => (near_ms + rng.below(3_000), near),
        };
        let (pick, readers) = (rng.draw(), 1 + rng.below(3));
        world.at_ms(at_ms, move |world| world.catalog.visit(pick, Visit { product, readers, is_final: false }));
    }
}

/// An operator writes a product.
fn edit(world: &World, product: ProductId) {
    let row = ProductRow {
        id: product,
        name: format!("{product} as it was at {} us", world.now_us()),
        category: String::new(),
        image_url: String::new(),
        version: Version(0),
    };
    world.command_now(&Command::Sale(SaleCommand::PutProducts(vec![row])));
}

/// An operator edits one product again and again, and readers come all the time.
pub fn edit_again(world: &mut World, index: usize, strike: &Strike) {
    let Ok(product) = ProductId::parse(&strike.target) else { return };
    let mut rng = world.seed.stream(&format!("catalog/{index}"));
    let pause_ms = strike.amount.max(1);
    for turn in 0..(strike.for_ms / pause_ms).min(EDITS_MAX) {
        let at_ms = turn * pause_ms + rng.below(pause_ms);
        world.after_ms(at_ms, move |world| {
            if !world.scene.state().is_healed {
                edit(world, product);
                world.scene.take_effect(FaultKind::O6, "a product");
            }
        });
        for _ in 0..VISITS {
            let (visit_ms, pick, readers) = (at_ms + rng.below(1_000), rng.draw(), 1 + rng.below(2));
            world.after_ms(visit_ms, move |world| {
                world.catalog.visit(pick, Visit { product, readers, is_final: false });
            });
        }
    }
}

/// L8: after its lag, every edge serves what the database has.
pub fn converge(world: &mut World) {
    if !world.catalog.is_on || world.is_broken() {
        return;
    }
    let lost_until = world.catalog.lost_until().map_or(0, |until| until.after_ms(CACHE_LAG_AFTER_LOSS_MS).0);
    world.run_for(CACHE_LAG_MS.max(lost_until.saturating_sub(world.now_us()).div_ceil(1000)));
    for _ in 0..FINAL_TRIES {
        let unshown = world.catalog.unshown();
        if unshown.is_empty() || world.is_broken() {
            break;
        }
        for (edge, product) in unshown {
            world.catalog.visit(edge, Visit { product, readers: 1, is_final: true });
        }
        world.run_for(500);
    }
    let unshown = world.catalog.unshown().len();
    if unshown > 0 {
        return world.scene.violate("L8", format!("{unshown} products are not served at the end"));
    }
    let rows = world
        .database
        .look(|database| database.rows().products.iter().map(|(product, row)| (*product, row.version)).collect());
    world.catalog.judge(&rows);
}
