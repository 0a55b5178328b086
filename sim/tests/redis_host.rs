//! The simulated Redis: command by command like the real one, and what crashes and failovers leave of it.

#[path = "redis/client.rs"]
mod client;
#[path = "redis/commands.rs"]
mod commands;
#[path = "redis/connections.rs"]
mod connections;
#[path = "redis/crashes.rs"]
mod crashes;
#[path = "redis/failovers.rs"]
mod failovers;
#[path = "redis/protocol.rs"]
mod protocol;
#[path = "redis/real.rs"]
mod real;
#[path = "redis/refusals.rs"]
mod refusals;
#[path = "redis/scripts.rs"]
mod scripts;
#[path = "redis/serving.rs"]
mod serving;
