//! The contract of the shards' logs, together with the shards' servers that write them.

use super::Subject;
use super::world::{Memory, World, certain, reserve, sku, taken};
use crate::ports::ledger::Ledger;
use crate::ports::shard_log::ShardLog;
use doorbuster_core::forwarder::tail::LogPage;
use doorbuster_core::ids::{Nonce, Seq, ServerId, ShardId};
use doorbuster_core::ledger::entry::{Entry, EntryKind};
use doorbuster_core::ledger::shard::{Fence, Fenced};
use std::sync::Arc;

/// What writes the logs, and two forwarders that read them.
pub struct LedgerAndLogs {
    /// Writes.
    pub ledger: Arc<dyn Ledger>,
    /// Reads.
    pub log: Arc<dyn ShardLog>,
    /// Reads after the first one has died.
    pub successor: Arc<dyn ShardLog>,
}

/// Pages in a row without an entry after which a log that owes one counts as broken.
const EMPTY_MAX: usize = 20;

/// Holds the shards' logs to [`ShardLog`]'s contract. One subject serves all cases: each has a shard of its own.
///
/// # Panics
/// With the sentence that was broken.
pub async fn shard_log_contract(make: impl AsyncFn() -> Subject<LedgerAndLogs>) {
    let subject = make().await;
    let port = &subject.port;
    entries_come_in_order_and_whole(port).await;
    any_place_can_be_read_again(port).await;
    news_come_after_a_page_without_entries(port).await;
    a_successor_reads_what_was_not_acknowledged(port).await;
    a_mark_never_goes_back(port).await;
    a_foreign_fence_reads_and_marks_nothing(port).await;
    a_later_epoch_begins_a_new_log(port).await;
    decided_entries_can_be_removed(port).await;
}

async fn page(log: &dyn ShardLog, shard: ShardId, fence: Fence, after: Option<u64>, limit: usize) -> LogPage {
    let after = after.map(Seq);
    let page = certain(async || log.read(shard, fence, after, limit).await).await.expect("the fence is the memory's");
    assert!(page.entries.len() <= limit, "at most {limit} entries were asked for");
    assert!(page.entries.windows(2).all(|pair| pair[1].seq == pair[0].seq.next()), "seqs have no gap");
    assert!(page.entries.iter().all(|entry| entry.epoch == fence.epoch), "a log is of one epoch");
    page
}

/// Reads from a place until so many entries have come.
async fn read(log: &dyn ShardLog, shard: ShardId, fence: Fence, after: Option<u64>, count: usize) -> Vec<Entry> {
    let (mut after, mut found, mut empty): (Option<u64>, Vec<Entry>, usize) = (after, Vec::new(), 0);
    while found.len() < count {
        let page = page(log, shard, fence, after, 3).await;
        empty = if page.entries.is_empty() { empty + 1 } else { 0 };
        assert!(empty < EMPTY_MAX, "the log owes {} entries behind {after:?}", count - found.len());
        if let (Some(place), Some(first)) = (after, page.entries.first()) {
            assert_eq!(first.seq.0, place + 1, "no entry is passed over");
        }
        after = page.entries.last().map(|entry| entry.seq.0).or(after);
        found.extend(page.entries);
    }
    found
}

fn places(entries: &[Entry]) -> Vec<u64> {
    entries.iter().map(|entry| entry.seq.0).collect()
}

/// Opens a shard and sells so many single units, an entry each.
async fn sold(port: &LedgerAndLogs, name: &str, count: usize) -> (World, ShardId, Fence) {
    let world = World::named(name);
    let shard = world.shard(0);
    let fence = Memory::of(50).open(port.ledger.as_ref(), shard, 1).await;
    sell(port, world, fence, 0..count).await;
    (world, shard, fence)
}

async fn sell(port: &LedgerAndLogs, world: World, fence: Fence, buyers: std::ops::Range<usize>) {
    for buyer in buyers {
        let item = world.item(buyer, 1, &[(0, 1)]);
        taken(&reserve(port.ledger.as_ref(), world.shard(0), fence, &[item]).await[0]);
    }
}

async fn entries_come_in_order_and_whole(port: &LedgerAndLogs) {
    let world = World::named("log-order");
    let shard = world.shard(0);
    let fence = Memory::of(50).open(port.ledger.as_ref(), shard, 1).await;
    let items = [world.item(1, 1, &[(0, 2)]), world.item(2, 1, &[(0, 99)]), world.item(3, 1, &[(0, 1)])];
    let replies = reserve(port.ledger.as_ref(), shard, fence, &items).await;
    let accepted = taken(&replies[0]);
    let withdrawn = certain(async || port.ledger.withdraw(shard, fence, sku(0), 5).await).await;
    assert_eq!(withdrawn, Ok(Some(Seq(2))));
    let entries = read(port.log.as_ref(), shard, fence, None, 2).await;
    let EntryKind::Reserved(reserved) = &entries[0].kind else { panic!("the first entry is a batch") };
    assert_eq!(reserved.len(), 2, "what was refused is not in the log");
    for (reserved, item) in reserved.iter().zip([&items[0], &items[2]]) {
        assert_eq!((reserved.id, &reserved.user, reserved.body), (item.id, &item.user, item.body));
        assert_eq!((&reserved.basket, reserved.reserved_at), (&item.basket, accepted.reserved_at));
    }
    assert_eq!(entries[1].kind, EntryKind::Withdrawn { sku: sku(0), quantity: 5 });
}

