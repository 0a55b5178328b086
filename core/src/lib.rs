//! The decisions of a flash sale: synchronous, single-threaded, without clock, entropy, I/O or hash order.
//!
//! Three kinds of thing live here: models (the meaning of a shard's memory), decisions (pure functions run
//! inside a database transaction) and machines (processes: events in, effects out). The oracle judges all of them.

pub mod admission;
pub mod cache;
pub mod call;
pub mod database;
pub mod delay;
pub mod forwarder;
pub mod ids;
pub mod inbox;
pub mod intake;
pub mod keeper;
pub mod lane;
pub mod ledger;
pub mod limits;
pub mod machine;
pub mod oracle;
pub mod order;
pub mod outcome;
pub mod payment;
pub mod receipt;
pub mod relay;
pub mod rng;
pub mod sale;
pub mod search;
pub mod settler;
pub mod time;
pub mod window;
