//! Who may ask at all: limits of the rate of requests, and refusals that are known without asking.

pub mod latch;
pub mod rate;
