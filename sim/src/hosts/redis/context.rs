use std::collections::BTreeMap;

use doorbuster_core::time::{Now, Wall};

use super::Bytes;
use super::facts::Facts;
use super::reply::{Reply, texts};
use super::store::{SortedSet, Store, Stream, Value, Write};

/// What one command works on: the data set, the server's facts, and what the command leaves for the host to pass on.
///
/// It is a value and not a borrow, because a script's calls reach it through the interpreter, which keeps only values.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// The data set.
    pub store: Store,
    /// What the server is and says of itself.
    pub facts: Facts,
    /// The time of the command; a script has one time from its first call to its last, as on the server.
    pub now: Now,
    /// What the command has changed so far, in order.
    pub writes: Vec<Write>,
    /// The streams that got an entry or went away: their blocked readers are looked at behind the command.
    pub touched: Vec<Bytes>,
    /// How many connections listen to each channel, for the answer to a publisher.
    pub subscribers: BTreeMap<Bytes, usize>,
    /// Messages for subscribers: channel and text.
    pub published: Vec<(Bytes, Bytes)>,
}

impl Context {
    /// Milliseconds of the server's clock.
    pub fn wall(&self) -> Wall {
        self.now.wall
    }

    /// Changes the data set and keeps the change for the log.
    pub fn write(&mut self, write: Write) {
        match &write {
            Write::Append { key, .. } | Write::Delete { key } | Write::SetString { key, .. } => self.touch(key),
            Write::Flush => {
                for key in self.store.keys().cloned().collect::<Vec<_>>() {
                    self.touch(&key);
                }
            }
            Write::SetField { .. }
            | Write::RemoveField { .. }
            | Write::SetScore { .. }
            | Write::RemoveMember { .. }
            | Write::TrimBelow { .. }
            | Write::CreateGroup { .. }
            | Write::SeeConsumer { .. }
            | Write::AdvanceGroup { .. }
            | Write::Deliver { .. }
            | Write::Acknowledge { .. }
            | Write::Expire { .. } => {}
        }
        self.store.apply(&write);
        self.writes.push(write);
    }

    fn touch(&mut self, key: &Bytes) {
        if !self.touched.contains(key) {
            self.touched.push(key.clone());
        }
    }

    /// Removes `key` if its time has come, so that a command that writes meets a missing key and not an old one.
    ///
    /// A replica leaves that to its primary, as the server does: it only hides the key.
    pub fn expire_if_due(&mut self, key: &[u8]) {
        let due = self.store.entry(key).is_some_and(|entry| entry.is_due(self.now.wall));
        if due && !self.facts.is_replica() {
            self.write(Write::Delete { key: key.to_vec() });
        }
    }

    /// The value of `key`, if it lives.
    pub fn value(&self, key: &[u8]) -> Option<&Value> {
        self.store.value(key, self.now.wall)
    }

    /// The string at `key`.
    ///
    /// # Errors
    /// Another type is there.
    pub fn string(&self, key: &[u8]) -> Result<Option<&Bytes>, Reply> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::String(value)) => Ok(Some(value)),
            Some(Value::Hash(_) | Value::SortedSet(_) | Value::Stream(_)) => Err(Reply::error(texts::WRONG_TYPE)),
        }
    }

    /// The hash at `key`.
    ///
    /// # Errors
    /// Another type is there.
    pub fn hash(&self, key: &[u8]) -> Result<Option<&BTreeMap<Bytes, Bytes>>, Reply> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::Hash(fields)) => Ok(Some(fields)),
            Some(Value::String(_) | Value::SortedSet(_) | Value::Stream(_)) => Err(Reply::error(texts::WRONG_TYPE)),
        }
    }

    /// The sorted set at `key`.
    ///
    /// # Errors
    /// Another type is there.
    pub fn sorted_set(&self, key: &[u8]) -> Result<Option<&SortedSet>, Reply> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::SortedSet(members)) => Ok(Some(members)),
            Some(Value::String(_) | Value::Hash(_) | Value::Stream(_)) => Err(Reply::error(texts::WRONG_TYPE)),
        }
    }

    /// The stream at `key`.
    ///
    /// # Errors
    /// Another type is there.
    pub fn stream(&self, key: &[u8]) -> Result<Option<&Stream>, Reply> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::Stream(stream)) => Ok(Some(stream)),
            Some(Value::String(_) | Value::Hash(_) | Value::SortedSet(_)) => Err(Reply::error(texts::WRONG_TYPE)),
        }
    }
}
