//! The database's side: rows, the commands that change them, and the one function that decides.
//!
//! A store runs [`decide::reads`] and [`decide::decide`] inside one transaction, again from the start when the
//! transaction is aborted: both are pure. No-oversell is I1, I2 and I3 over these rows; nothing else occurs in it.

pub mod command;
pub mod decide;
pub mod draft;
pub mod event;
pub mod rows;
pub mod tables;
