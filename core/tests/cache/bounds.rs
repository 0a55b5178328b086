//! S20: what a process keeps is bounded, and what has to go changes no answer's truth.

use super::world::{World, key, value};
use doorbuster_core::cache::local::Cache;
use doorbuster_core::cache::shared::SharedCache;
use doorbuster_core::cache::talk::{Absent, Answer, Effect, Event};
use doorbuster_core::ids::{ProductId, Version};
use doorbuster_core::limits::{
    CACHE_ABSENT_MAX, CACHE_CALLERS_MAX, CACHE_FLIGHTS_MAX, CACHE_LOCAL_AGE_MS, CACHE_MEMORY_MS, CACHE_PAUSES_MAX,
    CACHE_PRODUCTS_MAX, CACHE_VALUE_BYTES_MAX, CACHE_VERSIONS_MAX, CACHE_WAITING_MAX,
};
use doorbuster_core::machine::Machine;
use doorbuster_core::outcome::Outcome;
use doorbuster_core::time::{Mono, Now, Wall};
use std::cell::Cell;

/// A cache whose outside answers at once: from a shared cache, and from rows that `row` tells.
struct Swift<F> {
    cache: Cache,
    shared: SharedCache,
    row: F,
    tokens: u64,
    loads: usize,
}

impl<F: Fn(ProductId) -> Outcome<Version, Absent>> Swift<F> {
    fn new(row: F) -> Swift<F> {
        Swift { cache: Cache::new(1), shared: SharedCache::default(), row, tokens: 0, loads: 0 }
    }

    fn ask(&mut self, now: Now, key: ProductId) -> Answer {
        self.tokens += 1;
        let (mut events, mut told) = (vec![Event::Asked { token: self.tokens, key }], None);
        while let Some(event) = events.pop() {
            let mut effects = Vec::new();
            self.cache.step(now, event, &mut effects);
            self.cache.check();
            for effect in effects {
                match effect {
                    Effect::ReadShared { ticket, key } => {
                        let outcome = Outcome::Done(self.shared.read(key, now.wall));
                        events.push(Event::SharedRead { ticket, key, outcome });
                    }
                    Effect::Load { ticket, key } => {
                        self.loads += 1;
                        let outcome = (self.row)(key).map(|version| (version, value(key, version)));
                        events.push(Event::Loaded { ticket, key, outcome });
                    }
                    Effect::FillShared { key, version, value, asked_at } => {
                        self.shared.fill(key, version, value, asked_at, now.wall).unwrap();
                    }
                    Effect::Reply { answer, .. } => told = Some(answer),
                }
            }
        }
        told.expect("somebody answers")
    }
}

fn at(millis: u64) -> Now {
    Now { mono: Mono(0).after_ms(millis), wall: Wall(1_000 + millis) }
}

#[test]
fn a_catalogue_larger_than_the_cache_is_served() {
    let mut swift = Swift::new(|_| Outcome::Done(Version(1)));
    for round in 0..2 {
        for number in 0..CACHE_PRODUCTS_MAX + 10 {
            assert!(matches!(swift.ask(at(round), key(number)), Answer::Found { .. }));
        }
    }
    assert_eq!(swift.loads, CACHE_PRODUCTS_MAX + 10, "what had to go is still in the shared cache");
}

#[test]
fn a_version_that_had_to_be_forgotten_is_not_served_older_than_it_was() {
    let mut swift = Swift::new(|_| Outcome::Done(Version(2)));
    let older = swift.shared.clone();
    for number in 0..=CACHE_VERSIONS_MAX {
        swift.ask(at(0), key(number));
    }
    // Another process filled an older version; its floor is late.
    swift.shared = older;
    swift.shared.fill(key(0), Version(1), value(key(0), Version(1)), at(0).wall, at(0).wall).unwrap();
    swift.cache.step(at(0), Event::Reconnected, &mut Vec::new());
    for number in [0, 1] {
        let answer = swift.ask(at(0), key(number));
        assert!(matches!(answer, Answer::Found { version: Version(2), .. }), "{answer:?} of {number}");
    }
}

