//! What a keeper hears and says.

use crate::database::command::Refusal;
use crate::database::rows::{SaleRow, ShardRow, StockRow};
use crate::ids::{Epoch, Seq, ServerId, SkuId};
use crate::ledger::epoch::LadderCommand;
use crate::ledger::load::LoadRefusal;
use crate::ledger::shard::{Counter, Fence, Fenced, Meta, ShardState};
use crate::machine::Ticket;
use crate::outcome::Outcome;

/// What a keeper hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeeperEvent {
    /// Time has passed.
    Tick,
    /// Answer to `ReadRow`: a strong read of both rows; `None` when it failed.
    RowRead {
        /// Of the question.
        ticket: Ticket,
        /// The sale and the shard.
        rows: Option<(SaleRow, ShardRow)>,
    },
    /// Answer to `Apply`.
    Applied {
        /// Of the question.
        ticket: Ticket,
        /// The shard's row after the step.
        outcome: Outcome<ShardRow, Refusal>,
    },
    /// Answer to `AskServer`: who is in charge of the shard's memory now, and the head of that memory, if it has one.
    ServerSeen {
        /// Of the question.
        ticket: Ticket,
        /// The server in charge.
        server: ServerId,
        /// The head of its memory of this shard.
        meta: Option<Meta>,
    },
    /// Answer to `AskServer`: nobody answers.
    ServerUnreachable {
        /// Of the question.
        ticket: Ticket,
    },
    /// Answer to `Seal`: the last entry of the sealed memory; `None` when that server could not be reached, its
    /// answer was lost, or its memory is of another epoch.
    Sealed {
        /// Of the question.
        ticket: Ticket,
        /// The last entry.
        last: Option<Seq>,
    },
    /// Answer to `Drain`: the seal is in the shard's partition behind all that was drained, or nobody knows.
    Drained {
        /// Of the question.
        ticket: Ticket,
    },
    /// Answer to `Load`: how many chunks the server took.
    Loaded {
        /// Of the question.
        ticket: Ticket,
        /// The number of chunks.
        outcome: Outcome<u32, LoadRefusal>,
    },
    /// Answer to `Open`.
    Opened {
        /// Of the question.
        ticket: Ticket,
        /// It sells, or is paused as asked.
        outcome: Outcome<(), LoadRefusal>,
    },
    /// Answer to `SetState`.
    StateSet {
        /// Of the question.
        ticket: Ticket,
        /// The memory's state after it.
        outcome: Outcome<ShardState, Fenced>,
    },
    /// Answer to `ReadRange`: the sale's SKUs; `None` when the read failed.
    RangeRead {
        /// Of the question.
        ticket: Ticket,
        /// All of them.
        skus: Option<Vec<SkuId>>,
    },
    /// Answer to `Withdraw`: the entry that tells of it; `None` inside when there was nothing to withdraw.
    Withdrawn {
        /// Of the question.
        ticket: Ticket,
        /// Where it stands in the log.
        outcome: Outcome<Option<Seq>, Fenced>,
    },
    /// An operator wants the epoch to end.
    OperatorSeal,
    /// Whoever balances shards wants units of this shard in the pool; nothing is owed if they do not come.
    RebalanceAsked {
        /// Of which SKU.
        sku: SkuId,
        /// At most so many.
        quantity: u64,
    },
    /// Counters of the memory beside the rows; see [`Counters`].
    CountersRead(Counters),
}

/// A memory's counters beside the rows of its stock.
///
/// The counters are read first, then the rows, then the memory's head again: equal heads mean that nothing was
/// reserved between. Any SKUs, also only some of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counters {
    /// Of which memory.
    pub fence: Fence,
    /// Nothing is in flight: the row's cursor is the memory's last entry, before and after, and every grant and
    /// settlement that was sent down has been taken in.
    pub at_rest: bool,
    /// Per SKU.
    pub stock: Vec<(SkuId, Counter, StockRow)>,
}

/// What a keeper asks for. Each with a ticket is answered once with the event of its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum KeeperEffect {
    /// Read the sale's and the shard's row, strongly.
    ReadRow(Ticket),
    /// Decide a step of the ladder in a transaction.
    Apply(Ticket, LadderCommand),
    /// Ask who is in charge of the shard's memory, and for the head of that memory.
    AskServer(Ticket),
    /// Seal this epoch on this server, if it can be reached and is still the same.
    Seal {
        /// Of the question.
        ticket: Ticket,
        /// The server that the row names; no other is sealed.
        server: ServerId,
        /// Which epoch.
        epoch: Epoch,
    },
    /// Bring the log up to `last` into the shard's partition, or what can be had within `DRAIN_TIMEOUT_MS` when it is
    /// unknown or does not come; then the seal, by a publisher that has fenced every older one.
    Drain {
        /// Of the question.
        ticket: Ticket,
        /// Which epoch ends.
        epoch: Epoch,
        /// Its last entry, if known.
        last: Option<Seq>,
    },
    /// Read one snapshot in which the shard is OPENING under this fence, and stream its chunks to the server. A new
    /// snapshot is never mixed in: when the stream breaks, the answer is `Unknown`.
    Load {
        /// Of the question.
        ticket: Ticket,
        /// Server, epoch and nonce.
        fence: Fence,
    },
    /// End the load.
    Open {
        /// Of the question.
        ticket: Ticket,
        /// Server, epoch and nonce.
        fence: Fence,
        /// How many chunks were loaded.
        chunks: u32,
        /// Whether the sale is paused.
        paused: bool,
    },
    /// Pause or resume.
    SetState {
        /// Of the question.
        ticket: Ticket,
        /// Server, epoch and nonce.
        fence: Fence,
        /// Whether the sale is paused.
        paused: bool,
    },
    /// Read the sale's SKUs.
    ReadRange(Ticket),
    /// Take units back from the memory; its entry gives them to the pool.
    Withdraw {
        /// Of the question.
        ticket: Ticket,
        /// Server, epoch and nonce.
        fence: Fence,
        /// Of which SKU.
        sku: SkuId,
        /// At most so many.
        quantity: u64,
    },
    /// Tell a person what was found; not answered.
    Explain(Finding),
}

/// What a keeper found that a person should know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Finding {
    /// I4 does not hold for this SKU.
    CountersUnbalanced(SkuId, Counter),
    /// I5 does not hold for this SKU at rest.
    CountersDiffer(SkuId, Counter, StockRow),
    /// A load was refused.
    LoadRefused(LoadRefusal),
    /// A step of the ladder was refused although nobody else holds the lease: somebody else moved the row.
    StepRefused,
}
