//! One shard's log on its way into its partition: what was read, sent, acknowledged, and how it is drained.

use crate::call::Call;
use crate::database::rows::{Phase, ShardRow};
use crate::ids::{Epoch, Seq, ShardId};
use crate::ledger::entry::{Entry, Intent};
use crate::ledger::epoch::Rung;
use crate::ledger::shard::Fence;
use crate::limits::{
    DRAIN_TIMEOUT_MS, IDLE_POLL_MS, LOG_PAGE_MAX, RESEND_MS, RESEND_MS_MAX, ROW_PERIOD_MS, TRIM_PERIOD_MS,
};
use crate::time::Mono;
use std::collections::VecDeque;

/// A page of a shard's log. `last` is read in the same step as the entries or before them, and there is at least one
/// entry when one exists behind the place: else a fresh entry would look like a hole.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LogPage {
    /// Entries behind the place asked for, in order.
    pub entries: Vec<Entry>,
    /// The last entry that the memory has written.
    pub last: Seq,
    /// The memory's own mark of what is in the durable log.
    pub acked: Seq,
    /// Whether the memory takes no further reservation.
    pub sealed: bool,
}

/// What of one shard a transaction carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shipment {
    /// Which shard.
    pub shard: ShardId,
    fence: Fence,
    replays: u64,
    last: Option<Seq>,
    seal: bool,
}

/// How far the end of an epoch has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Drain {
    /// The epoch is not ending.
    Idle,
    /// Entries are still read, at most until then.
    Draining { until: Mono },
    /// All that could be read was read: the seal follows it.
    Ready,
    /// The seal is in the open transaction.
    Flying,
    /// The seal is published. Nothing of this epoch is sent any more, but the seal itself, if it has no effect.
    Published { resend_at: Mono },
}

/// What is published and stands behind the row's cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Undecided {
    cursor: Seq,
    /// When it is sent again, if the cursor has not moved by then.
    again_at: Mono,
    pause_ms: u64,
}

/// One shard's tail. It lives as long as its producer: a new one starts from the memory's own mark.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tail {
    shard: ShardId,
    row: Option<ShardRow>,
    /// Reads the row.
    pub row_call: Call,
    /// Reads the log.
    pub read_call: Call,
    /// Writes the mark.
    pub ack_call: Call,
    /// Asks for the end of an epoch whose log has a hole.
    pub seal_call: Call,
    /// Last entry read; absent before the memory's mark is known.
    place: Option<Seq>,
    /// Entries that are not known to be published: at most `LOG_PAGE_MAX`.
    buffer: VecDeque<Entry>,
    published: Seq,
    acked: Seq,
    acking: Seq,
    drain: Drain,
    replayed: Option<(Seq, Mono)>,
    /// Published entries that stand behind the cursor.
    undecided: Option<Undecided>,
    /// Counts the replays: an older transaction's end says nothing of what was read again.
    replays: u64,
    trim_at: Mono,
}

impl Tail {
    /// A tail that reads its row first: only a row read after the producer was taken tells whether the epoch ends.
    pub fn new(shard: ShardId, now: Mono) -> Tail {
        Tail {
            shard,
            row: None,
            row_call: Call::due(now),
            read_call: Call::QUIET,
            ack_call: Call::QUIET,
            seal_call: Call::QUIET,
            place: None,
            buffer: VecDeque::new(),
            published: Seq(0),
            acked: Seq(0),
            acking: Seq(0),
            drain: Drain::Idle,
            replayed: None,
            undecided: None,
            replays: 0,
            trim_at: now,
        }
    }

    /// Takes the row as it was read; returns the cursor up to which the log may be trimmed now.
    pub fn absorb_row(&mut self, now: Mono, row: ShardRow) -> Option<Seq> {
        self.row_call.again_at(now.after_ms(ROW_PERIOD_MS));
        match self.row.as_ref().filter(|known| known.fence() == row.fence()) {
            // Of one memory a row only climbs: this one is older than what is known, and a stop for its sake would drop
            // entries that were read and not sent, or take a mark for allowed that the end of the epoch forbids.
            Some(known) if height(&row) < height(known) => return None,
            Some(_) => {}
            None => *self = Tail { row_call: self.row_call, trim_at: self.trim_at, ..Tail::new(self.shard, now) },
        }
        let (phase, replay_from, cursor) = (row.phase, row.replay_from, row.cursor);
        self.row = Some(row);
        match phase {
            Phase::Open => self.read_call.wish(now),
            Phase::Sealing => {
                if self.drain == Drain::Idle {
                    self.drain = Drain::Draining { until: now.after_ms(DRAIN_TIMEOUT_MS) };
                    self.read_call.wish(now);
                }
            }
            Phase::Sealed | Phase::Opening | Phase::Closed => {
                self.read_call.rest();
                self.ack_call.rest();
                return None;
            }
        }
        if let Some(from) = replay_from {
            self.replay(now, from);
        } else {
            self.send_undecided(now, cursor);
        }
        if self.trim_at > now {
            return None;
        }
        self.trim_at = now.after_ms(TRIM_PERIOD_MS);
        // What is not marked is still to be read by whoever comes next.
        Some(cursor.min(self.acked))
    }

