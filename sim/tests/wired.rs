//! The ports of the wire world: calls over streams that break, and the roles that forward and relay over them.
#![cfg(feature = "wire")]

#[path = "ports/calls.rs"]
mod calls;
#[path = "ports/contracts.rs"]
mod contracts;
#[path = "ports/groups.rs"]
mod groups;
#[path = "ports/pipes.rs"]
mod pipes;
#[path = "ports/roles.rs"]
mod roles;
