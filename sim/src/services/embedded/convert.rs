//! Calls of the product's server, from the requests that every server is asked, and back.

use crate::services::embedded::{DurableReply, DurableRequest};
use crate::services::node::{Reply, Request};
use doorbuster_embedded::server::{Answer, Call};
use tokio::sync::oneshot;

/// What becomes of a call's answer: nothing when the call was dropped.
pub type Heard = Box<dyn FnOnce() -> Option<Reply>>;

/// The call of a request, and the way of its answer; nothing when it is none of this server's.
pub fn call(request: Request) -> Option<(Call, Heard)> {
    Some(match request {
        Request::Reserve { shard, fence, items, level: _ } => {
            asked(|answer| Call::Reserve(shard, fence, items, answer), Reply::Reserved)
        }
        Request::Settle { shard, changes } => asked(|answer| Call::Settle(shard, changes, answer), Reply::Settled),
        Request::Withdraw { shard, fence, sku, quantity } => {
            asked(|answer| Call::Withdraw(shard, fence, sku, quantity, answer), Reply::Withdrawn)
        }
        Request::SetState { shard, fence, paused } => {
            asked(|answer| Call::SetState(shard, fence, paused, answer), Reply::StateSet)
        }
        Request::Seal { shard, server, epoch } => {
            asked(|answer| Call::Seal(shard, server, epoch, answer), Reply::Sealed)
        }
        Request::Load { shard, fence, chunk } => asked(|answer| Call::Load(shard, fence, chunk, answer), Reply::Loaded),
        Request::Open { shard, fence, chunks, paused } => {
            asked(|answer| Call::Open(shard, fence, chunks, paused, answer), Reply::Opened)
        }
        Request::Inspect(shard) => asked(
            |answer| Call::Inspect(shard, answer),
            |view| Reply::View { server: view.server, meta: view.meta, counters: view.counters },
        ),
        Request::LookUp { shard, user, id } => asked(
            |answer| Call::LookUp(shard, user, id, answer),
            // What is told here was synced before.
            |seen| seen.map_or(Reply::Error, |record| Reply::Record { record, durable: true }),
        ),
        Request::Durable(DurableRequest::AppendSeal { shard, epoch }) => {
            asked(|answer| Call::AppendSeal(shard, epoch, answer), |()| Reply::Durable(DurableReply::Kept))
        }
        Request::Durable(_)
        | Request::ReadLog { .. }
        | Request::Ack { .. }
        | Request::Trim { .. }
        | Request::Schedule(_)
        | Request::Claim { .. }
        | Request::Recover(_)
        | Request::Complete(_)
        | Request::Cache(_) => return None,
    })
}

fn asked<T: 'static>(call: impl FnOnce(Answer<T>) -> Call, reply: impl FnOnce(T) -> Reply + 'static) -> (Call, Heard) {
    let (answer, mut answered) = oneshot::channel();
    (call(answer), Box::new(move || answered.try_recv().ok().map(reply)))
}
