//! The shipped Redis scripts, and what the rest of the platform must know of them, as data.
//!
//! A script's meaning is core's model: [`model::Model`] runs it, [`call::Call`] names one call of either, and the tests
//! hold both to the same answers and the same memory. [`script::ALL`] is what `README.md` is made from.

mod bytes;
pub mod cache;
pub mod call;
pub mod delay;
pub mod dump;
#[cfg(feature = "generate")]
pub mod generate;
pub mod grant;
pub mod identity;
pub mod keys;
pub mod load;
pub mod log;
pub mod model;
pub mod rate;
pub mod readme;
pub mod record;
pub mod reply;
pub mod reserve;
pub mod script;
mod scripts;
pub mod settle;
pub mod value;
