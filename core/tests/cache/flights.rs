//! One flight per product: who joins it, who leaves it, and what it may not fill.

use super::world::{Call, World, key, value};
use doorbuster_core::cache::shared::Document;
use doorbuster_core::cache::talk::{Answer, Event};
use doorbuster_core::ids::Version;
use doorbuster_core::limits::{
    BACKOFF_MS_MIN, CACHE_ABSENT_AGE_MS, CACHE_LOAD_MS, CACHE_LOADS_MAX, CACHE_LOCAL_AGE_MS, CACHE_PATIENCE_MS,
    CACHE_READ_MS,
};
use doorbuster_core::machine::Machine;

/// A world in which product 0 has this version and nothing is cached; the change's floor has not been written.
fn world(version: u64) -> World {
    let mut world = World::new(2);
    for _ in 0..version {
        world.change(key(0));
    }
    world
}

fn found(version: u64) -> Answer {
    Answer::Found { version: Version(version), value: value(key(0), Version(version)) }
}

/// Carries out and answers the only call of this process.
fn finish_call(world: &mut World, process: usize) -> Vec<Answer> {
    assert_eq!(world.processes[process].calls.len(), 1, "one call is open: {:?}", world.processes[process].calls);
    world.carry_out(process, 0);
    world.answer(process, 0).into_iter().map(|(_, answer)| answer).collect()
}

/// Asks, and answers the read of the shared cache, which finds nothing: a load is open.
fn begin_load(world: &mut World, process: usize) {
    assert_eq!(world.ask(process, key(0)), None);
    assert_eq!(finish_call(world, process), []);
    assert!(matches!(world.processes[process].calls[..], [Call::Load { .. }]));
}

#[test]
fn ten_thousand_misses_make_one_load() {
    let mut world = world(1);
    (0..5_000).for_each(|_| assert_eq!(world.ask(0, key(0)), None));
    assert_eq!(finish_call(&mut world, 0), []);
    (0..5_000).for_each(|_| assert_eq!(world.ask(0, key(0)), None));
    let answers = finish_call(&mut world, 0);
    assert_eq!((answers.len(), world.loads), (10_000, 1));
    assert!(answers.iter().all(|answer| *answer == found(1)));
    assert_eq!(world.ask(0, key(0)), Some(found(1)), "from now on it is here");
    world.come_to_rest();
    assert_eq!(world.ask(1, key(0)), None);
    assert_eq!(finish_call(&mut world, 1), [found(1)], "and the other process reads it from the shared cache");
    assert_eq!((world.loads, world.processes[0].cache.pending()), (1, None));
}

#[test]
fn a_caller_that_loses_patience_leaves_the_flight_alone() {
    let mut world = world(1);
    begin_load(&mut world, 0);
    world.wait(CACHE_PATIENCE_MS - 1);
    assert_eq!(world.ask(0, key(0)), None);
    world.wait(1);
    let gone: Vec<Answer> = world.wake(0).into_iter().map(|(_, answer)| answer).collect();
    assert_eq!(gone, [Answer::NotReady]);
    assert_eq!(world.ask(0, key(0)), None, "whoever comes next joins the same flight");
    assert_eq!(finish_call(&mut world, 0), [found(1), found(1)]);
    assert_eq!(world.loads, 1);
}

#[test]
fn a_flight_that_everybody_left_still_fills() {
    let mut world = world(1);
    begin_load(&mut world, 0);
    world.wait(CACHE_PATIENCE_MS);
    world.wake(0);
    assert_eq!(world.processes[0].cache.pending(), Some("a product is being loaded"));
    assert_eq!(finish_call(&mut world, 0), []);
    assert_eq!(finish_call(&mut world, 0), [], "the shared cache is filled");
    assert!(matches!(world.shared.read(key(0), world.server()).document, Some(Document::Filled { .. })));
}

