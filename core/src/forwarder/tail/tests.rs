//! Steps of one tail that no world of forwarders tells apart.

use super::*;
use crate::ids::{Nonce, SaleId, ServerId, SkuId};
use crate::ledger::entry::EntryKind;
use crate::machine::Ticket;

const DAWN: Mono = Mono(0);

fn row(cursor: u64) -> ShardRow {
    ShardRow {
        id: ShardId { sale: SaleId::parse("demo").unwrap(), k: 0 },
        epoch: Epoch(1),
        phase: Phase::Open,
        server: ServerId(7),
        nonce: Nonce(7),
        cursor: Seq(cursor),
        replay_from: None,
        reason: None,
        lease: None,
    }
}

fn entry(seq: u64) -> Entry {
    let kind = EntryKind::Withdrawn { sku: SkuId::parse("tv").unwrap(), quantity: 1 };
    Entry { epoch: Epoch(1), seq: Seq(seq), kind }
}

/// Reads what stands behind the tail's place in a log of `last` entries; returns what it sends of it, all durable.
fn send(tail: &mut Tail, now: Mono, last: u64) -> Vec<u64> {
    let Some((after, _)) = tail.wanted_page(now) else { return Vec::new() };
    let entries = (after.unwrap_or(Seq(0)).0 + 1..=last).map(entry).collect();
    tail.absorb_page(now, LogPage { entries, last: Seq(last), acked: Seq(0), sealed: false });
    let mut intents = Vec::new();
    if let Some(shipment) = tail.load(LOG_PAGE_MAX, &mut intents) {
        tail.unload(now, &shipment);
    }
    tail.check();
    let seq = |intent: &Intent| match intent {
        Intent::Entry(_, entry) => entry.seq.0,
        Intent::Seal(..) => panic!("no epoch ends here"),
    };
    intents.iter().map(seq).collect()
}

/// A tail that has published entries 1 to 3.
fn published() -> Tail {
    let mut tail = Tail::new(row(0).id, DAWN);
    tail.absorb_row(DAWN, row(0));
    assert_eq!(send(&mut tail, DAWN, 3), [1, 2, 3]);
    tail
}

#[test]
fn what_is_published_and_stays_undecided_is_sent_again() {
    let mut tail = published();
    let (noticed, again) = (DAWN.after_ms(ROW_PERIOD_MS), DAWN.after_ms(ROW_PERIOD_MS + RESEND_MS));
    tail.absorb_row(noticed, row(1));
    assert_eq!(send(&mut tail, noticed, 3), [0; 0], "it may still be on its way");
    tail.absorb_row(again, row(1));
    assert_eq!(send(&mut tail, again, 3), [2, 3]);
    tail.absorb_row(again.after_ms(ROW_PERIOD_MS), row(1));
    assert_eq!(send(&mut tail, again.after_ms(ROW_PERIOD_MS), 3), [0; 0], "once in a while, not with every row");
    tail.absorb_row(again.after_ms(RESEND_MS), row(1));
    assert_eq!(send(&mut tail, again.after_ms(RESEND_MS), 3), [0; 0], "each time after a longer pause");
    tail.absorb_row(again.after_ms(2 * RESEND_MS), row(1));
    assert_eq!(send(&mut tail, again.after_ms(2 * RESEND_MS), 3), [2, 3], "until it is decided");
}

/// The entries of a log of two, read one by one: the first is in a transaction, the second waits for the next.
fn half_sent() -> (Tail, Shipment) {
    let mut tail = Tail::new(row(0).id, DAWN);
    tail.absorb_row(DAWN, row(0));
    let page = |last| LogPage { entries: vec![entry(last)], last: Seq(last), acked: Seq(0), sealed: false };
    tail.absorb_page(DAWN, page(1));
    let shipment = tail.load(LOG_PAGE_MAX, &mut Vec::new()).expect("an entry waits");
    tail.absorb_page(DAWN, page(2));
    (tail, shipment)
}

#[test]
fn a_row_that_was_read_stale_leaves_no_entry_out() {
    let (mut tail, shipment) = half_sent();
    tail.absorb_row(DAWN, ShardRow { phase: Phase::Opening, ..row(0) });
    tail.unload(DAWN, &shipment);
    let now = DAWN.after_ms(ROW_PERIOD_MS);
    tail.absorb_row(now, row(1));
    let sent = send(&mut tail, now, 3);
    assert!(sent.starts_with(&[2]), "it was read and not sent: {sent:?}");
}

#[test]
fn what_is_decided_is_not_sent_again() {
    let mut tail = published();
    for turn in 1..=10 {
        let now = DAWN.after_ms(turn * RESEND_MS);
        tail.absorb_row(now, row(3));
        assert_eq!(send(&mut tail, now, 3), [0; 0]);
    }
}

#[test]
fn while_the_cursor_moves_nothing_is_sent_again() {
    let mut tail = published();
    for cursor in 0..3 {
        let now = DAWN.after_ms((cursor + 1) * RESEND_MS);
        tail.absorb_row(now, row(cursor));
        assert_eq!(send(&mut tail, now, 3), [0; 0], "each step of the cursor begins the wait anew");
    }
}

