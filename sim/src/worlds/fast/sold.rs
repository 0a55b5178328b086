//! Sales of seven days: every window that is told, every document that is shown, and both at the end.

use super::days;
use super::world::World;
use crate::services::broker::group::Group;
use crate::services::database::Commit;
pub use crate::worlds::sold::ROLES;
use crate::worlds::sold::{self, CONVERGED_S, Ending};
use crate::worlds::watch::Broken;
use doorbuster_core::limits::SALES_EMIT_DELAY_MS;
use doorbuster_core::search::document::Document;
use doorbuster_core::window::hour::Hour;

/// A transaction was committed: movements that it counted, windows that it told.
pub fn committed(world: &mut World, commit: &Commit) {
    if sold::committed(&mut world.windows, commit) {
        world.count("windows told");
        report(world);
    }
}

/// Search shows a document that it did not show before.
pub fn shown(world: &mut World, document: &Document) {
    sold::shown(&mut world.windows, document);
    world.count("documents shown");
    report(world);
}

fn report(world: &mut World) {
    if let Some((id, what)) = sold::broken(&world.windows) {
        world.violate(id, what);
    }
}

/// L9: everything is counted, the hour ends, its windows are told, and search shows them. Only the roles of this way are
/// awake; a window is told once per hour, so what is counted late shows in the next one.
pub fn converge(world: &mut World) {
    days::sleep(world);
    days::wake(world, &ROLES);
    if !comes_to(world, |world| ending(world, |ending| ending.undone()).or_else(|| busy(world))) {
        return;
    }
    days::sleep(world);
    let told_at = Hour::of(world.clock().wall).next().start().after_ms(SALES_EMIT_DELAY_MS + 1_000);
    world.run_until(days::at_us(told_at));
    days::wake(world, &ROLES);
    comes_to(world, |world| {
        let undone = ending(world, |ending| ending.undone()).or_else(|| busy(world));
        undone.or_else(|| ending(world, |ending| ending.owes()))
    });
}

/// Runs until nothing is owed; says what is when that takes too long.
fn comes_to(world: &mut World, owes: fn(&World) -> Option<Broken>) -> bool {
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

fn ending(world: &World, look: fn(&Ending<'_>) -> Option<Broken>) -> Option<Broken> {
    let groups = [Group::Sales, Group::Indexer].into_iter().filter(|group| world.has_role(group.role()));
    let groups: Vec<Group> = groups.collect();
    look(&Ending {
        windows: &world.windows,
        database: &world.database,
        broker: &world.broker,
        search: &world.search,
        groups: &groups,
        products: world.catalog.products(),
        at: world.clock().wall,
    })
}

fn busy(world: &World) -> Option<Broken> {
    world.hosts.iter().find_map(|host| Some(("L9", format!("{}: {}", host.name, host.pending()?))))
}
