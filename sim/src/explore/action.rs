//! Everything that can happen next, one atomic step each.

use doorbuster_core::database::rows::SaleState;
use doorbuster_core::order::status::Restock;

/// One atomic step. Wishes, fences, servers, keepers and events are named by their place in the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A lane that holds this fence sends one wish to this server.
    Click { wish: usize, fence: usize, server: usize },
    /// The same with all wishes in one batch: one script call, one entry.
    ClickAll { fence: usize, server: usize },
    /// The buyer ends an unpaid order.
    Cancel { wish: usize },
    /// The pay window ends.
    Expire { wish: usize },
    /// Rule 10.
    Abandon { wish: usize },
    /// A payment begins.
    StartPayment { wish: usize },
    /// The provider says that it has the money.
    TakePayment { wish: usize },
    /// The operator begins a refund.
    Refund { wish: usize, restock: Restock },
    /// The provider has given the money back.
    FinishRefund { wish: usize },
    /// One unit more of the first SKU.
    TopUp,
    /// A caller that holds this fence takes one unit of this SKU back from this server.
    Withdraw { fence: usize, server: usize, sku: usize },
    /// The operator stops, resumes or closes the sale.
    Enter { state: SaleState },
    /// A caller that holds this fence carries a pause or its end to this server.
    SetState { fence: usize, server: usize, paused: bool },
    /// The forwarder publishes the next entry of its server's log.
    Publish,
    /// A forwarder that has lost the partition publishes an entry; possible only as a planted bug.
    PublishFenced,
    /// The forwarder publishes the seal: the log is drained, or the drain has timed out.
    PublishSeal,
    /// Another forwarder takes the partition over and reads this server, from the beginning or where the last one was.
    ReplaceForwarder { server: usize, from_start: bool },
    /// The forwarder goes over to the server that was promoted.
    FollowPrimary,
    /// Intake decides so many records in one transaction.
    Intake { records: usize },
    /// Intake starts again at the oldest record.
    ResetIntake,
    /// The settler brings an event to this server.
    Deliver { event: usize, server: usize },
    /// B becomes a copy of A as it is now.
    Replicate,
    /// B is promoted; A does not learn of it.
    Promote,
    /// The server that the addresses lead to comes back without memory.
    Lose,
    /// A keeper begins the end of the row's epoch.
    BeginSealing { keeper: usize },
    /// It seals the server.
    Seal { keeper: usize },
    /// It cannot reach the server.
    GiveSealUp { keeper: usize },
    /// A keeper says that it will load this server.
    BeginOpening { keeper: usize, server: usize },
    /// It reads the snapshot.
    ReadSnapshot { keeper: usize },
    /// It sends the next chunk.
    LoadChunk { keeper: usize },
    /// It opens the server.
    Open { keeper: usize },
    /// A keeper that takes over finds the server open.
    FindOpen { keeper: usize },
    /// It says that the server is open.
    FinishOpening { keeper: usize },
    /// It closes the shard.
    Close { keeper: usize },
    /// It loses its memory.
    Crash { keeper: usize },
}
