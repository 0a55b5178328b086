//! The simulator: worlds in which the product's own decisions run under every kind of trouble.

pub mod coverage;
pub mod explore;
pub mod fault;
#[cfg(feature = "wire")]
pub mod hosts;
pub mod meta;
pub mod nemesis;
pub mod page;
pub mod plan;
pub mod replay;
pub mod report;
pub mod runner;
pub mod seed;
pub mod services;
pub mod shrink;
pub mod swarm;
pub mod toy;
pub mod trace;
pub mod worlds;
pub mod zoo;
