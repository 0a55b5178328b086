//! Who forwards into which partition of intents.

use super::{Cells, Misread, Table};
use crate::value::{number, time};
use doorbuster_core::database::rows::Lease;
use doorbuster_core::inbox::Partition;
use google_cloud_spanner::value::Value;

/// Forwarders' leases.
pub struct ForwarderLeases;

impl Table for ForwarderLeases {
    type Key = Partition;
    type Row = Lease;
    const NAME: &'static str = "forwarder_leases";
    const COLUMNS: &'static [&'static str] = &["part", "owner", "until"];
    const KEYS: usize = 1;

    fn key(key: &Partition) -> Vec<Value> {
        vec![number(key.0.into())]
    }

    fn values(row: &Lease) -> Vec<Value> {
        vec![number(row.owner), time(row.until)]
    }

    fn parse(cells: &mut Cells<'_>) -> Result<(Partition, Lease), Misread> {
        let partition = Partition(cells.small()?);
        Ok((partition, Lease { owner: cells.number()?, until: cells.time()? }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::assert_survives;
    use super::*;
    use doorbuster_core::time::Wall;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_lease_survives_its_columns(partition: u32, owner: u64, until in 0u64..1 << 47) {
            assert_survives::<ForwarderLeases>(Partition(partition), Lease { owner, until: Wall(until) });
        }
    }
}
