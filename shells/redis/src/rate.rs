//! Limits of rates that all processes share.

use crate::cache::NO_SHARD;
use crate::script::Answered;
use crate::servers::{Purpose, Servers};
use crate::trouble::Trouble;
use doorbuster_core::admission::rate::{Rate, Verdict};
use doorbuster_core::outcome::Outcome;
use doorbuster_lua::call::Call;
use doorbuster_lua::reply::Reply;
use doorbuster_runtime::ports::Unavailable;
use std::sync::Arc;

/// Rates counted by the servers, whose clock is the same for all.
#[derive(Clone)]
pub struct SharedRates {
    servers: Arc<Servers>,
}

impl SharedRates {
    /// Over these servers.
    pub fn new(servers: Arc<Servers>) -> SharedRates {
        SharedRates { servers }
    }

    /// Counts one request of this name, or refuses it. `Unknown` may have been counted: the name then has one request
    /// less, which is the worst of it.
    pub async fn count(&self, name: &str, rate: Rate) -> Outcome<Verdict, Unavailable> {
        let call = Call::RateLimit(name.to_owned(), rate);
        match self.servers.run(&NO_SHARD, Purpose::Rate, &call, self.servers.answer()).await {
            Ok(Answered { value: Reply::Limited { verdict, .. }, .. }) => Outcome::Done(verdict),
            Ok(Answered { value, .. }) => unreachable!("a count is not answered with {value:?}"),
            Err(Trouble::Nothing(why)) => Outcome::Refused(Unavailable(why)),
            Err(Trouble::Fenced | Trouble::Unknown(_)) => Outcome::Unknown,
        }
    }
}