    /// What was published long ago and is not decided may have been lost by the durable log after it was acknowledged.
    /// If nothing follows it, no gap shows that: it is sent again, and intake passes over what it has.
    fn send_undecided(&mut self, now: Mono, cursor: Seq) {
        if self.published.max(self.acked) <= cursor {
            self.undecided = None;
            return;
        }
        let undecided = self.undecided.filter(|undecided| undecided.cursor == cursor);
        let mut undecided =
            undecided.unwrap_or(Undecided { cursor, again_at: now.after_ms(RESEND_MS), pause_ms: RESEND_MS });
        if undecided.again_at <= now && self.replay(now, cursor.next()) {
            undecided.pause_ms = (2 * undecided.pause_ms).min(RESEND_MS_MAX);
            undecided.again_at = now.after_ms(undecided.pause_ms);
        }
        self.undecided = Some(undecided);
    }

    /// Entries from `from` on are missing in the partition: they are read and sent again, once in a while. Whether this
    /// was the time.
    fn replay(&mut self, now: Mono, from: Seq) -> bool {
        let waits = self.replayed.is_some_and(|(seq, again_at)| seq == from && now < again_at);
        if waits || !self.reads() {
            return false;
        }
        self.replayed = Some((from, now.after_ms(RESEND_MS)));
        self.place = Some(Seq(from.0.saturating_sub(1)));
        self.buffer.clear();
        self.replays += 1;
        self.read_call.again_at(now);
        true
    }

    /// Takes a page of the log.
    pub fn absorb_page(&mut self, now: Mono, page: LogPage) {
        let Some(fence) = self.fence() else { return };
        if !self.reads() {
            return;
        }
        let mut place = self.place.unwrap_or(page.acked);
        self.acked = self.acked.max(page.acked);
        let before = place;
        for entry in page.entries {
            if entry.epoch == fence.epoch && entry.seq == place.next() && self.buffer.len() < LOG_PAGE_MAX {
                place = entry.seq;
                self.buffer.push_back(entry);
            }
        }
        self.place = Some(place);
        // The log owes the next entry and does not have it: it can never be sent.
        let hole = place == before && page.last > place && self.buffer.len() < LOG_PAGE_MAX;
        let drained = hole || (page.sealed && place >= page.last);
        self.read_call.again_at(if place == before { now.after_ms(IDLE_POLL_MS) } else { now });
        match self.drain {
            Drain::Draining { .. } if drained => self.end_drain(),
            Drain::Idle if hole => self.seal_call.wish(now),
            Drain::Idle | Drain::Draining { .. } | Drain::Ready | Drain::Flying | Drain::Published { .. } => {}
        }
    }

    /// The memory that the row names is gone: nothing more can be read of it.
    pub fn lose_log(&mut self) -> bool {
        let draining = matches!(self.drain, Drain::Draining { .. });
        if draining {
            self.end_drain();
        }
        draining
    }

    fn end_drain(&mut self) {
        self.drain = Drain::Ready;
        self.read_call.rest();
    }

    /// Moves what only time moves.
    pub fn turn(&mut self, now: Mono) {
        match self.drain {
            Drain::Draining { until } if until <= now => self.end_drain(),
            Drain::Published { resend_at } if resend_at <= now => self.drain = Drain::Ready,
            Drain::Idle | Drain::Draining { .. } | Drain::Ready | Drain::Flying | Drain::Published { .. } => {}
        }
        match self.ack_target() > self.acked {
            true if self.ack_call.is_quiet() => self.ack_call = Call::due(now),
            // The memory's own mark was found further on, or the phase forbids it now.
            false if self.ack_call.is_due(now) || !self.ack_call.is_asked() => self.ack_call.rest(),
            true | false => {}
        }
    }

    /// Adds up to `room` of its entries to a transaction, and the seal behind the last one.
    pub fn load(&mut self, room: usize, intents: &mut Vec<Intent>) -> Option<Shipment> {
        let fence = self.fence()?;
        let count = self.buffer.len().min(room);
        intents.extend(self.buffer.iter().take(count).map(|entry| Intent::Entry(self.shard, entry.clone())));
        let seal = self.drain == Drain::Ready && count == self.buffer.len() && count < room;
        if seal {
            intents.push(Intent::Seal(self.shard, fence.epoch));
            self.drain = Drain::Flying;
        }
        let last = count.checked_sub(1).map(|index| self.buffer[index].seq);
        (seal || last.is_some()).then_some(Shipment { shard: self.shard, fence, replays: self.replays, last, seal })
    }

