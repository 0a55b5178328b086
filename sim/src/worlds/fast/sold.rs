//! Sales of seven days: every window that is told, every document that is shown, and both at the end.

use super::days;
use super::world::World;
use crate::services::broker::group::Group;
use crate::services::database::Commit;
use doorbuster_core::ids::{ProductId, SkuId};
use doorbuster_core::limits::SALES_EMIT_DELAY_MS;
use doorbuster_core::oracle::verdict::{Checked, Judgement};
use doorbuster_core::search::document::Document;
use doorbuster_core::window::hour::Hour;
use std::collections::BTreeMap;

/// The roles through which what was sold comes to search.
pub const ROLES: [&str; 3] = ["relay", "sales", "indexer"];
/// After an hour has ended, its windows are told and shown within so many seconds.
const CONVERGED_S: u64 = 300;

/// A transaction was committed: movements that it counted, windows that it told.
pub fn committed(world: &mut World, commit: &Commit) {
    let change = &commit.decision.change;
    for order in change.rows.orders.values() {
        world.windows.order_moved(order);
    }
    for id in change.rows.counted.keys() {
        world.windows.movement_counted(*id);
    }
    let hour = Hour::of(commit.at.before_ms(SALES_EMIT_DELAY_MS));
    let mut told = false;
    for (sku, row) in &change.rows.sales_rings {
        let before = commit.before.sales_rings.get(sku).and_then(|row| row.emitted_hour);
        if row.emitted_hour.is_some() && row.emitted_hour != before {
            told = true;
            world.windows.window_emitted(*sku, hour.0, row.emitted);
        }
    }
    for sku in &change.removed.sales_rings {
        told = true;
        world.windows.window_emitted(*sku, hour.0, 0);
    }
    if told {
        world.count("windows told");
        let judged = world.windows.judge();
        report(world, "S18", judged);
    }
}

/// Search shows a document that it did not show before.
pub fn shown(world: &mut World, document: &Document) {
    world.windows.document_shown(document.product, document.version.0, document.sales_7d);
    world.count("documents shown");
    let judged = world.windows.judge();
    report(world, "S18", judged);
}

fn report(world: &mut World, id: &str, judged: Checked) {
    if let Ok(Judgement::Red { findings, count }) = judged {
        let first = findings.first().map_or(String::new(), |finding| format!("{}: {}", finding.place, finding.what));
        world.violate(id, format!("{count} times, first {first}"));
    }
}

/// L9: everything is counted, the hour ends, its windows are told, and search shows them. Only the roles of this way are
/// awake; a window is told once per hour, so what is counted late shows in the next one.
pub fn converge(world: &mut World) {
    days::sleep(world);
    days::wake(world, &ROLES);
    if !comes_to(world, undone) {
        return;
    }
    days::sleep(world);
    let told_at = Hour::of(world.clock().wall).next().start().after_ms(SALES_EMIT_DELAY_MS + 1_000);
    world.run_until(days::at_us(told_at));
    days::wake(world, &ROLES);
    comes_to(world, owes);
}

/// Runs until nothing is owed; says what is when that takes too long.
fn comes_to(world: &mut World, owes: fn(&World) -> Option<(&'static str, String)>) -> bool {
    let mut owed = None;
    for _ in 0..CONVERGED_S {
        world.run_until(world.now_us + 1_000_000);
        if world.violation.is_some() {
            return false;
        }
        owed = owes(world);
        if owed.is_none() {
            return true;
        }
    }
    let (id, what) = owed.unwrap_or(("L9", String::new()));
    world.violate(id, format!("after {CONVERGED_S} s: {what}"));
    false
}

fn owes(world: &World) -> Option<(&'static str, String)> {
    if let Some(owed) = undone(world) {
        return Some(owed);
    }
    let hour = Hour::of(world.clock().wall.before_ms(SALES_EMIT_DELAY_MS));
    let told = |(sku, row): (&SkuId, &doorbuster_core::window::rows::SalesRingRow)| (*sku, row.emitted);
    let told: BTreeMap<SkuId, u64> = world.database.rows().sales_rings.iter().map(told).collect();
    if let Ok(Judgement::Red { findings, count }) = world.windows.judge_converged(hour.0, &told) {
        let first = findings.first().map_or(String::new(), |finding| format!("{}: {}", finding.place, finding.what));
        return Some(("L9", format!("{count} times, first {first}")));
    }
    let indexed = world.has_role("indexer");
    world.catalog.products().iter().filter(|_| indexed).find_map(|product| unlike(world, *product))
}

fn undone(world: &World) -> Option<(&'static str, String)> {
    if world.database.stream.unsent() > 0 {
        return Some(("L7", "the outbox is not relayed".to_owned()));
    }
    for group in [Group::Sales, Group::Indexer].into_iter().filter(|group| world.has_role(group.role())) {
        if world.broker.lag(group) > 0 {
            return Some(("L2", format!("{group:?} has not done {} records", world.broker.lag(group))));
        }
    }
    if world.search.is_busy() {
        return Some(("L9", "search has something to show".to_owned()));
    }
    world.hosts.iter().find_map(|host| Some(("L9", format!("{}: {}", host.name, host.pending()?))))
}

/// How search shows a product otherwise than its rows are.
fn unlike(world: &World, product: ProductId) -> Option<(&'static str, String)> {
    let rows = world.database.rows();
    let shown = world.search.shown(product);
    let rings = rows.sales_rings.values();
    let now = Document::of(product, Default::default(), rows.products.get(&product), rings);
    let shown_row = shown.and_then(|document| document.row.as_ref());
    if shown_row != now.row.as_ref() {
        return Some(("L8", format!("search shows {product} as {shown_row:?}, its row is {:?}", now.row)));
    }
    let shown_sales = shown.map_or(0, |document| document.sales_7d);
    let differs = shown_sales != now.sales_7d;
    differs.then(|| ("L9", format!("search shows {shown_sales} of {product}, its windows say {}", now.sales_7d)))
}
