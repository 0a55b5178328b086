use std::collections::BTreeSet;

use doorbuster_core::time::Mono;

use crate::hosts::redis::Bytes;
use crate::hosts::redis::command::GroupRead;
use crate::hosts::redis::reply::Reply;
use crate::hosts::redis::resp::{RequestDecoder, Version, encode_reply};

/// One client of one server; never used twice in a server's life, not even across restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// What the server knows of a client.
#[derive(Debug, Default)]
pub struct Connection {
    /// What came and is not yet understood; a blocked client's further commands wait here too.
    pub decoder: RequestDecoder,
    /// The protocol that it speaks.
    pub version: Version,
    /// The channels that it listens to.
    pub channels: BTreeSet<Bytes>,
    /// What it waits for.
    pub blocked: Option<Blocked>,
    /// The history's length behind its last write: what WAIT waits for.
    pub written: u64,
    /// What is to be sent.
    pub out: Bytes,
    /// Whether the server closes it behind that.
    pub closing: bool,
}

/// A client that gets its answer later.
#[derive(Clone, Debug)]
pub struct Blocked {
    /// What it waits for.
    pub on: Wanted,
    /// When it has waited long enough; `None` is never.
    pub deadline: Option<Mono>,
    /// Lower numbers have waited longer.
    pub order: u64,
}

/// What a blocked client waits for.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// An entry of one of these streams.
    Entries(GroupRead),
    /// So many replicas that have the history up to here.
    Replicas {
        /// How many.
        count: usize,
        /// Up to where.
        offset: u64,
    },
}

impl Connection {
    /// Answers.
    pub fn send(&mut self, reply: &Reply) {
        encode_reply(&mut self.out, reply, self.version);
    }

    /// When it stops to wait.
    pub fn deadline(&self) -> Option<Mono> {
        self.blocked.as_ref().and_then(|blocked| blocked.deadline)
    }

    /// Whether it may say nothing but what concerns its channels.
    pub fn only_listens(&self) -> bool {
        !self.channels.is_empty() && self.version == Version::Two
    }
}
