//! The load tool: an open-loop generator that behaves as buyers and an operator do, keeps what it was told, and
//! afterwards holds the platform to it.
//!
//! Architecture invariant: nothing here is shared with the platform's own way of counting. What is compared at the
//! end is the client's history against the rows that the platform exports.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a load generator measures real time and paces itself by it; nothing of it runs inside a simulated world"
)]

pub mod aftermath;
pub mod bare;
pub mod burst;
pub mod compare;
pub mod connection;
pub mod errand;
pub mod error;
pub mod generator;
pub mod history;
pub mod mixed;
pub mod operator;
pub mod oracle;
pub mod platform;
pub mod probe;
pub mod progress;
pub mod recorder;
pub mod report;
pub mod request;
pub mod saturation;
pub mod schedule;
pub mod settings;
pub mod token;
pub mod verdict;
