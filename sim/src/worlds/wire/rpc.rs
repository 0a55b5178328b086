//! Calls over streams: a client, and the host that a simulated service is mounted on.
//!
//! A frame is a header, some words and as many bytes as its value would weigh, and it really goes through the stream, so
//! that whatever befalls links, hosts and connections befalls it. The value itself does not: the frame names it, and it is
//! kept beside the network until its frame arrives. Core's commands have no wire format, and a made-up one would prove
//! nothing of the one that a real database has.
//!
//! - [`mount::Mount`] holds one service machine, its callers, and what befalls their answers;
//! - [`host::serve`] lets connections ask it, and wakes it when it wants to be woken;
//! - [`client::Client`] asks: it dials when somebody asks, dials again with growing pauses, and answers every call within
//!   its caller's patience. A call that may have left is `Unknown`; one that certainly did not is refused.

pub mod client;
pub mod exchange;
pub mod frame;
pub mod host;
mod link;
pub mod mount;
mod pending;
pub mod service;

/// The other side certainly heard nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Away;

/// Calls of one client in flight: more than all roles of one process ask for at once, so that only a leak meets it.
pub const FLIGHTS_MAX: usize = 512;
