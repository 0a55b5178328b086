//! Every kind of fault, by the id that plans, reports and docs use.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! faults {
    ($($kind:ident: $worlds:expr, $title:literal, $heal:literal;)*) => {
        /// A kind of fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum FaultKind { $(#[doc = $title] $kind,)* }

        impl FaultKind {
            /// All of them.
            pub const ALL: &'static [FaultKind] = &[$(FaultKind::$kind,)*];

            /// The id.
            pub fn id(self) -> &'static str {
                match self { $(FaultKind::$kind => stringify!($kind),)* }
            }

            /// What happens.
            pub fn title(self) -> &'static str {
                match self { $(FaultKind::$kind => $title,)* }
            }

            /// How it ends.
            pub fn heal(self) -> &'static str {
                match self { $(FaultKind::$kind => $heal,)* }
            }

            /// The worlds that can inject it.
            pub fn worlds(self) -> Worlds {
                match self { $(FaultKind::$kind => $worlds,)* }
            }
        }
    };
}

/// Where a fault can be injected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Worlds {
    /// The event heap.
    Fast,
    /// The simulated network under the real clients.
    Wire,
    /// Either.
    Both,
}

use Worlds::{Both, Fast, Wire};

faults! {
    N1: Both, "a link is slow", "it is fast again";
    N2: Both, "a link swallows both ways", "what it held arrives late, or never";
    N3: Both, "a link swallows one way", "it carries again";
    N4: Both, "a link refuses connections", "it accepts again";
    N5: Both, "a connection breaks in the middle of a frame", "the next one is whole";
    N6: Both, "a link loses messages", "it loses none";
    N7: Wire, "a reader is slow and its buffer full", "it reads again";
    N8: Both, "links stop one by one and come back in another order", "all are back";
    N9: Both, "a reply is lost after its call was applied", "the next one arrives";
    P1: Both, "a process dies at any step", "it starts again";
    P2: Both, "a process dies between two effects", "it starts again";
    P4: Both, "a process stands still for longer than its leases", "it goes on with what was queued";
    P5: Both, "a process is slow", "it is fast again";
    P6: Both, "a process is stopped in the middle of a batch", "it starts again";
    P7: Both, "a process dies again and again", "it stays up";
    P8: Both, "every instance of a role is down", "all start";
    P9: Both, "a role has more instances than partitions", "the surplus stops";
    P10: Both, "all but one instance of each role die for ever", "nothing to heal";
    C1: Both, "a host's clock is off", "it is right";
    C2: Both, "a host's clock drifts", "it is right";
    C3: Both, "a host's wall clock steps", "it is right";
    C4: Both, "the promoted server's clock is another", "it is right";
    C5: Both, "a host is suspended and its clocks jump", "nothing to heal";
    C6: Both, "a clock steps over the boundary of an hour", "it is right";
    R1: Both, "a server loses its last second", "it serves what is left";
    R2: Both, "a server's log ends in the middle of an entry", "it serves what is left";
    R3: Both, "a replica without the newest writes is promoted", "it serves";
    R4: Both, "the old primary goes on acknowledging", "it becomes a replica and forgets";
    R5: Wire, "the cache of scripts is lost", "they are loaded again";
    R6: Both, "a server answers OOM, MISCONF, READONLY, LOADING or BUSY", "it answers as usual";
    R8: Both, "a published message is lost", "the next one arrives";
    R10: Both, "pending entries are forgotten, or two forwarders claim them", "one forwarder is left";
    R11: Both, "a server is emptied", "nothing to heal";
    K1: Both, "a record stands twice", "nothing to heal";
    K2: Both, "the acknowledgement of a record is lost", "the next one arrives";
    K3: Both, "too few replicas", "enough replicas";
    K4: Fast, "the end of a partition is lost", "nothing to heal";
    K5: Both, "partitions are read in another order", "nothing to heal";
    K6: Both, "partitions are revoked in the middle of a batch, and a zombie commits late", "one owner is left";
    K7: Both, "a commit of offsets is lost", "the next one is kept";
    K8: Both, "records of hours ago are delivered again", "nothing to heal";
    K10: Fast, "retention removes what nobody has read", "nothing to heal";
    K11: Both, "a record is no record", "nothing to heal";
    K12: Both, "the broker is away", "it is back";
    D1: Both, "a transaction is aborted and run again", "nothing to heal";
    D2: Both, "the outcome of a commit is not told", "nothing to heal";
    D3: Both, "a session is lost", "a new one is made";
    D4: Both, "a transaction waits long for a lock", "locks are free";
    D5: Both, "a read is stale", "reads are strong";
    D6: Both, "commit times tie, or fall behind the wall clock", "nothing to heal";
    D7: Both, "a change stream's partition splits, merges or moves", "nothing to heal";
    D8: Both, "a change stream is cut and read again from an older place", "nothing to heal";
    D9: Both, "a change stream sends heartbeats only", "it sends records";
    D11: Both, "the database is away", "it is back";
    E1: Both, "part of a bulk fails", "bulks are whole";
    E2: Both, "the index pushes back", "it takes";
    E3: Both, "a bulk is applied and not answered", "the next is answered";
    E4: Both, "bulks overtake each other", "they keep their order";
    E5: Both, "a write is seen late", "it is seen";
    Q1: Fast, "unsynced bytes are lost", "nothing to heal";
    Q2: Fast, "the last record is torn", "nothing to heal";
    Q3: Fast, "a sync fails", "the process starts again";
    Q4: Fast, "the disk is full", "there is room";
    Q5: Fast, "a kill at a phase of the epoch ladder", "it starts again";
    U1: Both, "a double click", "nothing to heal";
    U2: Both, "a user with several keys", "nothing to heal";
    U3: Both, "a retry on another gateway", "nothing to heal";
    U4: Both, "a retry after minutes", "nothing to heal";
    U5: Both, "a payment at the very deadline", "nothing to heal";
    U6: Both, "payments twice, late, or out of order", "nothing to heal";
    U7: Both, "a buyer goes away", "nothing to heal";
    U8: Both, "many times the stock in one tick", "nothing to heal";
    U9: Both, "a buyer of several SKUs", "nothing to heal";
    U10: Wire, "malformed and oversized requests", "nothing to heal";
    O1: Both, "a sale is opened, stopped, resumed or closed in mid-flight", "nothing to heal";
    O2: Both, "stock is topped up", "nothing to heal";
    O3: Both, "roles are restarted one after the other", "nothing to heal";
    O4: Both, "a role is scaled to zero and back", "it is back";
    O5: Both, "a release is replayed by hand", "nothing to heal";
    O6: Both, "a product is edited again and again while it is read", "it stays as it is";
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.id())
    }
}
