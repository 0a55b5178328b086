//! The data set: keys, their values, and when they go.

mod dump;
mod sorted_set;
mod stream;
mod write;

use std::collections::BTreeMap;

use doorbuster_core::time::Wall;

use super::Bytes;
pub use sorted_set::{Score, ScoreBound, SortedSet};
pub use stream::{Group, Pending, Stream, StreamId};
pub use write::Write;

/// What a key holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A string of bytes.
    String(Bytes),
    /// Fields; never empty.
    Hash(BTreeMap<Bytes, Bytes>),
    /// Members by score; never empty.
    SortedSet(SortedSet),
    /// Entries and groups of readers; may be empty.
    Stream(Stream),
}

/// A value and its end.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// What the key holds.
    pub value: Value,
    /// The first millisecond at which the key is gone.
    pub expires_at: Option<Wall>,
}

/// Every key. Changed by [`Store::apply`] alone, so that the log and the replicas miss nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Store {
    entries: BTreeMap<Bytes, Entry>,
}

impl Store {
    /// The entry of `key`, whether its time has come or not.
    pub fn entry(&self, key: &[u8]) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// The value of `key` unless its time has come.
    pub fn value(&self, key: &[u8], at: Wall) -> Option<&Value> {
        self.entries.get(key).filter(|entry| !entry.is_due(at)).map(|entry| &entry.value)
    }

    /// The keys whose time has come.
    pub fn due(&self, at: Wall) -> Vec<Bytes> {
        self.entries.iter().filter(|(_, entry)| entry.is_due(at)).map(|(key, _)| key.clone()).collect()
    }

    /// The keys, those whose time has come included.
    pub fn keys(&self) -> impl Iterator<Item = &Bytes> {
        self.entries.keys()
    }

    /// How many keys there are, those whose time has come included.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no key at all.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Performs one change.
    ///
    /// # Panics
    /// When the change does not fit the value: the command that made it has checked the type.
    pub fn apply(&mut self, write: &Write) {
        match write {
            Write::SetString { key, value, expires_at } => {
                let entry = Entry { value: Value::String(value.clone()), expires_at: *expires_at };
                self.entries.insert(key.clone(), entry);
            }
            Write::SetField { key, field, value } => {
                self.hash(key).insert(field.clone(), value.clone());
            }
            Write::RemoveField { key, field } => {
                self.hash(key).remove(field);
                self.drop_empty(key);
            }
            Write::SetScore { key, member, score } => self.sorted_set(key).insert(member.clone(), *score),
            Write::RemoveMember { key, member } => {
                self.sorted_set(key).remove(member);
                self.drop_empty(key);
            }
            Write::Delete { key } => {
                self.entries.remove(key);
            }
            Write::Expire { key, at } => {
                if let Some(entry) = self.entries.get_mut(key) {
                    entry.expires_at = Some(*at);
                }
            }
            Write::Flush => self.entries.clear(),
            Write::Append { .. }
            | Write::TrimBelow { .. }
            | Write::CreateGroup { .. }
            | Write::SeeConsumer { .. }
            | Write::AdvanceGroup { .. }
            | Write::Deliver { .. }
            | Write::Acknowledge { .. } => self.apply_to_stream(write),
        }
    }

    fn apply_to_stream(&mut self, write: &Write) {
        match write {
            Write::Append { key, id, fields } => self.stream(key).append(*id, fields.clone()),
            Write::TrimBelow { key, id } => {
                let stream = self.stream(key);
                stream.entries = stream.entries.split_off(id);
            }
            Write::CreateGroup { key, group, last_delivered } => {
                let new = Group { last_delivered: *last_delivered, ..Group::default() };
                self.stream(key).groups.insert(group.clone(), new);
            }
            Write::SeeConsumer { key, group, consumer, at } => {
                self.group(key, group).consumers.insert(consumer.clone(), *at);
            }
            Write::AdvanceGroup { key, group, last_delivered, entries_read } => {
                let group = self.group(key, group);
                group.last_delivered = *last_delivered;
                group.entries_read = *entries_read;
            }
            Write::Deliver { key, group, consumer, id, delivered_at, deliveries } => {
                let pending =
                    Pending { consumer: consumer.clone(), delivered_at: *delivered_at, deliveries: *deliveries };
                self.group(key, group).pending.insert(*id, pending);
            }
            Write::Acknowledge { key, group, id } => {
                self.group(key, group).pending.remove(id);
            }
            Write::SetString { .. }
            | Write::SetField { .. }
            | Write::RemoveField { .. }
            | Write::SetScore { .. }
            | Write::RemoveMember { .. }
            | Write::Delete { .. }
            | Write::Expire { .. }
            | Write::Flush => unreachable!("not a change of a stream"),
        }
    }

    fn slot(&mut self, key: &Bytes, empty: fn() -> Value) -> &mut Value {
        // Two look-ups, because a key that exists is the common case and needs no copy of its name.
        if !self.entries.contains_key(key) {
            self.entries.insert(key.clone(), Entry { value: empty(), expires_at: None });
        }
        &mut self.entries.get_mut(key).expect("it was put there").value
    }

    fn hash(&mut self, key: &Bytes) -> &mut BTreeMap<Bytes, Bytes> {
        match self.slot(key, || Value::Hash(BTreeMap::new())) {
            Value::Hash(fields) => fields,
            Value::String(_) | Value::SortedSet(_) | Value::Stream(_) => panic!("a change of a hash met another type"),
        }
    }

    fn sorted_set(&mut self, key: &Bytes) -> &mut SortedSet {
        match self.slot(key, || Value::SortedSet(SortedSet::default())) {
            Value::SortedSet(members) => members,
            Value::String(_) | Value::Hash(_) | Value::Stream(_) => {
                panic!("a change of a sorted set met another type")
            }
        }
    }

    fn stream(&mut self, key: &Bytes) -> &mut Stream {
        match self.slot(key, || Value::Stream(Stream::default())) {
            Value::Stream(stream) => stream,
            Value::String(_) | Value::Hash(_) | Value::SortedSet(_) => panic!("a change of a stream met another type"),
        }
    }

    fn group(&mut self, key: &Bytes, group: &Bytes) -> &mut Group {
        self.stream(key).groups.get_mut(group).expect("the command has seen the group")
    }

    fn drop_empty(&mut self, key: &Bytes) {
        let empty = match self.entries.get(key).map(|entry| &entry.value) {
            Some(Value::Hash(fields)) => fields.is_empty(),
            Some(Value::SortedSet(members)) => members.is_empty(),
            Some(Value::String(_) | Value::Stream(_)) | None => false,
        };
        if empty {
            self.entries.remove(key);
        }
    }
}

impl Entry {
    /// Whether the key's time has come.
    pub fn is_due(&self, at: Wall) -> bool {
        self.expires_at.is_some_and(|expires_at| expires_at <= at)
    }
}

impl Stream {
    fn append(&mut self, id: StreamId, fields: Vec<Bytes>) {
        assert!(id > self.last_id || (self.entries_added == 0 && id > StreamId::MIN), "ids of a stream only grow");
        self.entries.insert(id, fields);
        self.last_id = id;
        self.entries_added += 1;
    }
}
