//! Every scope, as deep as a few seconds allow; `cargo sim explore` goes to the end.

use doorbuster_sim::explore::engine;
use doorbuster_sim::explore::model::Model;
use doorbuster_sim::explore::plant::Plants;
use doorbuster_sim::explore::scope::{SCOPES, Scope};
use doorbuster_sim::explore::story;

/// States of each scope: together some twenty seconds on one core.
const STATES_MAX: usize = 6_000;

#[test]
fn no_rule_falls_near_the_start_of_any_scope() {
    for scope in SCOPES {
        // The healing of a state costs more than the state: every third one is enough here.
        let model = Model::new(&Scope { quiet_every: 3, ..*scope }, Plants::default());
        let outcome = engine::explore(&model, STATES_MAX, &mut |_| true);
        assert!(outcome.quiet_checks > 0, "{}: nothing was ever at rest", scope.name);
        if let Some(found) = &outcome.found {
            panic!("{}: {}", scope.name, story::tell(&model, found));
        }
    }
}

#[test]
fn a_search_is_the_same_every_time() {
    let model = Model::new(&SCOPES[0], Plants::default());
    let figures = || {
        let outcome = engine::explore(&model, 3_000, &mut |_| true);
        (outcome.states, outcome.transitions, outcome.depth, outcome.quiet_checks)
    };
    assert_eq!(figures(), figures());
}
