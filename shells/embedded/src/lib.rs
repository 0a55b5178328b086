//! Every port in one durable process: rows on a key-value store, intents on a checksummed log.

pub mod data;
pub mod disk;
pub mod log;
mod panic;
pub mod rows;
pub mod server;
mod wait;

/// Exit code of a process that ends because its disk failed (`EX_IOERR` of sysexits.h).
pub const EXIT_STORAGE: i32 = 74;
/// Exit code of a process that ends because one of its own invariants is broken (`EX_SOFTWARE` of sysexits.h).
pub const EXIT_BROKEN: i32 = 70;
