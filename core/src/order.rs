//! Orders: their states, and the decisions that move them.

pub mod command;
pub mod fate;
pub mod lifecycle;
pub mod status;
