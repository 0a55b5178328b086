//! Sales, their SKUs and products: what an operator does.

mod articles;
pub mod command;
pub mod decide;
