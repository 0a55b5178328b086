//! Rule 6 as bytes: units that the database gives to a shard.
//!
//! ```text
//! change  epoch 8, quantity 8, number of the grant 8, length of SKU 1, SKU
//! answer  per change a letter: D done, R retry
//! ```

use crate::bytes::Writer;
use doorbuster_core::ids::{Epoch, SkuId};
use doorbuster_core::limits::SETTLEMENTS_MAX;

/// One grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Grant {
    /// The row's epoch at the time of the grant.
    pub epoch: Epoch,
    /// Which SKU.
    pub sku: SkuId,
    /// How many units.
    pub quantity: u64,
    /// Which grant of this SKU to this shard.
    pub grant_seq: u64,
}

/// Grants as one argument. At least one, at most `SETTLEMENTS_MAX`.
pub fn encode_grants(grants: &[Grant]) -> Vec<u8> {
    assert!((1..=SETTLEMENTS_MAX).contains(&grants.len()), "one call takes 1 to {SETTLEMENTS_MAX} grants");
    let mut out = Writer::default();
    for grant in grants {
        out.number(grant.epoch.0, 8).number(grant.quantity, 8).number(grant.grant_seq, 8).text(grant.sku.as_str());
    }
    out.0
}
