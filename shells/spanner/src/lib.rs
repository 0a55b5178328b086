//! Spanner behind the ports: the tables of core, the change stream of the outbox, and the leases beside them.
//!
//! What a transaction means is core's `reads` and `decide`; what is known after it is this crate's business. The clock of
//! every decision is the database's, read in its transaction.
//!
//! What a database must be like, and what its limits do to the platform:
//! - The GoogleSQL dialect. [`schema::migrate`] makes its tables, indexes and change stream; [`schema::check`] refuses one
//!   that an older or a newer program has left behind, before anything is read.
//! - One commit has at most 80,000 cells, index entries included. A change above it is refused as invalid, by its size, and
//!   nothing of it is written: an import of new products and SKUs ends at some 3,400 rows for a sale of one shard, and at
//!   fewer with more shards, each of which has a row of every SKU. The largest intake fits.
//! - The stream is kept for seven days. A relay that was away for longer finds a gap and says so; it does not skip.
//! - Times are kept up to the year 9999; whatever is later counts as never.
//!
//! An emulator does one transaction that writes at a time and aborts the others, so that there `transactions_max` of 1 or 2
//! is the fastest; real Spanner takes as many as a process likes.

pub mod changes;
pub mod config;
pub mod connection;
pub mod leases;
mod read;
mod rows;
pub mod schema;
mod snapshot;
pub mod store;
mod transaction;
pub mod trouble;
mod value;
pub mod windows;
mod write;
