//! The servers that the platform runs on in production, on the loopback of this machine: got, started, asked, ended.
//!
//! [`Standing`] servers outlive the program that started them, until somebody takes them down; a [`Lab`]'s live as long
//! as the value. Both end only what they started: a process is known by its number and by when it began.
//!
//! What [`Server`] is wanted, where it lives ([`Site`]) and what runs there ([`Running`]) are the same for both.

mod cache;
mod elasticsearch;
mod jdk;
mod kafka;
mod lab;
mod launch;
mod maven;
mod ports;
mod process;
mod redis;
mod running;
mod server;
mod spanner;
mod standing;
mod table;
mod tool;
mod trouble;

use std::net::SocketAddr;

pub use cache::Cache;
pub use lab::Lab;
pub use launch::Site;
pub(crate) use ports::Ports;
pub use process::Process;
pub use redis::{Layout, Watched};
pub use running::Running;
/// What a [`Process`] is sent.
pub use rustix::process::Signal;
pub use server::Server;
pub use standing::{Choice, Standing};
pub use trouble::Trouble;

use crate::platform;

/// Asks a server that speaks HTTP; anything but 200 is what is wanting.
fn ask_by_http(address: SocketAddr, path: &str) -> Result<(), String> {
    let answer = platform::get(address, path).map_err(|error| error.to_string())?;
    let head = answer.lines().next().unwrap_or("an empty answer");
    if head.starts_with("HTTP/1.1 200") { Ok(()) } else { Err(head.to_owned()) }
}

/// Whether a program of this name can be started.
pub(crate) fn on_path(program: &str) -> bool {
    let directories = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&directories).any(|directory| directory.join(program).is_file())
}
