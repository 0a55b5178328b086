//! The lab: what holds this repository to its own rules, on the machine of whoever works on it.
//!
//! * [`ci`] is the gate: named steps, one after the other, each bounded in time.
//! * [`tidy`] holds the text of the repository to its style.
//! * [`pages`] tries the console in a real browser.
//! * [`burst`] sells out a sale of a platform of its own, and kills it meanwhile.
//! * [`servers`] gets and starts the real servers, and [`proxy`] stands between them and their clients.
//! * [`sale`] is a whole sale through them, and what each of them has of it.
//! * [`drill`] wipes Redis in the middle of a sale and tells how it opens again.
//! * [`fleet`] is a deployment of the platform over them, and [`storm`] breaks it under buyers as a seed says.
//! * [`licences`] holds the lock file to `deny.toml`.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a tool that drives the product from outside: it is never simulated, and measures real time"
)]

pub mod burst;
pub mod ci;
pub mod drill;
pub mod fleet;
pub mod licences;
pub mod pages;
pub mod platform;
pub mod proxy;
pub mod sale;
pub mod servers;
pub mod stop;
pub mod storm;
pub mod tidy;

use std::path::{Path, PathBuf};

/// The top of the checkout that this crate was built from.
pub fn repository_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("this crate lies one level below the top of the repository")
        .to_path_buf()
}
