//! What every adapter and role stands on: the environment, the one driver, the ports, and roles without logic.

#[cfg(feature = "contract")]
pub mod contract;
pub mod config;
pub mod drive;
pub mod env;
pub mod ports;
pub mod roles;
pub mod telemetry;
