//! Elasticsearch behind the ports: whole documents under external versions.
//!
//! Elasticsearch never goes back by itself: a document is taken only under a higher version than the one that is there, so
//! late, doubled and overtaken bulks, and any number of indexers, end at the newest snapshot of every product. This crate
//! adds nothing to that rule; it says what is known after each call, and builds an index anew behind two aliases:
//!
//! - `<alias>` is what is searched, `<alias>-write` is what is written; each leads to one generation of the index,
//!   `<alias>-1`, `<alias>-2` and so on. They part only while a [`reindex`] catches up.
//! - No index comes to be by being written to: the template forbids it, and bulks name the alias. A bulk that finds none
//!   is told so.

mod answer;
mod bulk;
pub mod cluster;
pub mod config;
pub mod index;
pub mod names;
pub mod page;
pub mod reindex;
pub mod shown;
pub mod standing;
mod stored;
pub mod template;

pub use answer::Trouble;
