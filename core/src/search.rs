//! What search shows of a product, and the worker that keeps it up to date.
//!
//! Events only mark a product. Its document is read whole, in one snapshot, and written under the snapshot's time as its
//! version; the index refuses an older one. So order, repetition and two workers are harmless.

pub mod document;
pub mod indexer;
