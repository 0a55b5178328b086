//! The simulator: worlds in which the product's own decisions run under every kind of trouble.

pub mod explore;
pub mod fault;
pub mod hosts;
pub mod plan;
pub mod report;
pub mod seed;
pub mod trace;
