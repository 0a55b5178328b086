//! One transaction at a time: what counts, what does not, and what is told.

use super::world::{Database, HOUR_MS, line, partition, product, sku};
use doorbuster_core::database::command::Refusal;
use doorbuster_core::database::event::Event;
use doorbuster_core::inbox::Offset;
use doorbuster_core::limits::{COUNTED_TTL_MS, SALES_EMIT_DELAY_MS};
use doorbuster_core::time::Wall;
use doorbuster_core::window::command::SalesReport;
use doorbuster_core::window::hour::Hour;
use doorbuster_core::window::movement::{Movement, Sign};

const NOON: Wall = Wall(480_000 * HOUR_MS);

fn refund(paid: Movement) -> Movement {
    Movement { sign: Sign::Refunded, ..paid }
}

fn later(hours: u64) -> Wall {
    NOON.after_ms(hours * HOUR_MS)
}

/// When windows of the 168 hours before this one are told.
fn told_at(hours: u64) -> Wall {
    later(hours).after_ms(SALES_EMIT_DELAY_MS)
}

fn hour_of(hours: u64) -> Hour {
    Hour::of(later(hours))
}

#[test]
fn a_movement_counts_once_within_a_batch_and_between_batches() {
    let mut database = Database::at(NOON);
    let paid = line(0, 1, 3, NOON);
    let report = database.count(0, 2, &[paid, paid]).unwrap();
    assert_eq!(report, SalesReport { counted: 1, repeated: 1, ..SalesReport::default() });
    let report = database.count(2, 3, &[paid]).unwrap();
    assert_eq!(report, SalesReport { repeated: 1, ..SalesReport::default() });
    assert_eq!(database.sum(0, hour_of(1)), 3);
}

#[test]
fn a_batch_of_another_place_changes_nothing() {
    let mut database = Database::at(NOON);
    database.count(0, 4, &[line(0, 1, 3, NOON)]).unwrap();
    let before = database.rows.clone();
    for expected in [0, 3, 5] {
        assert_eq!(database.count(expected, 9, &[line(0, 2, 1, NOON)]), Err(Refusal::StaleOffset));
    }
    assert_eq!(database.rows, before);
    database.count(4, 9, &[line(0, 2, 1, NOON)]).unwrap();
    assert_eq!(database.rows.sales_cursors[&partition(0)].next, Offset(9));
}

#[test]
fn a_refund_takes_from_the_hour_of_the_payment() {
    let mut database = Database::at(NOON);
    let paid = line(0, 1, 3, NOON);
    database.count(0, 1, &[paid, line(0, 2, 4, NOON)]).unwrap();
    database.at = later(5);
    database.count(1, 2, &[refund(paid), refund(paid)]).unwrap();
    assert_eq!([0, 1, 5, 6, 168, 169].map(|at| database.sum(0, hour_of(at))), [0, 4, 4, 4, 4, 0]);
}

#[test]
fn a_refund_without_its_payment_changes_no_slot_and_neither_does_the_payment_after_it() {
    let mut database = Database::at(NOON);
    let paid = line(0, 1, 3, NOON);
    database.count(0, 1, &[refund(paid)]).unwrap();
    assert!(database.rows.sales_rings.is_empty());
    database.count(1, 2, &[paid, refund(paid), paid]).unwrap();
    assert_eq!(database.sum(0, hour_of(1)), 0);
    assert_eq!(database.rows.sales_cursors[&partition(0)].unpaired, 2);
}

#[test]
fn a_late_event_counts_in_its_own_hour_and_a_too_late_one_nowhere() {
    let mut database = Database::at(later(170));
    database.count(0, 1, &[line(0, 1, 5, later(170))]).unwrap();
    database.count(1, 2, &[line(0, 2, 3, later(100))]).unwrap();
    assert_eq!([101, 171, 268, 269].map(|at| database.sum(0, hour_of(at))), [3, 8, 8, 5]);
    let too_late = line(0, 3, 7, NOON);
    let report = database.count(2, 3, &[too_late, refund(too_late)]).unwrap();
    assert_eq!(report, SalesReport { too_late: 1, unpaired: 1, ..SalesReport::default() });
    assert_eq!(database.rows.sales_cursors[&partition(0)].too_late, 1);
    assert_eq!(database.sum(0, hour_of(171)), 8);
}