#[test]
fn what_was_served_is_forgotten_when_no_older_copy_can_be_left() {
    let is_there = Cell::new(true);
    let row = |_| if is_there.get() { Outcome::Done(Version(1)) } else { Outcome::Refused(Absent) };
    let mut swift = Swift::new(row);
    swift.ask(at(0), key(0));
    is_there.set(false);
    let end = CACHE_LOCAL_AGE_MS + CACHE_MEMORY_MS;
    assert_eq!(swift.ask(at(end), key(0)), Answer::Absent, "nothing is known of it that an absence could contradict");
}

#[test]
fn invented_names_do_not_drive_products_out() {
    let known = key(0);
    let mut swift =
        Swift::new(|asked| if asked == known { Outcome::Done(Version(1)) } else { Outcome::Refused(Absent) });
    swift.ask(at(0), known);
    for number in 1..CACHE_PRODUCTS_MAX + CACHE_ABSENT_MAX {
        assert_eq!(swift.ask(at(0), key(number)), Answer::Absent);
    }
    let loads = swift.loads;
    swift.shared = SharedCache::default();
    assert!(matches!(swift.ask(at(0), known), Answer::Found { .. }));
    assert_eq!((swift.loads, swift.shared.documents(at(0).wall).count()), (loads, 0));
}

#[test]
fn a_database_that_is_away_leaves_a_bounded_trace() {
    let mut swift = Swift::new(|_| Outcome::Unknown);
    for number in 0..CACHE_PAUSES_MAX + 10 {
        assert_eq!(swift.ask(at(0), key(number)), Answer::NotReady);
    }
    assert_eq!(swift.cache.pending(), None);
}

#[test]
fn a_product_that_is_too_long_is_served_and_not_kept() {
    let (mut cache, mut effects) = (Cache::new(1), Vec::new());
    let long = doorbuster_core::cache::Value::from(vec![b'x'; CACHE_VALUE_BYTES_MAX + 1]);
    for token in 1..=2 {
        cache.step(at(0), Event::Asked { token, key: key(0) }, &mut effects);
        let Some(Effect::ReadShared { ticket, key }) = effects.pop() else { panic!("it is not here") };
        let outcome = Outcome::Done(SharedCache::default().read(key, at(0).wall));
        cache.step(at(0), Event::SharedRead { ticket, key, outcome }, &mut effects);
        let Some(Effect::Load { ticket, key }) = effects.pop() else { panic!("nor there") };
        let outcome = Outcome::Done((Version(1), long.clone()));
        cache.step(at(0), Event::Loaded { ticket, key, outcome }, &mut effects);
        let answer = Answer::Found { version: Version(1), value: long.clone() };
        assert_eq!(std::mem::take(&mut effects), [Effect::Reply { token, answer }]);
    }
}

#[test]
fn callers_beyond_the_bounds_are_told_to_come_again() {
    let mut world = World::new(1);
    (0..CACHE_WAITING_MAX).for_each(|_| assert_eq!(world.ask(0, key(0)), None));
    assert_eq!(world.ask(0, key(0)), Some(Answer::Overloaded), "too many for one product");
    for number in 1..CACHE_FLIGHTS_MAX {
        assert_eq!(world.ask(0, key(number)), None);
    }
    assert_eq!(world.ask(0, key(CACHE_FLIGHTS_MAX)), Some(Answer::Overloaded), "too many products");
    let waiting = CACHE_WAITING_MAX + CACHE_FLIGHTS_MAX - 1;
    for number in waiting..CACHE_CALLERS_MAX {
        assert_eq!(world.ask(0, key(1 + number % 4)), None);
    }
    assert_eq!(world.ask(0, key(5)), Some(Answer::Overloaded), "too many callers");
    world.come_to_rest();
    assert_eq!((world.processes[0].waiting.len(), world.loads), (0, CACHE_FLIGHTS_MAX));
}
