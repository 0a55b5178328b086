//! The contract of forwarders' leases.

use super::Subject;
use super::world::certain;
use crate::ports::Partition;
use crate::ports::leases::Leases;
use doorbuster_core::forwarder::LeaseHeld;
use doorbuster_core::limits::LEASE_MS;
use std::sync::Arc;

/// Holds leases to [`Leases`]' contract.
///
/// # Panics
/// With the sentence that was broken.
pub async fn leases_contract(make: impl AsyncFn() -> Subject<Arc<dyn Leases>>) {
    let subject = make().await;
    let (leases, clock) = (subject.port.as_ref(), subject.clock.as_ref());
    let keep = async |partition, owner| certain(async || leases.keep(Partition(partition), owner).await).await;
    assert_eq!(keep(0, 1).await, Ok(()), "a free lease is whoever's asks first");
    assert_eq!(keep(0, 2).await, Err(LeaseHeld), "a lease is one forwarder's");
    assert_eq!(keep(1, 2).await, Ok(()), "each partition has its own");
    clock.pass_ms(LEASE_MS / 2).await;
    assert_eq!(keep(0, 1).await, Ok(()), "its holder keeps it");
    clock.pass_ms(LEASE_MS / 2 + 1).await;
    assert_eq!(keep(0, 2).await, Err(LeaseHeld), "what was kept lasts from then on");
    clock.pass_ms(LEASE_MS).await;
    assert_eq!(keep(0, 2).await, Ok(()), "what was not kept is free");
    assert_eq!(keep(0, 1).await, Err(LeaseHeld), "and no longer its old holder's");
}
