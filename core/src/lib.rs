//! The decisions of a flash sale: synchronous, single-threaded, without clock, entropy, I/O or hash order.
//!
//! Three kinds of thing live here: models (the meaning of a shard's memory), decisions (pure functions run
//! inside a database transaction) and machines (processes: events in, effects out). The oracle judges all of them.

pub mod database;
pub mod ids;
pub mod intake;
pub mod ledger;
pub mod limits;
pub mod machine;
pub mod order;
pub mod outcome;
pub mod payment;
pub mod receipt;
pub mod sale;
pub mod time;
