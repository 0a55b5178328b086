//! The database of one process: core's tables on fjall, one writer, an outbox in the order of the commits.

mod feed;
mod key;
mod outbox;
mod read;
mod snapshot;
mod store;
mod write;

pub use feed::RowsFeed;
pub use store::{OpenRowsError, RowsStore};
