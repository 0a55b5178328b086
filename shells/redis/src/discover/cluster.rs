//! The masters of a cluster, by slots.

use super::{Discover, Guides, first_of_next, slot_of};
use crate::dial::Address;
use async_trait::async_trait;
use doorbuster_lua::value::Value;
use std::sync::RwLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The slots of a cluster as its nodes tell them.
pub struct Cluster {
    guides: Guides,
    seeds: Vec<Address>,
    ranges: RwLock<Vec<Range>>,
    /// The candidate that is asked first.
    first: AtomicUsize,
}

/// Slots of one master, both ends included.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Range {
    first: u16,
    last: u16,
    master: Address,
}

impl Cluster {
    pub(crate) fn new(guides: Guides, seeds: Vec<Address>) -> Cluster {
        Cluster { guides, seeds, ranges: RwLock::default(), first: AtomicUsize::new(0) }
    }

    /// The seeds first, then everybody who was ever named a master: the seeds may be gone.
    fn candidates(&self) -> Vec<Address> {
        let ranges = self.ranges.read().expect("no holder of this lock panics");
        let mut candidates = self.seeds.clone();
        for range in ranges.iter() {
            if !candidates.contains(&range.master) {
                candidates.push(range.master.clone());
            }
        }
        candidates
    }
}

#[async_trait]
impl Discover for Cluster {
    fn known(&self, key: &str) -> Option<Address> {
        let slot = slot_of(key);
        let ranges = self.ranges.read().expect("no holder of this lock panics");
        let range = ranges.iter().find(|range| (range.first..=range.last).contains(&slot))?;
        Some(range.master.clone())
    }

    async fn refresh(&self) -> Result<(), String> {
        let mut errors = Vec::new();
        let (candidates, first) = (self.candidates(), self.first.load(Ordering::Relaxed));
        for turn in (first..first + candidates.len()).map(|turn| turn % candidates.len()) {
            // Should this be dropped while it waits for a silent one, the next refresh begins behind that.
            self.first.store(turn + 1, Ordering::Relaxed);
            let node = &candidates[turn];
            let told = self.guides.ask(node, &["CLUSTER", "SLOTS"]).await;
            match told.and_then(|reply| read_ranges(&reply, node)) {
                Ok(told) => {
                    let mut ranges = self.ranges.write().expect("no holder of this lock panics");
                    self.first.store(first_of_next(turn, *ranges == told), Ordering::Relaxed);
                    *ranges = told;
                    return Ok(());
                }
                Err(error) => errors.push(error),
            }
        }
        Err(format!("no node tells the slots: {}", errors.join("; ")))
    }
}

/// CLUSTER SLOTS: per range its ends, its master, its replicas. A node that does not know its own host leaves it empty.
fn read_ranges(reply: &Value, asked: &Address) -> Result<Vec<Range>, String> {
    let read = |range: &Value| -> Option<Range> {
        let [Value::Integer(first), Value::Integer(last), master, ..] = range.array().ok()? else { return None };
        let [host, Value::Integer(port), ..] = master.array().ok()? else { return None };
        let host = host.text().ok().filter(|host| !host.is_empty()).unwrap_or(asked.host());
        let master = Address::parse(&format!("{host}:{port}"))?;
        Some(Range { first: u16::try_from(*first).ok()?, last: u16::try_from(*last).ok()?, master })
    };
    let ranges = reply.array().map_err(|error| format!("{asked}: {error}"))?;
    ranges.iter().map(read).collect::<Option<_>>().ok_or_else(|| format!("{asked}: slots that cannot be read"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_name_their_masters() {
        let word = |text: &str| Value::Bytes(text.as_bytes().to_vec());
        let node = |host: &str, port| Value::Array(vec![word(host), Value::Integer(port), word("id")]);
        let range = |first, last, node| Value::Array(vec![Value::Integer(first), Value::Integer(last), node]);
        let reply = Value::Array(vec![range(0, 8191, node("a", 1)), range(8192, 16383, node("", 2))]);
        let asked = Address::parse("asked:9").unwrap();
        let ranges = read_ranges(&reply, &asked).unwrap();
        assert_eq!(ranges[0].master.as_str(), "a:1");
        assert_eq!((ranges[1].first, ranges[1].master.as_str()), (8192, "asked:2"));
        assert!(
            read_ranges(&Value::Error("ERR This instance has cluster support disabled".to_owned()), &asked).is_err()
        );
    }
}
