//! Those who wait for a server: readers of its logs, and buyers whose acceptance is not durable yet.

use super::{Node, Reply, Request};
use crate::services::{ServiceEffect, WAIT_MS};
use doorbuster_core::ids::{Epoch, Seq, ShardId};
use doorbuster_core::ledger::reserve::ItemReply;
use doorbuster_core::limits::LANE_ANSWER_MS;
use doorbuster_core::time::{Mono, Now};

/// A batch that is answered when the durable log has it.
#[derive(Clone, Debug)]
pub struct AckWait {
    shard: ShardId,
    epoch: Epoch,
    seq: Seq,
    reply: Reply,
    pub until: Mono,
}

/// A read of a log that found nothing yet.
#[derive(Clone, Debug)]
pub struct LogWait {
    request: Request,
    pub until: Mono,
}

type Effects = Vec<ServiceEffect<Reply>>;

impl Node {
    pub(super) fn read_log(&mut self, now: Now, call: u64, request: Request, out: &mut Effects) {
        let wait = LogWait { request, until: now.mono.after_ms(WAIT_MS) };
        match self.page(&wait, false) {
            Some(reply) => out.push(ServiceEffect::Answered { call, reply }),
            None => drop(self.log_waits.insert(call, wait)),
        }
    }

    fn page(&mut self, wait: &LogWait, overdue: bool) -> Option<Reply> {
        let Request::ReadLog { shard, fence, after, limit } = &wait.request else { return Some(Reply::Error) };
        let page = self.store.read_log(*shard, *fence, *after, *limit);
        // A sealed memory writes nothing more: there is nothing to wait for.
        let news = page.as_ref().is_ok_and(|page| page.entries.is_empty() && !page.sealed);
        (overdue || !news).then_some(Reply::Page(page))
    }

    /// Answers now what is durable already; the rest waits for its mark.
    pub(super) fn hold_until_durable(&mut self, now: Now, call: u64, shard: ShardId, reply: Reply, out: &mut Effects) {
        let replies = if let Reply::Reserved(Ok(replies)) = &reply { replies.as_slice() } else { &[] };
        let last = replies.iter().filter_map(place).max();
        match last.filter(|(epoch, seq)| !self.store.is_durable(shard, *epoch, *seq)) {
            Some((epoch, seq)) => {
                let until = now.mono.after_ms(LANE_ANSWER_MS);
                self.ack_waits.insert(call, AckWait { shard, epoch, seq, reply, until });
            }
            None => out.push(ServiceEffect::Answered { call, reply }),
        }
    }

    pub(super) fn answer_waits(&mut self, now: Now, out: &mut Effects) {
        let acks: Vec<u64> = self.ack_waits.keys().copied().collect();
        for call in acks {
            let wait = &self.ack_waits[&call];
            // A later epoch's memory says nothing of who waits since an earlier one.
            let durable = self.store.is_marked(wait.shard, wait.epoch, wait.seq);
            if durable || wait.until <= now.mono {
                let wait = self.ack_waits.remove(&call).expect("it was just read");
                let reply = if durable { wait.reply } else { Reply::Unknown };
                out.push(ServiceEffect::Answered { call, reply });
            }
        }
        let logs: Vec<u64> = self.log_waits.keys().copied().collect();
        for call in logs {
            let wait = self.log_waits[&call].clone();
            if let Some(reply) = self.page(&wait, wait.until <= now.mono) {
                self.log_waits.remove(&call);
                out.push(ServiceEffect::Answered { call, reply });
            }
        }
    }
}

fn place(reply: &ItemReply) -> Option<(Epoch, Seq)> {
    match reply {
        ItemReply::Accepted(at) | ItemReply::Replayed(at) => Some((at.epoch, at.seq)),
        ItemReply::Refused(_) => None,
    }
}