#[test]
fn another_memory_is_begun_anew_and_its_row_and_trim_wait_as_before() {
    let mut tail = Tail::new(row(0).id, DAWN);
    assert_eq!(tail.absorb_row(DAWN, row(0)), Some(Seq(0)), "the first row trims");
    let now = DAWN.after_ms(ROW_PERIOD_MS);
    assert_eq!(tail.absorb_row(now, ShardRow { nonce: Nonce(8), ..row(0) }), None, "a period has not passed");
    assert_eq!(tail.row_call.wake_at(), Some(now.after_ms(ROW_PERIOD_MS)));
    assert_eq!(tail.absorb_row(DAWN.after_ms(TRIM_PERIOD_MS), ShardRow { nonce: Nonce(8), ..row(0) }), Some(Seq(0)));
}

#[test]
fn only_an_entry_that_is_owed_and_not_there_asks_for_the_end() {
    let page = |last| LogPage { entries: Vec::new(), last: Seq(last), acked: Seq(0), sealed: false };
    let mut tail = published();
    tail.absorb_page(DAWN, page(3));
    assert!(tail.seal_call.is_quiet(), "everything was read");
    tail.absorb_page(DAWN, page(4));
    assert!(tail.seal_call.is_due(DAWN), "the fourth can never be sent");
}

#[test]
fn a_published_seal_is_sent_again_when_it_had_no_effect_for_long() {
    let mut tail = published();
    tail.absorb_row(DAWN, ShardRow { phase: Phase::Sealing, ..row(3) });
    tail.absorb_page(DAWN, LogPage { entries: Vec::new(), last: Seq(3), acked: Seq(0), sealed: true });
    let seal = |tail: &mut Tail, now| {
        tail.turn(now);
        let mut intents = Vec::new();
        if let Some(shipment) = tail.load(LOG_PAGE_MAX, &mut intents) {
            tail.unload(now, &shipment);
        }
        intents
    };
    let told = [Intent::Seal(row(0).id, Epoch(1))];
    assert_eq!(seal(&mut tail, DAWN), told);
    let almost = Mono(DAWN.after_ms(RESEND_MS).0 - 1);
    assert_eq!(seal(&mut tail, almost), [], "it may still be on its way");
    assert_eq!(seal(&mut tail, DAWN.after_ms(RESEND_MS)), told);
}

#[test]
fn a_mark_on_its_way_is_waited_for_when_the_memory_has_it_already() {
    let mut tail = published();
    tail.turn(DAWN);
    assert_eq!(tail.wanted_ack(DAWN), Some(Seq(3)));
    tail.ack_call.ask(DAWN, Ticket::default());
    assert_eq!(tail.wanted_ack(DAWN), None, "it is asked");
    tail.absorb_page(DAWN, LogPage { entries: Vec::new(), last: Seq(3), acked: Seq(3), sealed: false });
    tail.turn(DAWN);
    assert!(tail.ack_call.is_asked(), "its answer is still to come");
}

#[test]
fn a_mark_that_the_memory_has_is_not_written() {
    let mut tail = published();
    tail.turn(DAWN);
    assert!(tail.ack_call.is_due(DAWN));
    tail.absorb_page(DAWN, LogPage { entries: Vec::new(), last: Seq(3), acked: Seq(3), sealed: false });
    assert_eq!(tail.wanted_ack(DAWN), None);
    tail.turn(DAWN);
    assert!(tail.ack_call.is_quiet());
}

#[test]
fn a_log_is_read_from_its_place_when_it_is_time() {
    let mut tail = Tail::new(row(0).id, DAWN);
    assert_eq!(tail.wanted_page(DAWN), None, "its memory is not known");
    tail.absorb_row(DAWN, row(0));
    assert_eq!(tail.wanted_page(DAWN), Some((None, LOG_PAGE_MAX)), "from the memory's own mark");
    tail.absorb_page(DAWN, LogPage { entries: vec![entry(1)], last: Seq(1), acked: Seq(0), sealed: false });
    assert_eq!(tail.wanted_page(DAWN), Some((Some(Seq(1)), LOG_PAGE_MAX - 1)), "there was something: at once");
    tail.absorb_page(DAWN, LogPage { entries: Vec::new(), last: Seq(1), acked: Seq(0), sealed: false });
    assert_eq!(tail.wanted_page(DAWN), None, "there was nothing: in a moment");
    assert_eq!(tail.wanted_page(DAWN.after_ms(IDLE_POLL_MS)), Some((Some(Seq(1)), LOG_PAGE_MAX - 1)));
}

#[test]
fn a_drain_ends_when_its_time_is_over() {
    let mut tail = published();
    tail.absorb_row(DAWN, ShardRow { phase: Phase::Sealing, ..row(3) });
    // The memory is not sealed yet: an entry may still come.
    tail.absorb_page(DAWN, LogPage { entries: Vec::new(), last: Seq(3), acked: Seq(0), sealed: false });
    let sealed = |tail: &mut Tail, now| {
        tail.turn(now);
        tail.load(LOG_PAGE_MAX, &mut Vec::new()).is_some()
    };
    assert!(!sealed(&mut tail, Mono(DAWN.after_ms(DRAIN_TIMEOUT_MS).0 - 1)));
    assert!(sealed(&mut tail, DAWN.after_ms(DRAIN_TIMEOUT_MS)));
}