async fn any_place_can_be_read_again(port: &LedgerAndLogs) {
    let (_, shard, fence) = sold(port, "log-again", 7).await;
    let log = port.log.as_ref();
    assert_eq!(places(&read(log, shard, fence, None, 7).await), [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(places(&read(log, shard, fence, Some(2), 5).await), [3, 4, 5, 6, 7], "what was read can be read again");
    certain(async || log.ack(shard, fence, Seq(5)).await).await.expect("the fence is the memory's");
    assert_eq!(
        places(&read(log, shard, fence, Some(0), 7).await),
        [1, 2, 3, 4, 5, 6, 7],
        "what is marked still stands"
    );
    assert_eq!(places(&read(log, shard, fence, None, 2).await), [6, 7], "without a place it begins behind the mark");
}

async fn news_come_after_a_page_without_entries(port: &LedgerAndLogs) {
    let (world, shard, fence) = sold(port, "log-news", 2).await;
    let log = port.log.as_ref();
    assert_eq!(places(&read(log, shard, fence, None, 2).await), [1, 2]);
    let nothing = page(log, shard, fence, Some(2), 3).await;
    assert_eq!((nothing.entries.len(), nothing.last, nothing.sealed), (0, Seq(2), false), "the wait is bounded");
    sell(port, world, fence, 2..6).await;
    assert_eq!(places(&read(log, shard, fence, Some(2), 4).await), [3, 4, 5, 6]);
    let waiting = page(log, shard, fence, Some(6), 3);
    let (news, ()) = tokio::join!(waiting, sell(port, world, fence, 6..7));
    assert!(places(&news.entries).iter().all(|seq| *seq == 7), "a page may wait for news");
    assert_eq!(places(&read(log, shard, fence, Some(6), 1).await), [7]);
    certain(async || port.ledger.seal(shard, fence.server, fence.epoch).await).await.expect("the shard is served");
    let end = page(log, shard, fence, Some(7), 3).await;
    assert_eq!((end.entries.len(), end.last, end.sealed), (0, Seq(7), true), "a sealed log tells its end");
}

async fn a_successor_reads_what_was_not_acknowledged(port: &LedgerAndLogs) {
    let (world, shard, fence) = sold(port, "log-successor", 8).await;
    let (log, successor) = (port.log.as_ref(), port.successor.as_ref());
    assert_eq!(places(&read(log, shard, fence, None, 8).await), [1, 2, 3, 4, 5, 6, 7, 8]);
    certain(async || log.ack(shard, fence, Seq(3)).await).await.expect("the fence is the memory's");
    sell(port, world, fence, 8..10).await;
    assert_eq!(
        places(&read(successor, shard, fence, None, 7).await),
        [4, 5, 6, 7, 8, 9, 10],
        "in order, none is missing"
    );
    certain(async || successor.ack(shard, fence, Seq(10)).await).await.expect("the fence is the memory's");
    assert_eq!(page(log, shard, fence, None, 3).await.acked, Seq(10), "the mark is the memory's, not the reader's");
}

async fn a_mark_never_goes_back(port: &LedgerAndLogs) {
    let (_, shard, fence) = sold(port, "log-mark", 4).await;
    let log = port.log.as_ref();
    for mark in [3, 1, 3] {
        certain(async || log.ack(shard, fence, Seq(mark)).await).await.expect("the fence is the memory's");
        assert_eq!(page(log, shard, fence, None, 3).await.acked, Seq(3), "after a mark at {mark}");
    }
}

async fn a_foreign_fence_reads_and_marks_nothing(port: &LedgerAndLogs) {
    let (_, shard, own) = sold(port, "log-fence", 2).await;
    let log = port.log.as_ref();
    for fence in [Fence { server: ServerId(own.server.0 ^ 1), ..own }, Fence { nonce: Nonce(own.nonce.0 ^ 1), ..own }] {
        // A server that cannot be asked who it is now has not refused for good: it is asked until it does.
        assert_eq!(certain(async || log.read(shard, fence, None, 3).await).await, Err(Fenced), "{fence:?}");
        assert_eq!(certain(async || log.ack(shard, fence, Seq(2)).await).await, Err(Fenced), "{fence:?}");
        assert_eq!(certain(async || log.trim(shard, fence, Seq(2), 0).await).await, Err(Fenced), "{fence:?}");
    }
    assert_eq!(page(log, shard, own, None, 3).await.acked, Seq(0));
}

async fn a_later_epoch_begins_a_new_log(port: &LedgerAndLogs) {
    let (world, shard, first) = sold(port, "log-epochs", 3).await;
    let log = port.log.as_ref();
    assert_eq!(places(&read(log, shard, first, None, 3).await), [1, 2, 3]);
    let second = Memory::of(50).open(port.ledger.as_ref(), shard, 2).await;
    assert_eq!(
        certain(async || log.read(shard, first, Some(Seq(3)), 3).await).await,
        Err(Fenced),
        "that memory is gone"
    );
    sell(port, world, second, 20..22).await;
    assert_eq!(places(&read(log, shard, second, None, 2).await), [1, 2], "seqs begin at 1 in each epoch");
}

async fn decided_entries_can_be_removed(port: &LedgerAndLogs) {
    let (_, shard, fence) = sold(port, "log-trim", 5).await;
    let log = port.log.as_ref();
    let trim = async |decided: u64, age_ms: u64| {
        certain(async || log.trim(shard, fence, Seq(decided), age_ms).await).await.expect("the fence is the memory's")
    };
    assert_eq!(trim(3, 3_600_000).await, 0, "young entries stay");
    assert_eq!(trim(3, 0).await, 3, "what is decided and old goes");
    assert_eq!(places(&read(log, shard, fence, Some(3), 2).await), [4, 5], "what is not decided stays");
}
