//! The HTTP API and the console, over the runtime's ports.
//!
//! Architecture invariant: this crate decides nothing about a unit. It parses at the edge, asks a port, and says what
//! it was told; an unknown outcome is told as unknown.

pub mod admin;
pub mod api;
mod assets;
mod board;
pub mod body;
mod connections;
mod directory;
mod door;
mod etag;
mod extract;
mod fate;
mod health;
mod live;
mod openapi;
mod orders;
pub mod payments;
pub mod problem;
mod products;
pub mod reply;
mod reservations;
mod reserve;
mod routes;
mod schemas;
mod server;
mod shop;
pub mod stamp;
mod threads;
pub mod token;
pub mod watch;

pub use axum::serve::Listener;
pub use reserve::IDEMPOTENCY_KEY;
pub use server::{CONNECTIONS_MAX, serve_on};
pub use threads::serve;
