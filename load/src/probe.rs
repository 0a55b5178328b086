//! Probe buyers: what was released can be bought again.

use crate::aftermath::{Scene, Settled, follow, orders, wait_for_release};
use crate::errand::Kind;
use crate::error::LoadError;
use crate::generator::{Click, generate};
use crate::history::{Answer, Attempt, History, Line};
use crate::platform::{SaleState, Shelf};
use crate::verdict::Check;
use doorbuster_core::ids::UserId;
use doorbuster_core::limits::LATCH_MS;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// So many probe buyers show that the released units can be bought; more would only prolong the run.
const PROBES_MAX: u64 = 200;
/// A probe that is told sold-out clicks once more: an edge that heard of no return, because the settler is another process,
/// asks once when its latch has aged, and refuses the others until it is answered. The second time nobody may be refused.
const ROUNDS_MAX: u32 = 2;
/// What such an edge says.
const SOLD_OUT: &str = "sold-out";
/// A user of a wanted shard is found after about as many tries as there are shards; more is a broken hash.
const TRIES_MAX: u32 = 100_000;

/// Sends probe buyers for the units that were released, each to a shard that has one, and cancels what they got.
///
/// # Errors
/// `Generator` when a task panicked.
pub async fn probe(
    scene: &Scene,
    sale: &Arc<str>,
    first_user: u32,
    settled: &mut Settled,
    history: &mut History,
) -> Result<(), LoadError> {
    let statement = "released units can be bought again";
    let known = match wait_for_release(scene, sale).await {
        Some(state) => scene.platform.shelves(sale).await.ok().map(|shelves| (state, shelves)),
        None => None,
    };
    let Some((state, shelves)) = known else {
        settled.checks.push(Check::not_checked("L5", statement, format!("{sale}: the sale's state is not known")));
        return Ok(());
    };
    let clicks = clicks(scene, sale, first_user, &state, &shelves);
    let (mut asking, mut bought, mut wrong, mut latched) = (clicks.clone(), Vec::new(), Vec::new(), 0);
    for round in 1..=ROUNDS_MAX {
        let generated = generate(scene.plan(asking.clone(), 1000.0)).await?;
        let refused: BTreeMap<String, String> = generated.attempts.iter().filter_map(refusal).collect();
        bought.extend(orders(&asking, &generated.accepted));
        history.attempts.extend(generated.attempts);
        let (again, refused): (BTreeMap<_, _>, BTreeMap<_, _>) =
            refused.into_iter().partition(|(_, slug)| slug == SOLD_OUT && round < ROUNDS_MAX);
        wrong.extend(refused.into_iter().map(|(key, slug)| format!("{key} was told {slug}")));
        asking.retain(|click| again.contains_key(&click.key()));
        if asking.is_empty() {
            break;
        }
        latched = asking.len();
        tokio::time::sleep(Duration::from_millis(LATCH_MS)).await;
    }
    settled.probes += clicks.len() as u64;
    settled.probes_accepted += bought.len() as u64;
    if bought.len() < clicks.len() && wrong.is_empty() {
        wrong.push("some probes had no answer".to_owned());
    }
    let figures = format!("{sale}: {} of {} probe buyers, {latched} after a latch", bought.len(), clicks.len());
    settled.checks.push(Check::of("L5", statement, &wrong, figures));
    let errands = bought.iter().map(|order| order.errand(Kind::Cancel)).collect();
    let cancelled = scene.runner(32).run(errands).await;
    history.commands.extend(cancelled.into_iter().flat_map(|done| done.commands));
    follow(scene, &mut bought, crate::aftermath::Order::is_final, scene.final_bound(), history).await;
    let _ = wait_for_release(scene, sale).await;
    Ok(())
}

/// Under which key somebody was refused, and why.
fn refusal(attempt: &Attempt) -> Option<(String, String)> {
    match &attempt.answer {
        Answer::Refused { slug, .. } => Some((attempt.key.clone(), slug.to_string())),
        Answer::Accepted { .. } | Answer::Unavailable { .. } | Answer::Unknown { .. } => None,
    }
}

/// One unit for one user, of the shard that has it: the limit and the pages do not matter.
fn clicks(scene: &Scene, sale: &Arc<str>, first_user: u32, state: &SaleState, shelves: &[Shelf]) -> Vec<Click> {
    let shards = u16::try_from(state.shards.len().max(1)).unwrap_or(u16::MAX);
    let share = (PROBES_MAX / state.skus.len().max(1) as u64).max(1);
    let (mut clicks, mut number, mut probed) = (Vec::new(), first_user, HashMap::new());
    for shelf in shelves {
        let of_sku: &mut u64 = probed.entry(shelf.sku.as_str()).or_default();
        for _ in 0..shelf.available.min(share - (*of_sku).min(share)) {
            let Some(user) = user_of(scene, number, shelf.k, shards) else { return clicks };
            number = user + 1;
            *of_sku += 1;
            let lines = Arc::from([Line { sku: shelf.sku.clone(), quantity: 1 }]);
            clicks.push(Click { sale: sale.clone(), user, key: user, lines });
        }
    }
    clicks
}

/// The first user from this number on whom the shard serves.
fn user_of(scene: &Scene, first: u32, k: u16, shards: u16) -> Option<u32> {
    (first..first.saturating_add(TRIES_MAX))
        .find(|number| UserId::parse(&scene.requests.user(*number)).is_ok_and(|user| user.shard_of(shards) == k))
}
