//! The simulator: worlds in which the product's own decisions run under every kind of trouble.

pub mod explore;
