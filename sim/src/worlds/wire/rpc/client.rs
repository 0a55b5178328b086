//! The client of one service.

use super::link::{Link, Queued};
use super::mount::Endpoint;
use super::pending::{Overdue, Pending};
use super::service::Service;
use super::{Away, FLIGHTS_MAX};
use doorbuster_core::outcome::Outcome;
use doorbuster_core::rng::Rng;
use doorbuster_redis::dial::Dial;
use doorbuster_runtime::drive::spawn;
use doorbuster_runtime::env::SharedEnv;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// How long a caller waits for a service before it knows nothing: below every machine's own patience.
pub const PATIENCE: Duration = Duration::from_secs(4);

/// Asks one service, over one connection at a time. Cheap to clone; it lives as long as its process.
pub struct Client<S: Service> {
    pending: Arc<Pending<S::Reply>>,
    queue: mpsc::Sender<Queued<S>>,
    /// The last connection that somebody took for dead.
    stalled: Arc<watch::Sender<u64>>,
}

impl<S: Service> Clone for Client<S> {
    fn clone(&self) -> Client<S> {
        Client { pending: self.pending.clone(), queue: self.queue.clone(), stalled: self.stalled.clone() }
    }
}

impl<S: Service> Client<S> {
    /// A client of the calling process; it dials when it is first asked.
    pub fn new(endpoint: Endpoint<S>, dial: Arc<dyn Dial>, env: &SharedEnv) -> Client<S> {
        let pending = Arc::new(Pending::new());
        let (queue, queued) = mpsc::channel(FLIGHTS_MAX);
        let (stalled, stalls) = watch::channel(0);
        let link = Link { endpoint, dial, pending: pending.clone(), rng: Rng::seeded(env.entropy()), stalls };
        spawn(link.run(queued));
        Client { pending, queue, stalled: Arc::new(stalled) }
    }

    /// Asks, and waits at most [`PATIENCE`].
    pub async fn ask(&self, request: S::Request) -> Outcome<S::Reply, Away> {
        self.ask_within(request, PATIENCE).await
    }

    /// Asks, and waits so long. `Refused`: the request never left. `Unknown`: it may be applied, now or at any later time.
    pub async fn ask_within(&self, request: S::Request, patience: Duration) -> Outcome<S::Reply, Away> {
        let Some((number, answered)) = self.pending.enter() else { return Outcome::Refused(Away) };
        let caller = Caller { pending: &self.pending, number };
        if self.queue.try_send(Queued { number, request }).is_err() {
            return Outcome::Refused(Away);
        }
        match tokio::time::timeout(patience, answered).await {
            Ok(Ok(Outcome::Done(reply))) if S::is_unknown(&reply) => Outcome::Unknown,
            Ok(Ok(outcome)) => outcome,
            // Its sender goes only with an answer, or with the whole client.
            Ok(Err(_)) => Outcome::Unknown,
            Err(_) => match caller.pending.leave(number) {
                Some(Overdue::NotSent) => Outcome::Refused(Away),
                Some(Overdue::Stalled(connection)) => {
                    self.stalled.send_modify(|known| *known = connection.max(*known));
                    Outcome::Unknown
                }
                Some(Overdue::Sent) | None => Outcome::Unknown,
            },
        }
    }
}

/// Takes the call off the table when its caller goes, whichever way that is.
struct Caller<'a, R> {
    pending: &'a Pending<R>,
    number: u64,
}

impl<R> Drop for Caller<'_, R> {
    fn drop(&mut self) {
        self.pending.leave(self.number);
    }
}
