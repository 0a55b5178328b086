//! The end of pay windows: the recoverable delay queue, the reaper that works on it, the sweep that proves it.
//!
//! The queue may be lost with its server; the index of due orders in the database is swept, so no order is forgotten.

pub mod claims;
pub mod queue;
pub mod reaper;
pub mod sweep;