#[test]
fn the_answer_of_a_load_that_was_given_up_is_nobodys() {
    let mut world = world(1);
    begin_load(&mut world, 0);
    world.wait(CACHE_LOAD_MS);
    assert!(world.wake(0).iter().all(|(_, answer)| *answer == Answer::NotReady));
    world.wait(10 * BACKOFF_MS_MIN);
    assert_eq!(world.ask(0, key(0)), None);
    world.carry_out(0, 0);
    assert_eq!(world.answer(0, 0), [], "the old load's");
    assert_eq!(finish_call(&mut world, 0), []);
    assert_eq!(finish_call(&mut world, 0), [found(1)]);
}

#[test]
fn a_load_that_was_lost_is_tried_again_after_a_pause() {
    let mut world = world(1);
    begin_load(&mut world, 0);
    assert!(matches!(world.answer(0, 0)[..], [(_, Answer::NotReady)]), "nobody knows");
    assert_eq!(world.ask(0, key(0)), Some(Answer::NotReady), "nor asks again at once");
    world.wait(BACKOFF_MS_MIN);
    begin_load(&mut world, 0);
    world.answer(0, 0);
    let longest_ms = 2 * BACKOFF_MS_MIN;
    world.wait(longest_ms / 2 - 1);
    assert_eq!(world.ask(0, key(0)), Some(Answer::NotReady), "the second pause is longer");
    world.wait(longest_ms / 2 + 1);
    begin_load(&mut world, 0);
    assert_eq!(finish_call(&mut world, 0), [found(1)]);
}

#[test]
fn a_load_begun_before_a_change_fills_nothing_after_it() {
    let mut world = world(4);
    begin_load(&mut world, 0);
    world.carry_out(0, 0);
    world.change(key(0));
    world.floor(4);
    world.tell(0, 0);
    assert_eq!(world.answer(0, 0), [], "version 4 was read, version 5 is known");
    assert!(world.processes[0].calls.is_empty(), "nothing is filled");
    world.wait(BACKOFF_MS_MIN);
    assert_eq!(world.wake(0), []);
    assert_eq!(finish_call(&mut world, 0), [found(5)]);
    assert_eq!(world.loads, 2);
}

#[test]
fn a_product_that_changes_under_every_load_sends_its_callers_away() {
    let mut world = world(1);
    begin_load(&mut world, 0);
    for loads in 1..=CACHE_LOADS_MAX {
        world.carry_out(0, 0);
        world.change(key(0));
        world.floor(world.changes.len() - 1);
        world.tell(0, 0);
        let last = loads == CACHE_LOADS_MAX;
        assert_eq!(world.answer(0, 0).len(), usize::from(last), "after load {loads}");
        world.wait(BACKOFF_MS_MIN << loads);
        assert_eq!(world.wake(0), []);
    }
    assert!(world.processes[0].calls.is_empty() && world.processes[0].cache.pending().is_none());
    begin_load(&mut world, 0);
    assert_eq!(finish_call(&mut world, 0), [found(1 + u64::from(CACHE_LOADS_MAX))]);
}

#[test]
fn a_read_of_the_database_that_is_older_than_the_floor_is_not_believed() {
    let mut world = world(1);
    world.shared.floor(key(0), Version(2), world.server());
    begin_load(&mut world, 0);
    assert_eq!(finish_call(&mut world, 0), [], "nobody is answered");
    assert!(world.processes[0].calls.is_empty(), "and nothing is filled");
}

#[test]
fn a_load_that_did_not_hear_of_a_change_is_refused_by_its_floor_and_learns_of_it() {
    let mut world = world(4);
    begin_load(&mut world, 0);
    world.carry_out(0, 0);
    world.change(key(0));
    world.disconnect(0);
    world.floor(4);
    assert_eq!(world.answer(0, 0).len(), 1, "a version that was current when it was asked for");
    assert_eq!(finish_call(&mut world, 0), [], "the fill is refused");
    assert_eq!(world.shared.read(key(0), world.server()).document, Some(Document::Floor { version: Version(5) }));
    begin_load(&mut world, 0);
    assert_eq!(finish_call(&mut world, 0), [found(5)], "the refusal was as good as the message");
}