#[test]
fn a_window_is_told_when_it_moves_and_not_otherwise() {
    let mut database = Database::at(NOON);
    database.count(0, 1, &[line(0, 1, 3, NOON)]).unwrap();
    // The slot is written while its hour is open: that is told, as 0, and the close of the hour is no movement.
    let told = [0, 1, 2, 3, 168, 169].map(|hours| {
        database.at = told_at(hours);
        let events = database.emit(hour_of(hours), &[0]).unwrap();
        (database.emitted(0), events.len())
    });
    assert_eq!(told, [(0, 1), (3, 1), (3, 0), (3, 0), (3, 0), (0, 1)]);
    assert!(database.rows.sales_rings.is_empty(), "what shows 0 and will show 0 leaves");
}

#[test]
fn the_open_hour_keeps_a_row_that_shows_nothing() {
    let mut database = Database::at(NOON);
    database.count(0, 1, &[line(0, 1, 3, NOON)]).unwrap();
    database.at = told_at(0);
    database.emit(hour_of(0), &[0]).unwrap();
    assert_eq!((database.emitted(0), database.rows.sales_rings.len()), (0, 1));
}

#[test]
fn the_databases_clock_names_the_hour_that_is_told() {
    let mut database = Database::at(NOON);
    database.count(0, 1, &[line(0, 1, 3, NOON)]).unwrap();
    database.at = Wall(told_at(1).0 - 1);
    assert_eq!(database.emit(hour_of(1), &[0]), Err(Refusal::WindowOpen));
    database.at = told_at(2);
    let event = |hours| Event::SalesAdvanced { product: product(0), hour: hour_of(hours) };
    assert_eq!(database.emit(hour_of(1), &[0]), Ok(vec![event(2)]), "a walk that was delayed");
    let before = database.rows.clone();
    assert_eq!(database.emit(hour_of(2), &[0]), Ok(Vec::new()), "once per hour");
    assert_eq!(database.rows, before);
    // The database's clock was ahead and is set back: what was told for hours to come is told anew.
    database.at = told_at(1);
    database.count(1, 2, &[line(0, 2, 1, NOON)]).unwrap();
    assert_eq!(database.emit(hour_of(1), &[0]), Ok(vec![event(1)]));
}

#[test]
fn a_window_that_the_ring_has_begun_to_overwrite_is_not_told() {
    let mut database = Database::at(told_at(170));
    database.count(0, 1, &[line(0, 1, 3, later(2)), line(0, 2, 4, later(172))]).unwrap();
    assert_eq!(database.emit(hour_of(170), &[0]), Ok(Vec::new()), "hour 2 would be missing");
    database.at = told_at(171);
    assert_eq!(database.emit(hour_of(171), &[0]).map(|events| events.len()), Ok(1));
    assert_eq!(database.emitted(0), 0, "of hours 3 to 170");
}

#[test]
fn products_are_marked_once_for_all_their_skus() {
    let mut database = Database::at(NOON);
    let movements = [line(0, 1, 1, NOON), line(1, 1, 1, NOON), line(2, 1, 1, NOON)];
    database.count(0, 1, &movements).unwrap();
    database.at = told_at(1);
    let events = database.emit(hour_of(1), &[0, 1, 2]).unwrap();
    let marked = |number| Event::SalesAdvanced { product: product(number), hour: hour_of(1) };
    assert_eq!(events, [marked(0), marked(1)]);
    assert_ne!(product(0), product(1));
    assert_eq!(product(0), movements[2].product, "{} is a variant of the same product", sku(2));
}

#[test]
fn a_mark_that_has_expired_matters_to_no_window() {
    let mut database = Database::at(NOON);
    let paid = line(0, 1, 3, NOON);
    database.count(0, 1, &[paid]).unwrap();
    let mark = *database.rows.counted.values().next().unwrap();
    assert_eq!(mark.expires_at, NOON.after_ms(COUNTED_TTL_MS));
    database.rows.counted.clear();
    database.at = mark.expires_at;
    database.count(1, 2, &[paid, refund(paid)]).unwrap();
    let first = Hour::of(mark.expires_at);
    assert!((first.0 - 1..first.0 + 200).all(|hour| database.sum(0, Hour(hour)) == 0));
}
