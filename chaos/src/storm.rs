//! `cargo lab chaos`: real processes on real servers under buyers, broken as a seed says, and judged by the oracle.
//!
//! [`plan`] draws what happens when, [`strike`] does it and notes whether it had an effect, [`run`] puts the parts
//! together, and [`timeline`] draws what happened.

pub mod plan;
pub mod run;
pub mod strike;
pub mod timeline;