#[test]
fn a_subscription_that_broke_leaves_nothing_behind() {
    let mut world = world(1);
    begin_load(&mut world, 0);
    assert_eq!(finish_call(&mut world, 0), [found(1)]);
    finish_call(&mut world, 0);
    world.disconnect(0);
    world.change(key(0));
    world.floor(1);
    world.reconnect(0);
    begin_load(&mut world, 0);
    world.carry_out(0, 0);
    world.disconnect(0);
    world.change(key(0));
    world.floor(2);
    world.reconnect(0);
    assert_eq!(world.answer(0, 0), [], "what was read before the gap may be older than what was told in it");
    world.wait(BACKOFF_MS_MIN);
    world.wake(0);
    assert_eq!(finish_call(&mut world, 0), [found(3)]);
}

#[test]
fn what_is_old_is_asked_for_again() {
    let mut world = world(1);
    begin_load(&mut world, 0);
    finish_call(&mut world, 0);
    world.come_to_rest();
    world.wait(CACHE_LOCAL_AGE_MS - 1);
    assert_eq!(world.ask(0, key(0)), Some(found(1)));
    world.wait(1);
    assert_eq!(world.ask(0, key(0)), None);
    assert_eq!((finish_call(&mut world, 0), world.loads), (vec![found(1)], 1));
}

#[test]
fn what_was_served_is_remembered_longer_than_it_is_kept() {
    let mut world = world(1);
    begin_load(&mut world, 0);
    finish_call(&mut world, 0);
    world.come_to_rest();
    world.change(key(0));
    world.step(0, Event::Reconnected);
    // The shared cache does not answer, so the row is read before its floor is written.
    world.ask(0, key(0));
    world.answer(0, 0);
    assert_eq!(finish_call(&mut world, 0), [found(2)]);
    world.wait(CACHE_LOCAL_AGE_MS);
    assert_eq!(world.ask(0, key(0)), None);
    assert_eq!(finish_call(&mut world, 0), [], "the shared cache still has version 1");
    assert_eq!(finish_call(&mut world, 0), [found(2)]);
    finish_call(&mut world, 0);
    assert_eq!(world.ask(1, key(0)), None);
    assert_eq!(finish_call(&mut world, 1), [found(2)], "and by now version 2");
}

#[test]
fn an_absent_product_is_remembered_shortly_and_never_shared() {
    let mut world = world(0);
    begin_load(&mut world, 0);
    assert_eq!(finish_call(&mut world, 0), [Answer::Absent]);
    assert!(world.processes[0].calls.is_empty(), "the shared cache hears nothing of invented names");
    assert_eq!(world.ask(0, key(0)), Some(Answer::Absent));
    world.wait(CACHE_ABSENT_AGE_MS);
    begin_load(&mut world, 0);
    assert_eq!(finish_call(&mut world, 0), [Answer::Absent]);
    world.change(key(0));
    world.floor(0);
    world.tell(0, 0);
    begin_load(&mut world, 0);
    assert_eq!(finish_call(&mut world, 0), [found(1)], "a product that is created is seen with its message");
}

#[test]
fn a_shared_cache_that_does_not_answer_is_left_alone_for_a_while() {
    let mut world = world(1);
    assert_eq!(world.ask(0, key(0)), None);
    world.wait(CACHE_READ_MS);
    assert_eq!(world.wake(0), []);
    world.lose(0, 0);
    assert_eq!(finish_call(&mut world, 0), [found(1)], "the database answers");
    assert!(world.processes[0].calls.is_empty(), "without the shared cache's clock nothing is filled");
    world.step(0, Event::Reconnected);
    assert_eq!(world.ask(0, key(0)), None);
    assert!(matches!(world.processes[0].calls[..], [Call::Load { .. }]), "nobody waits for it a second time");
}
