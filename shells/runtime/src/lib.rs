//! What every adapter and role stands on: the environment, the one driver, the ports, and roles without logic.

pub mod config;
#[cfg(feature = "contract")]
pub mod contract;
pub mod drive;
pub mod env;
pub mod ports;
pub mod roles;
pub mod telemetry;
