//! Sales, their SKUs and products: what an operator does.

pub mod command;
pub mod decide;
