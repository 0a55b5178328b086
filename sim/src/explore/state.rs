//! One state of the explored world: the database, two servers, what travels between them, and who works on it.

use super::fingerprint::{self, Fingerprint};
use super::scope::Budgets;
use super::shared::Shared;
use doorbuster_core::database::event::Event;
use doorbuster_core::database::rows::ShardRow;
use doorbuster_core::database::tables::Rows;
use doorbuster_core::ids::{Epoch, ReservationId, Seq, ServerId, ShardId};
use doorbuster_core::ledger::entry::{Entry, Intent};
use doorbuster_core::ledger::epoch::Rung;
use doorbuster_core::ledger::load::Chunk;
use doorbuster_core::ledger::shard::{Fence, Shard};

/// Servers by their place in the state: A serves first, B is the copy that may be promoted.
pub const A: usize = 0;
/// See [`A`].
pub const B: usize = 1;

/// Everything that can differ between two moments.
#[derive(Clone, Debug)]
pub struct State {
    /// The database.
    pub rows: Shared<Rows>,
    /// What goes down and is not known to have arrived; in no order.
    pub down: Shared<Vec<Sent>>,
    /// A and B.
    pub servers: [Shared<Server>; 2],
    /// The shard's partition of `intents`, as far as it can still be read.
    pub intents: Shared<Vec<Intent>>,
    /// Who may climb the ladder.
    pub keepers: [Shared<Keeper>; 2],
    /// Every fence that stood in a row in phase OPEN: any lane may hold any of them, however stale.
    pub fences: Shared<Vec<Fence>>,
    /// Acceptances whose fate is still open.
    pub promises: Shared<Vec<Promise>>,
    /// The small parts.
    pub light: Light,
}

/// The small parts of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Light {
    /// First record of the partition that intake has not decided.
    pub offset: usize,
    /// The forwarder that owns the partition.
    pub forwarder: Forwarder,
    /// One that lost it and does not know; its publishing fails, unless that is the planted bug.
    pub fenced: Option<Forwarder>,
    /// Bit e: a load of epoch e has reached open.
    pub opened: u32,
    /// Bit k: wish k has been clicked or abandoned.
    pub touched: u32,
    /// What may still happen.
    pub budgets: Budgets,
    /// The next nonce that a keeper draws.
    pub nonce_next: u64,
    /// The next identity of a server.
    pub server_next: u128,
    /// Which server the addresses lead to.
    pub primary: usize,
}

/// A process that holds a shard's memory.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Server {
    /// Its memory.
    pub shard: Shard,
    /// Its stream, as far as a forwarder may still read it.
    pub log: Vec<Entry>,
    /// Whether it takes calls; a copy that is not promoted does not.
    pub serves: bool,
    /// Whether the memory was open once: one that was sealed half-loaded adds up to nothing.
    pub complete: bool,
}

/// An event on its way down.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sent {
    /// What.
    pub event: Event,
    /// Whether a server has said that it is done; it may come once more.
    pub delivered: bool,
}

/// The owner of the partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Forwarder {
    /// Which server's log it reads.
    pub server: usize,
    /// Last entry that it has published.
    pub position: (Epoch, Seq),
    /// The epoch whose entries it may call durable: it has seen this epoch OPEN since it owns the partition,
    /// and it has not published its seal.
    pub acks: Option<Epoch>,
}

/// An acceptance that a buyer has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Promise {
    /// Of which reservation.
    pub id: ReservationId,
    /// By which memory.
    pub epoch: Epoch,
    /// At which entry.
    pub seq: Seq,
    /// Whether the durable log has acknowledged it.
    pub acked: bool,
}

/// What a keeper remembers between two steps; a crash makes it idle.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Keeper {
    /// It reads the row next.
    Idle,
    /// It has begun the end of this epoch and must seal this server.
    Sealing(Epoch, ServerId),
    /// It has said that it loads, and must read the snapshot.
    Opening(Rung, Fence),
    /// It has read the snapshot and sends chunks.
    Loading(Rung, Fence, Load),
    /// The server said that it is open.
    Opened(Rung),
}

/// A load under way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Load {
    /// What is sent, in order.
    pub chunks: Vec<Chunk>,
    /// How many were taken.
    pub taken: usize,
    /// Whether the sale was paused in the snapshot.
    pub paused: bool,
}

impl State {
    /// What the state is recognised by. The keepers are alike: exchanging them makes no new state.
    pub fn fingerprint(&self) -> Fingerprint {
        let mut keepers = [self.keepers[0].fingerprint(), self.keepers[1].fingerprint()];
        keepers.sort_unstable();
        fingerprint::combine(&[
            self.rows.fingerprint(),
            self.down.fingerprint(),
            self.servers[A].fingerprint(),
            self.servers[B].fingerprint(),
            self.intents.fingerprint(),
            keepers[0],
            keepers[1],
            self.fences.fingerprint(),
            self.promises.fingerprint(),
            fingerprint::of(&self.light),
        ])
    }

    /// The shard's row.
    pub fn row(&self, shard: ShardId) -> &ShardRow {
        self.rows.shards.get(&shard).expect("the sale was created")
    }

    /// The serving server of this identity.
    pub fn server_of(&self, id: ServerId) -> Option<usize> {
        self.servers.iter().position(|server| server.serves && server.shard.server == id)
    }

    /// The next entry that this forwarder would publish.
    pub fn unpublished(&self, forwarder: &Forwarder) -> Option<&Entry> {
        let log = &self.servers[forwarder.server].log;
        log.iter().find(|entry| (entry.epoch, entry.seq) > forwarder.position)
    }
}
