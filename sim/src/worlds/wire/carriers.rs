//! What carries the connections of one process: when it dies they close all at once, in the order in which they were made.
//!
//! Whoever drops a dead process's tasks drops their connections with them, and tokio drops tasks in an order that depends
//! on the numbers of tasks. These are counted for all runs of one program, so that without this a death would go another
//! way in a run that came after another one.

use std::collections::BTreeMap;
use std::mem;
use std::sync::{Arc, Mutex};
use turmoil::net::TcpStream;

/// A connection's carrier; nothing once it has broken.
pub type Carrier = Arc<Mutex<Option<TcpStream>>>;

/// See the module.
#[derive(Default)]
pub struct Carriers(Mutex<State>);

#[derive(Default)]
struct State {
    numbers: u64,
    open: BTreeMap<u64, Carrier>,
    is_dying: bool,
}

impl Carriers {
    /// A connection is made: its number, and its carrier.
    pub fn open(&self, stream: TcpStream) -> (u64, Carrier) {
        let carrier = Arc::new(Mutex::new(Some(stream)));
        let mut state = self.0.lock().expect("no holder of this lock panics");
        state.numbers += 1;
        let number = state.numbers;
        state.open.insert(number, carrier.clone());
        (number, carrier)
    }

    /// The process dies from here on, or is dead.
    pub fn dies(&self, is_dying: bool) {
        self.0.lock().expect("no holder of this lock panics").is_dying = is_dying;
    }

    /// A connection is dropped; the first one of a dying process takes the others with it.
    pub fn close(&self, number: u64) {
        let closed = {
            let mut state = self.0.lock().expect("no holder of this lock panics");
            match state.is_dying {
                true => mem::take(&mut state.open),
                false => state.open.remove(&number).map(|carrier| (number, carrier)).into_iter().collect(),
            }
        };
        closed.into_values().for_each(|carrier| drop(carrier.lock().expect("no holder of this lock panics").take()));
    }
}
