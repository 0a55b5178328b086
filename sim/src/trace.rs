//! What happened, in order: a rolling hash always, and lines where somebody will read them.

use std::sync::Arc;

/// Events between two checkpoints of the hash.
pub const CHECKPOINT_EVERY: u64 = 1_000;

/// What a line tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A machine took an event or started an effect.
    Step,
    /// A message left its host.
    Sent,
    /// A message arrived.
    Delivered,
    /// A message was lost.
    Lost,
    /// A buyer or operator asked, or was answered.
    Client,
    /// Rows were committed.
    Committed,
    /// A fault began.
    Struck,
    /// A fault ended.
    Healed,
    /// An invariant was broken.
    Violated,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Microseconds of the run.
    pub at_us: u64,
    /// Its place among all events of the run.
    pub ordinal: u64,
    /// Where.
    pub host: Arc<str>,
    /// What kind.
    pub kind: Kind,
    /// The message that was sent, delivered or lost: it joins the ends of an arrow.
    pub message: Option<u64>,
    /// What, in one line for people.
    pub text: String,
}

/// Units of one SKU over all shards at one moment: what the picture plots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stock {
    /// Microseconds of the run.
    pub at_us: u64,
    /// Which SKU, by number.
    pub sku: usize,
    /// Units that may be taken.
    pub available: u64,
    /// Units that orders hold.
    pub held: u64,
    /// Units of paid orders.
    pub sold: u64,
}

/// The hash of a run, and its lines where they are kept.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    hash: u64,
    events: u64,
    /// The hash after each [`CHECKPOINT_EVERY`] events: two runs are compared from here.
    pub checkpoints: Vec<u64>,
    /// Kept lines; `None` when nobody will read them.
    pub lines: Option<Vec<Line>>,
    /// Kept stocks.
    pub stocks: Vec<Stock>,
}

impl Trace {
    /// A trace that keeps its lines.
    pub fn kept() -> Trace {
        Trace { lines: Some(Vec::new()), ..Trace::default() }
    }

    /// Whether lines are kept: who would only format for nothing asks first.
    pub fn keeps_lines(&self) -> bool {
        self.lines.is_some()
    }

    /// Takes one event into the hash: its time, host and a fingerprint of what it was.
    pub fn feed(&mut self, at_us: u64, host: u64, fingerprint: u64) {
        for word in [at_us, host, fingerprint] {
            // A round of SplitMix64's mixing: every bit of the input moves half of the output's.
            let mut mixed = self.hash ^ word.wrapping_add(0x9e37_79b9_7f4a_7c15);
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            self.hash = mixed ^ (mixed >> 31);
        }
        self.events += 1;
        if self.events.is_multiple_of(CHECKPOINT_EVERY) {
            self.checkpoints.push(self.hash);
        }
    }

    /// Keeps a line, if lines are kept; `text` is made only then.
    pub fn tell(
        &mut self,
        at_us: u64,
        host: &Arc<str>,
        kind: Kind,
        message: Option<u64>,
        text: impl FnOnce() -> String,
    ) {
        let ordinal = self.events;
        if let Some(lines) = &mut self.lines {
            lines.push(Line { at_us, ordinal, host: host.clone(), kind, message, text: text() });
        }
    }

    /// The hash of everything so far.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Events so far.
    pub fn events(&self) -> u64 {
        self.events
    }
}