    /// The transaction is durable.
    pub fn unload(&mut self, now: Mono, shipment: &Shipment) {
        if self.fence() != Some(shipment.fence) {
            return;
        }
        if let Some(last) = shipment.last {
            let same = self.replays == shipment.replays;
            while same && self.buffer.front().is_some_and(|entry| entry.seq <= last) {
                self.buffer.pop_front();
            }
            self.published = self.published.max(last);
        }
        if shipment.seal {
            self.drain = Drain::Published { resend_at: now.after_ms(RESEND_MS) };
        }
    }

    /// What to read next: the place, and how many entries. `None` when nothing is to be read now.
    pub fn wanted_page(&self, now: Mono) -> Option<(Option<Seq>, usize)> {
        let room = LOG_PAGE_MAX - self.buffer.len();
        (self.read_call.is_due(now) && room > 0 && self.reads()).then_some((self.place, room))
    }

    /// What to acknowledge next.
    pub fn wanted_ack(&mut self, now: Mono) -> Option<Seq> {
        let target = self.ack_target();
        if !self.ack_call.is_due(now) || target <= self.acked {
            return None;
        }
        self.acking = target;
        Some(target)
    }

    /// The mark is written.
    pub fn absorb_acked(&mut self) {
        self.acked = self.acked.max(self.acking);
        self.ack_call.rest();
    }

    /// The last entry that may be acknowledged.
    ///
    /// While the epoch ends, only what is decided: 1. an older forwarder published Seal(e) and died; 2. this one reads
    /// entries behind the mark and publishes them behind that seal; 3. intake passes over them as stale. A mark on them
    /// would have promised a buyer at the level `log` what is lost. The row tells of the end, because it was read after
    /// the producer was taken: a seal published before that was published while the row said SEALING.
    fn ack_target(&self) -> Seq {
        let Some(row) = &self.row else { return Seq(0) };
        match row.phase {
            Phase::Open => self.published,
            Phase::Sealing => self.published.min(row.cursor),
            Phase::Sealed | Phase::Opening | Phase::Closed => Seq(0),
        }
    }

    fn reads(&self) -> bool {
        let selling = self.row.as_ref().is_some_and(|row| matches!(row.phase, Phase::Open | Phase::Sealing));
        selling && matches!(self.drain, Drain::Idle | Drain::Draining { .. })
    }

    /// The memory that the row names.
    pub fn fence(&self) -> Option<Fence> {
        self.row.as_ref().map(ShardRow::fence)
    }

    /// The rung that was read.
    pub fn rung(&self) -> Option<Rung> {
        self.row.as_ref().map(ShardRow::rung)
    }

    /// The epoch whose seal is published.
    pub fn sealed(&self) -> Option<Epoch> {
        match self.drain {
            Drain::Published { .. } => self.fence().map(|fence| fence.epoch),
            Drain::Idle | Drain::Draining { .. } | Drain::Ready | Drain::Flying => None,
        }
    }

    /// Times at which something is due.
    pub fn times(&self) -> impl Iterator<Item = (Option<Mono>, &'static str)> {
        let turn = match self.drain {
            Drain::Draining { until } => Some(until),
            Drain::Published { resend_at } => Some(resend_at),
            Drain::Idle | Drain::Ready | Drain::Flying => None,
        };
        let full = self.buffer.len() >= LOG_PAGE_MAX;
        let read = if full || !self.reads() { None } else { self.read_call.wake_at() };
        [
            (self.row_call.wake_at(), "read the row"),
            (read, "read the log"),
            (self.ack_call.wake_at(), "acknowledge"),
            (self.seal_call.wake_at(), "end the epoch"),
            (turn, "drain"),
        ]
        .into_iter()
    }

    /// Bounds and order, in O(1).
    pub fn check(&self) {
        assert!(self.buffer.len() <= LOG_PAGE_MAX, "read entries are bounded");
        assert!(
            self.acking <= self.published || self.acking <= self.acked,
            "S10: nothing is acknowledged before its publication"
        );
        if let (Some(first), Some(place)) = (self.buffer.front(), self.place) {
            let sent = self.row.as_ref().map_or(self.published, |row| self.published.max(row.cursor));
            let follows = self.published == Seq(0) || first.seq <= sent.next();
            assert!(follows, "S10: {:?} waits, and what follows {sent:?} was left out", first.seq);
            assert_eq!(first.seq.0 + self.buffer.len() as u64, place.0 + 1, "the buffer is contiguous up to its place");
        }
    }

    /// What it owes.
    pub fn pending(&self) -> Option<&'static str> {
        match self.drain {
            Drain::Idle if self.buffer.is_empty() && self.ack_target() <= self.acked => None,
            Drain::Idle => Some("entries are not published or acknowledged"),
            Drain::Draining { .. } | Drain::Ready | Drain::Flying => Some("an epoch is being drained"),
            Drain::Published { .. } => None,
        }
    }
}

/// How far a row of one memory has climbed: its phases come in their order, and in each the cursor only grows.
fn height(row: &ShardRow) -> (Phase, Seq) {
    (row.phase, row.cursor)
}

#[cfg(test)]
mod tests;
