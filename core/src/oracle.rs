//! The oracle: what must hold, judged from what clients saw and from what the stores hold at the end.
//!
//! It never reads a machine's own counters: the simulator, the tests on real servers, the load tool and production
//! all hand it the same inputs. A predicate whose input is missing says so; it is never green by silence.

pub mod audit;
pub mod cache_watch;
pub mod headline;
pub mod history;
pub mod judge;
pub mod live;
pub mod liveness;
pub mod probe;
pub mod safety;
pub mod verdict;
pub mod window_watch;
