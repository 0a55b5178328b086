//! The outside systems of the simulated worlds, each one a deterministic machine.

pub mod redis;
