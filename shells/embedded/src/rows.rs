//! The database of one process: core's tables on fjall, one writer, an outbox in the order of the commits.

mod belt;
mod feed;
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
pub use belt::Lost;
pub use open::OpenRowsError;
pub use store::RowsStore;
