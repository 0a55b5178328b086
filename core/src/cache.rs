//! Products near their readers: a local cache in every edge process, one shared by all, the database behind them.
//!
//! The shared cache is a model, the meaning of the scripts that fill it and of those that write floors; the local one
//! is a machine. What both keep is opaque: bytes with a version that counts the changes of the row.
//!
//! How a change reaches a reader, and why no older version comes after it:
//! 1. The change commits. Its event writes a floor into the shared cache, then tells every process.
//! 2. A process that hears of it drops what is older, and takes no older answer to a question that is open.
//! 3. A load that began before the change may still try to fill the shared cache: the floor refuses it. Deleting the
//!    document instead would leave nothing to refuse it with.
//! 4. Whoever asks the shared cache finds the floor and loads; only a version at least as high replaces a floor.
//! 5. A floor may end because a fill names the time, by the server's clock, at which its reader asked: a fill that
//!    comes so late that a floor may have come and gone is refused.
//! 6. A process that lost its subscription may have missed messages: it drops everything. One that does not know it
//!    has asks again when its documents reach their age.
//!
//! A row is never deleted, so a product that is absent has version 0: anything that is known is newer.

mod expiring;
mod flight;
mod floors;
pub mod invalidator;
pub mod local;
pub mod shared;
pub mod talk;

use std::sync::Arc;

/// A product as it was serialised; copied to many callers without copying the bytes.
pub type Value = Arc<[u8]>;
