//! The worlds in which a plan runs.

pub mod fast;
mod rest;
mod sold;
mod watch;
#[cfg(feature = "wire")]
pub mod wire;
