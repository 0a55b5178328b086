//! Bugs planted on purpose must be found, and named by the invariant that they break.

use doorbuster_sim::explore::engine;
use doorbuster_sim::explore::model::Model;
use doorbuster_sim::explore::plant::Plants;
use doorbuster_sim::explore::scope::{Budgets, SCOPES, Scope, Wish};
use doorbuster_sim::explore::story;

/// Far more than any of these bugs needs.
const STATES_MAX: usize = 150_000;

fn scope(name: &str) -> &'static Scope {
    SCOPES.iter().find(|scope| scope.name == name).expect("a scope of this name")
}

fn finds(name: &str, plants: Plants, expected: &str) {
    finds_in(scope(name), plants, expected);
}

fn finds_in(scope: &Scope, plants: Plants, expected: &str) {
    let model = Model::new(scope, plants);
    let outcome = engine::explore(&model, STATES_MAX, &mut |_| true);
    let found = outcome.found.unwrap_or_else(|| panic!("survived {} states of {}", outcome.states, scope.name));
    println!("{}", story::tell(&model, &found));
    assert_eq!(found.violation.id, expected, "{}", story::tell(&model, &found));
}

/// One user wants all there is; another, twice one unit.
const WHOLE_STOCK_AND_TWO: &[Wish] =
    &[Wish { user: 0, quantities: &[2] }, Wish { user: 1, quantities: &[1] }, Wish { user: 1, quantities: &[1] }];

/// Never at rest: only what every step checks can find the bug.
fn busy(name: &str) -> Scope {
    Scope { quiet_every: u64::MAX, wishes: WHOLE_STOCK_AND_TWO, ..*scope(name) }
}

#[test]
fn a_promoted_copy_under_the_old_identity_leaves_a_buyer_in_silence() {
    finds("base", Plants { promoted_keeps_identity: true, ..Plants::default() }, "S5");
}

#[test]
fn a_promoted_copy_under_the_old_identity_also_raises_an_alarm() {
    let plants = Plants { promoted_keeps_identity: true, ..Plants::default() };
    finds_in(&busy("base"), plants, "alarm");
}

#[test]
fn intake_that_trusts_the_shard_oversells_after_such_a_failover() {
    let plants = Plants { promoted_keeps_identity: true, trusts_shard: true, ..Plants::default() };
    finds_in(&busy("base"), plants, "S1");
}

#[test]
fn a_give_back_under_the_epoch_of_the_order_loses_the_unit() {
    finds("base", Plants { settled_with_order_epoch: true, ..Plants::default() }, "I5");
}

#[test]
fn a_forwarder_that_acknowledges_behind_its_own_seal_breaks_the_promise_of_the_log() {
    finds("forwarders", Plants { acks_behind_seal: true, ..Plants::default() }, "S10");
}

#[test]
fn a_forwarder_that_is_not_fenced_breaks_the_promise_of_the_log() {
    finds("forwarders", Plants { unfenced_forwarder: true, ..Plants::default() }, "S10");
}

#[test]
fn a_give_back_that_counts_twice_breaks_the_books() {
    finds("base", Plants { double_give_back: true, ..Plants::default() }, "I5");
}

#[test]
fn a_rebuild_without_pages_never_opens() {
    finds("base", Plants { load_without_pages: true, ..Plants::default() }, "L11");
}

#[test]
fn an_abandon_that_tells_nobody_loses_the_unit() {
    finds("abandon", Plants { silent_abandon: true, ..Plants::default() }, "I5");
}

#[test]
fn a_seal_that_ends_any_epoch_breaks_the_promise_of_the_log() {
    finds("forwarders", Plants { any_seal_seals: true, ..Plants::default() }, "S10");
}

#[test]
fn an_epoch_that_is_loaded_again_is_opened_twice() {
    // On one server the nonce forbids it: it takes a failover between the two loads.
    let budgets = Budgets { failovers: 1, seals: 1, ..Budgets::NONE };
    let scope = Scope { budgets, ..*scope("ladder-crash") };
    finds_in(&scope, Plants { reopens_epoch: true, ..Plants::default() }, "S26");
}

#[test]
fn a_cancel_that_keeps_the_quota_is_seen_at_once() {
    finds("base", Plants { cancel_keeps_quota: true, ..Plants::default() }, "I3");
}

#[test]
fn an_event_that_is_dropped_at_the_first_refusal_loses_the_unit() {
    finds("base", Plants { retry_is_done: true, ..Plants::default() }, "I5");
}

#[test]
fn a_pause_that_only_a_load_carries_is_missed() {
    finds("stop-resume", Plants { pause_by_snapshot: true, ..Plants::default() }, "STOP");
}

#[test]
fn a_settler_that_tells_closed_shards_never_ends() {
    finds("close", Plants { tells_closed_shards: true, ..Plants::default() }, "L1");
}

#[test]
fn a_trace_is_told_step_by_step() {
    let model = Model::new(scope("forwarders"), Plants { acks_behind_seal: true, ..Plants::default() });
    let outcome = engine::explore(&model, STATES_MAX, &mut |_| true);
    let told = story::tell(&model, &outcome.found.expect("a planted bug"));
    assert!(told.contains("PublishSeal") && told.ends_with("is lost\n"), "{told}");
}
