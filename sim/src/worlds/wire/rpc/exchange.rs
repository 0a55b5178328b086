//! Values whose frames are under way.

use std::collections::BTreeMap;
use std::sync::Mutex;

/// Keeps values by number until their frames arrive. A lost frame's value stays until the run ends: there are at most as
/// many as a run has calls.
#[derive(Debug)]
pub struct Exchange<T>(Mutex<Kept<T>>);

#[derive(Debug)]
struct Kept<T> {
    numbers: u64,
    values: BTreeMap<u64, T>,
}

impl<T> Default for Exchange<T> {
    fn default() -> Exchange<T> {
        Exchange(Mutex::new(Kept { numbers: 0, values: BTreeMap::new() }))
    }
}

impl<T> Exchange<T> {
    /// Keeps a value; its frame carries the number.
    pub fn put(&self, value: T) -> u64 {
        let mut kept = self.0.lock().expect("no holder of this lock panics");
        kept.numbers += 1;
        let number = kept.numbers;
        kept.values.insert(number, value);
        number
    }

    /// The value of a frame that has arrived; `None` when the number is nobody's.
    pub fn take(&self, number: u64) -> Option<T> {
        self.0.lock().expect("no holder of this lock panics").values.remove(&number)
    }
}
