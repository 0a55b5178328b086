//! A newtype per id, parsed at the edge; no plain string or number travels as an id.

mod name;
mod order;
mod user;

pub use name::{IdError, Key, PaymentId, ProductId, SaleId, SkuId};
pub use order::{OrderId, ReservationId, ShardId};
pub use user::UserId;

use serde::{Deserialize, Serialize};

/// One server's memory of one shard; counts from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch(pub u64);

/// Position of an entry in a shard's log; contiguous from 1 in each epoch. 0 means none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Seq(pub u64);

/// Drawn afresh for each loading of an epoch, so that two loaders of one epoch cannot be confused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Nonce(pub u64);

/// Identity of one server's memory: changes with a restart and with a promotion
/// (Redis: run id and replication id; embedded: drawn at each start of the process).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ServerId(pub u128);

/// Counts the changes of one row; a reader drops a state older than the one it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Version(pub u64);

impl Epoch {
    /// The epoch after this one.
    pub fn next(self) -> Epoch {
        Epoch(self.0 + 1)
    }

    /// The epoch before this one; before the first there is 0, of which no memory ever is.
    pub fn previous(self) -> Epoch {
        Epoch(self.0.saturating_sub(1))
    }
}

impl Seq {
    /// The entry after this one.
    pub fn next(self) -> Seq {
        Seq(self.0 + 1)
    }
}

impl Version {
    /// The version after this one.
    pub fn next(self) -> Version {
        Version(self.0 + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_count_go_up_by_one() {
        assert_eq!((Version(0).next(), Version(7).next()), (Version(1), Version(8)));
        assert_eq!((Seq(0).next(), Seq(7).next()), (Seq(1), Seq(8)));
        assert_eq!((Epoch(7).next(), Epoch(7).previous(), Epoch(0).previous()), (Epoch(8), Epoch(6), Epoch(0)));
    }
}
