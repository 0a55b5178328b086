use doorbuster_core::time::Mono;

use super::RedisHost;
use super::connection::{Blocked, ConnectionId, Wanted};
use crate::hosts::redis::Bytes;
use crate::hosts::redis::command::{GroupRead, perform_group_read};
use crate::hosts::redis::reply::Reply;

impl RedisHost {
    pub(super) fn block(&mut self, connection: ConnectionId, on: Wanted, wait_ms: u64) {
        self.blocks_ever += 1;
        let deadline: Option<Mono> = (wait_ms > 0).then(|| self.context.now.mono.after_ms(wait_ms));
        let blocked = Blocked { on, deadline, order: self.blocks_ever };
        if let Some(connection) = self.connections.get_mut(&connection) {
            connection.blocked = Some(blocked);
        }
    }

    /// Gives what is in the stream to those who wait for it, in the order in which they came.
    pub(super) fn serve_readers(&mut self, key: &Bytes) {
        let mut readers: Vec<(u64, ConnectionId, GroupRead)> = Vec::new();
        for (id, connection) in &self.connections {
            if let Some(Blocked { on: Wanted::Entries(read), order, .. }) = &connection.blocked
                && read.streams.iter().any(|(stream, _)| stream == key)
            {
                let only = read.streams.iter().filter(|(stream, _)| stream == key).cloned().collect();
                readers.push((*order, *id, GroupRead { streams: only, ..read.clone() }));
            }
        }
        readers.sort_unstable_by_key(|(order, _, _)| *order);
        for (_, id, read) in readers {
            let answer = match self.context.stream(key) {
                Ok(Some(_)) => perform_group_read(&mut self.context, &read).unwrap_or_else(Some),
                Ok(None) | Err(_) => Some(Reply::error("UNBLOCKED the stream key no longer exists")),
            };
            if let Some(reply) = answer {
                self.unblock(id, &reply);
            }
        }
    }

    pub(in super::super) fn answer_waiting_for_replicas(&mut self) {
        let waiting: Vec<(ConnectionId, usize, u64)> = self
            .connections
            .iter()
            .filter_map(|(id, connection)| match &connection.blocked {
                Some(Blocked { on: Wanted::Replicas { count, offset }, .. }) => Some((*id, *count, *offset)),
                Some(Blocked { on: Wanted::Entries(_), .. }) | None => None,
            })
            .collect();
        for (id, count, offset) in waiting {
            let reached = self.replicas_with(offset);
            if reached >= count {
                self.unblock(id, &Reply::count(reached));
            }
        }
    }

    pub(super) fn replicas_with(&self, offset: u64) -> usize {
        self.context.facts.replicas.iter().filter(|(_, acknowledged)| *acknowledged >= offset).count()
    }

    pub(super) fn answer_timed_out(&mut self) {
        let now = self.context.now.mono;
        let late: Vec<(ConnectionId, Option<u64>)> = self
            .connections
            .iter()
            .filter(|(_, connection)| connection.deadline().is_some_and(|deadline| deadline <= now))
            .filter_map(|(id, connection)| connection.blocked.as_ref().map(|blocked| (*id, &blocked.on)))
            .map(|(id, on)| match on {
                Wanted::Entries(_) => (id, None),
                Wanted::Replicas { offset, .. } => (id, Some(*offset)),
            })
            .collect();
        for (id, offset) in late {
            let reply = offset.map_or(Reply::NilArray, |offset| Reply::count(self.replicas_with(offset)));
            self.unblock(id, &reply);
        }
    }

    /// Every blocked client gets this error, and its connection is closed.
    pub(in super::super) fn unblock_all(&mut self, text: &str) {
        for connection in self.connections.values_mut().filter(|connection| connection.blocked.is_some()) {
            connection.blocked = None;
            connection.send(&Reply::error(text));
            connection.closing = true;
        }
    }

    /// Answers a blocked client and goes on with what it sent meanwhile.
    fn unblock(&mut self, id: ConnectionId, reply: &Reply) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.blocked = None;
            connection.send(reply);
        }
        self.unblocked.push(id);
    }
}
