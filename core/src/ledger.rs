//! The ledger: who has the last word over a unit.
//!
//! On the shard's side stands one server's memory ([`shard::Shard`]: pages, counters, state), which admits.
//! On the database's side stand rows ([`stock`], [`epoch`]), which decide. Up goes the log ([`entry`]),
//! down goes the outbox; nothing else crosses.

pub mod basket;
pub mod entry;
pub mod epoch;
pub mod load;
pub mod page;
pub mod reserve;
pub mod settle;
pub mod shard;
pub mod stock;
