//! What must never happen, one predicate per invariant.

pub mod acceptances;
pub mod answers;
pub mod bounds;
pub mod buyers;
pub mod conservation;
pub mod edges;
pub mod epochs;
pub mod ledger;
pub mod memory;
pub mod partitions;
pub mod replay;
pub mod streams;
pub mod tasks;
pub mod watches;
