//! Payments: what the provider says, and what a late or double payment becomes.

pub mod command;
pub mod decide;
pub mod late;
pub mod worker;
