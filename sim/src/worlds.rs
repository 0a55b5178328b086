//! The worlds in which a plan runs.

pub mod fast;
