//! Sales of the last seven days, per SKU: how many units of paid orders, less refunds, in the 168 closed hours.
//!
//! Events write slots, by the hour in which the order was paid; wall time only chooses which slots are read. What was
//! counted, and how far, changes in one transaction, so that no order counts twice and a worker that was replaced
//! changes nothing.

pub mod command;
pub mod decide;
mod emission;
pub mod hour;
pub mod movement;
mod reading;
pub mod ring;
pub mod rows;
pub mod worker;
