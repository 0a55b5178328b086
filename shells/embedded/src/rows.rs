//! The database of one process: core's tables on fjall, one writer, an outbox in the order of the commits.

mod belt;
mod expiry;
mod feed;
mod journal;
mod key;
mod mark;
mod open;
mod outbox;
mod read;
mod snapshot;
mod store;
mod write;
mod writer;

pub use feed::RowsFeed;

pub use open::{OpenRowsError, check_parts as check_rows, create as create_rows};
pub use store::RowsStore;
