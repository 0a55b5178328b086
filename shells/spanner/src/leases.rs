//! Leases of the partitions of intents, beside the rows.

use crate::connection::Connection;
use crate::read::Reader;
use crate::rows::{Before, ForwarderLeases, put};
use crate::trouble::Trouble;
use async_trait::async_trait;
use doorbuster_core::database::rows::Lease;
use doorbuster_core::forwarder::LeaseHeld;
use doorbuster_core::inbox::Partition;
use doorbuster_core::limits::LEASE_MS;
use doorbuster_core::outcome::Outcome;
use doorbuster_runtime::ports::leases::Leases;
use google_cloud_spanner::transaction::ReadWriteTransaction;

/// The leases, judged by the database's clock.
#[derive(Clone)]
pub struct SpannerLeases {
    connection: Connection,
}

impl SpannerLeases {
    /// Over this connection, whose schema must be this program's.
    pub fn new(connection: Connection) -> SpannerLeases {
        SpannerLeases { connection }
    }
}

async fn attempt(
    transaction: ReadWriteTransaction,
    partition: Partition,
    owner: u64,
) -> Result<Result<(), LeaseHeld>, Trouble> {
    let reader = Reader::Writing(&transaction);
    let keys = [partition].into();
    let (at, mut known) = tokio::try_join!(reader.clock(), reader.by_key::<ForwarderLeases>(&keys))?;
    let known = known.remove(&partition);
    if known.is_some_and(|lease| lease.owner != owner && lease.until > at) {
        return Ok(Err(LeaseHeld));
    }
    let lease = Lease { owner, until: at.after_ms(LEASE_MS) };
    let before = known.as_ref().map_or(Before::Absent, Before::Known);
    transaction.buffer([put::<ForwarderLeases>(&partition, &lease, before).mutation])?;
    Ok(Ok(()))
}

#[async_trait]
impl Leases for SpannerLeases {
    async fn keep(&self, partition: Partition, owner: u64) -> Outcome<(), LeaseHeld> {
        let work =
            move |transaction| -> crate::transaction::Work<_> { Box::pin(attempt(transaction, partition, owner)) };
        match self.connection.transact("lease", work).await {
            Ok(Ok(())) => Outcome::Done(()),
            Ok(Err(held)) => Outcome::Refused(held),
            Err(trouble) => {
                tracing::warn!(%trouble, "nobody knows whether a lease was kept");
                Outcome::Unknown
            }
        }
    }
}
