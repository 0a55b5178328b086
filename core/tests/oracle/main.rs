//! The oracle must be able to say no: every predicate is green on a sound run and red on one planted violation of it.

#[path = "../common/mod.rs"]
mod common;
mod inputs;
mod ledger;
mod live;
mod liveness;
mod orders;
mod random;
mod sound;
mod streams;
