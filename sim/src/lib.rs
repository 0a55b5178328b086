//! The simulator: worlds in which the product's own decisions run under every kind of trouble.

// A `RUSTFLAGS` in the environment replaces what .cargo/config.toml sets: without the flag turmoil cannot seed tokio, and a
// panic in a spawned task would pass unseen. Documentation is built with flags of its own.
#[cfg(all(feature = "wire", not(any(tokio_unstable, doc, doctest))))]
compile_error!("the wire world needs `--cfg tokio_unstable`: add it to RUSTFLAGS, which replaces .cargo/config.toml");

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
