use std::fmt::Write as _;

use doorbuster_core::time::Wall;

use super::{Group, Store, Stream, Value};

impl Store {
    /// Every live key, its value and its end, one fact a line in one fixed order: two data sets that a client cannot
    /// tell apart give the same text. Bytes outside of printable ASCII are escaped.
    ///
    /// Left out are times at which a consumer was last seen: the server refreshes them at reads that change nothing.
    pub fn dump(&self, at: Wall) -> String {
        let mut text = String::new();
        for (key, entry) in self.entries.iter().filter(|(_, entry)| !entry.is_due(at)) {
            let key = printable(key);
            if let Some(expires_at) = entry.expires_at {
                line(&mut text, &format!("{key} expires {}", expires_at.0));
            }
            match &entry.value {
                Value::String(value) => line(&mut text, &format!("{key} = {}", printable(value))),
                Value::Hash(fields) => {
                    for (field, value) in fields {
                        line(&mut text, &format!("{key} field {} = {}", printable(field), printable(value)));
                    }
                }
                Value::SortedSet(members) => {
                    for (member, score) in members.iter() {
                        line(&mut text, &format!("{key} member {} at {score}", printable(member)));
                    }
                }
                Value::Stream(stream) => dump_stream(&mut text, &key, stream),
            }
        }
        text
    }
}

fn dump_stream(text: &mut String, key: &str, stream: &Stream) {
    line(text, &format!("{key} stream last {} added {}", stream.last_id, stream.entries_added));
    for (id, fields) in &stream.entries {
        let fields: Vec<String> = fields.iter().map(|field| printable(field)).collect();
        line(text, &format!("{key} entry {id} {}", fields.join(" ")));
    }
    for (name, group) in &stream.groups {
        dump_group(text, &format!("{key} group {}", printable(name)), group);
    }
}

fn dump_group(text: &mut String, prefix: &str, group: &Group) {
    line(text, &format!("{prefix} last {}", group.last_delivered));
    for consumer in group.consumers.keys() {
        line(text, &format!("{prefix} consumer {}", printable(consumer)));
    }
    for (id, pending) in &group.pending {
        let consumer = printable(&pending.consumer);
        line(
            text,
            &format!("{prefix} pending {id} by {consumer} at {} times {}", pending.delivered_at.0, pending.deliveries),
        );
    }
}

fn line(text: &mut String, fact: &str) {
    text.push_str(fact);
    text.push('\n');
}

fn printable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b'\\' => text.push_str("\\\\"),
            b' ' => text.push_str("\\s"),
            0x21..=0x7e => text.push(char::from(*byte)),
            0..=0x20 | 0x7f..=0xff => write!(text, "\\x{byte:02x}").expect("a string takes every byte"),
        }
    }
    text
}
