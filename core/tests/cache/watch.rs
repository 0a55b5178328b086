//! The oracle of the caches says what is broken, and nothing else.

use super::world::key;
use doorbuster_core::ids::Version;
use doorbuster_core::limits::{CACHE_LAG_AFTER_LOSS_MS, CACHE_LAG_MS};
use doorbuster_core::machine::Ticket;
use doorbuster_core::oracle::cache_watch::{CacheWatch, Instance, Seen};
use doorbuster_core::time::Mono;
use std::collections::BTreeMap;

const ONE: Instance = Instance(1);
const TWO: Instance = Instance(2);

fn at(millis: u64) -> Mono {
    Mono(0).after_ms(millis)
}

fn served(instance: Instance, version: u64, asked_ms: u64) -> Seen {
    Seen::Served { instance, key: key(0), version: Version(version), asked_at: at(asked_ms) }
}

fn started(load: u64) -> Seen {
    Seen::LoadStarted { instance: ONE, key: key(0), load: Ticket(load) }
}

fn ended(load: u64) -> Seen {
    Seen::LoadEnded { instance: ONE, key: key(0), load: Ticket(load) }
}

fn filled(load: u64, version: u64) -> Seen {
    Seen::Filled { instance: ONE, key: key(0), load: Ticket(load), version: Version(version) }
}

fn floored(version: u64) -> Seen {
    Seen::Floored { key: key(0), version: Version(version) }
}

fn told(version: u64) -> Seen {
    Seen::Told { instance: ONE, key: key(0), version: Version(version) }
}

fn acknowledged(version: u64) -> Seen {
    Seen::Acknowledged { key: key(0), version: Version(version) }
}

/// What the last of these breaks; those before it break nothing.
fn broken(seen: impl IntoIterator<Item = (u64, Seen)>) -> Option<&'static str> {
    let (mut watch, mut last) = (CacheWatch::default(), None);
    for (millis, seen) in seen {
        assert_eq!(last, None, "before {seen:?}");
        last = watch.see(at(millis), seen).map(|violation| violation.id);
    }
    last
}

#[test]
fn a_reader_that_goes_back_breaks_s16() {
    assert_eq!(broken([(1, served(ONE, 2, 1)), (2, served(ONE, 1, 2))]), Some("S16"));
    assert_eq!(broken([(1, served(ONE, 2, 1)), (2, served(TWO, 1, 2))]), None, "another process");
    assert_eq!(broken([(5, served(ONE, 2, 5)), (6, served(ONE, 1, 4))]), None, "asked before the newer was answered");
    assert_eq!(broken([(1, served(ONE, 2, 1)), (2, Seen::Gone(ONE)), (3, served(ONE, 1, 3))]), None, "another life");
}

#[test]
fn an_older_version_after_its_invalidation_breaks_s16() {
    let lag = CACHE_LAG_MS;
    assert_eq!(broken([(0, floored(2)), (lag - 1, served(ONE, 1, lag - 1))]), None);
    assert_eq!(broken([(0, floored(2)), (lag, served(ONE, 1, lag))]), Some("S16"));
    assert_eq!(broken([(0, floored(2)), (5, acknowledged(2)), (6, served(ONE, 1, 4))]), None);
    assert_eq!(broken([(0, floored(2)), (5, acknowledged(2)), (6, served(ONE, 1, 6))]), Some("S16"));
    assert_eq!(broken([(0, floored(2)), (5, acknowledged(2)), (6, served(ONE, 2, 6))]), None);
}

#[test]
fn a_loss_excuses_older_versions_for_a_while_and_only_of_changes_before_it() {
    let lost = [(0, floored(2)), (5, acknowledged(2)), (10, Seen::SharedLost)];
    let end = 10 + CACHE_LAG_AFTER_LOSS_MS;
    let then = |millis| lost.clone().into_iter().chain([(millis, served(ONE, 1, millis))]);
    assert_eq!(broken(then(end - 1)), None);
    assert_eq!(broken(then(end)), Some("S16"));
    assert_eq!(
        broken([(1, Seen::SharedLost), (2, floored(2)), (3, acknowledged(2)), (4, served(ONE, 1, 4))]),
        Some("S16")
    );
}

#[test]
fn two_loads_at_once_break_s17() {
    assert_eq!(broken([(1, started(1)), (2, started(2))]), Some("S17"));
    assert_eq!(broken([(1, started(1)), (2, ended(1)), (2, started(2))]), None);
}

#[test]
fn a_load_that_fills_below_a_later_floor_breaks_s17() {
    let load = [(1, started(1)), (2, floored(3)), (3, ended(1))];
    let then = |version| load.clone().into_iter().chain([(4, filled(1, version))]);
    assert_eq!(broken(then(2)), Some("S17"));
    assert_eq!(broken(then(3)), None, "the change itself");
    assert_eq!(broken([(0, floored(3)), (1, started(1)), (2, filled(1, 2))]), None, "its reader is to blame, not it");
    assert_eq!(broken([(1, started(1)), (2, floored(3)), (3, Seen::SharedLost), (4, filled(1, 2))]), None);
    assert_eq!(broken([(1, filled(1, 2))]), Some("S17"), "out of nothing");
}

#[test]
fn an_overtaken_load_that_is_served_breaks_s17() {
    assert_eq!(broken([(1, started(1)), (2, told(3)), (3, ended(1)), (3, served(ONE, 2, 3))]), Some("S17"));
    assert_eq!(broken([(1, started(1)), (2, ended(1)), (2, told(3)), (3, served(ONE, 2, 3))]), None);
}

#[test]
fn caches_that_stay_behind_break_l8_and_silence_is_not_green() {
    let rows = BTreeMap::from([(key(0), Version(2))]);
    let judge = |finals: &[_]| CacheWatch::converges(finals.iter().copied(), &rows);
    assert!(judge(&[(ONE, key(0), Version(2)), (ONE, key(1), Version(0))]).unwrap().is_green());
    assert!(judge(&[(ONE, key(0), Version(1))]).unwrap().is_red());
    assert!(judge(&[]).is_err());
    let watch = CacheWatch::default();
    assert!(watch.never_goes_back().is_err() && watch.single_flight().is_err());
}
