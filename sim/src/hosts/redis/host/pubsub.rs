use super::RedisHost;
use super::connection::{Connection, ConnectionId};
use crate::hosts::redis::Bytes;
use crate::hosts::redis::reply::Reply;

impl RedisHost {
    /// Gives a message to those who listen now; nobody else ever gets it.
    pub(super) fn deliver(&mut self, channel: &Bytes, message: &Bytes) {
        let words = || [Reply::bulk("message"), Reply::bulk(channel.clone()), Reply::bulk(message.clone())];
        for connection in self.connections.values_mut().filter(|connection| connection.channels.contains(channel)) {
            connection.send(&Reply::Push(words().into()));
        }
    }

    /// Connections that listen break: what is told until they are back is lost to them. Answers how many.
    pub fn cut_subscribers(&mut self) -> usize {
        let listens = |connection: &Connection| !connection.channels.is_empty();
        let listeners: Vec<ConnectionId> =
            self.connections.iter().filter(|(_, connection)| listens(connection)).map(|(id, _)| *id).collect();
        listeners.iter().for_each(|id| self.disconnect(*id));
        listeners.len()
    }

    pub(super) fn subscribe(&mut self, id: ConnectionId, channels: &[Bytes]) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        for channel in channels {
            connection.channels.insert(channel.clone());
            let count = Reply::count(connection.channels.len());
            connection.send(&Reply::Push(vec![Reply::bulk("subscribe"), Reply::bulk(channel.clone()), count]));
        }
        self.count_subscribers();
    }

    pub(super) fn unsubscribe(&mut self, id: ConnectionId, channels: &[Bytes]) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let named = if channels.is_empty() { connection.channels.iter().cloned().collect() } else { channels.to_vec() };
        if named.is_empty() {
            connection.send(&Reply::Push(vec![Reply::bulk("unsubscribe"), Reply::Nil, Reply::Integer(0)]));
        }
        for channel in named {
            connection.channels.remove(&channel);
            let count = Reply::count(connection.channels.len());
            connection.send(&Reply::Push(vec![Reply::bulk("unsubscribe"), Reply::Bulk(channel), count]));
        }
        self.count_subscribers();
    }

    pub(super) fn count_subscribers(&mut self) {
        self.context.subscribers.clear();
        for channel in self.connections.values().flat_map(|connection| &connection.channels) {
            *self.context.subscribers.entry(channel.clone()).or_default() += 1;
        }
    }
}
