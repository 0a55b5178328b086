//! What an operator may do. Every command is a transaction of core; nothing is decided here.

pub mod audit;
pub(crate) mod catalogue;
pub(crate) mod import;
pub(crate) mod orders;
pub mod rows;
pub(crate) mod sales;
pub(crate) mod shards;
