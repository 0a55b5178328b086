//! The delay queue's scripts, reported to the oracle as they run.

use crate::hosts::redis::{Ran, Reply};
use doorbuster_core::ids::OrderId;
use doorbuster_core::oracle::probe::Probe;
use doorbuster_lua::dump::Dump;
use doorbuster_lua::script;
use std::collections::{BTreeMap, BTreeSet};

/// Claims that are running, as the answers of the server in charge say.
#[derive(Debug, Default)]
pub struct Claims(BTreeMap<OrderId, u64>);

impl Claims {
    /// What these runs of scripts did to the queue, in their order. `lives` is whether a task is claimed now.
    pub fn follow(&mut self, runs: &[Ran], lives: impl Fn(OrderId) -> bool) -> Vec<Probe> {
        let mut probes = Vec::new();
        for (index, ran) in runs.iter().enumerate() {
            let named = |script: &script::Script| *script.sha1 == ran.sha;
            if named(&script::DELAY_SCHEDULE) {
                probes.extend(scheduled(ran));
            } else if named(&script::DELAY_CLAIM) {
                probes.extend(self.claimed(ran));
            } else if named(&script::DELAY_COMPLETE) {
                probes.extend(self.completed(ran));
            } else if named(&script::DELAY_RECOVER) {
                probes.extend(self.recovered(ran, &runs[index + 1..], &lives));
            }
        }
        probes
    }

    /// The answer says how many. Those are claimed no more, or were claimed again before anybody looked.
    fn recovered(&mut self, ran: &Ran, later: &[Ran], lives: &impl Fn(OrderId) -> bool) -> Vec<Probe> {
        let count = bulk(&ran.reply).and_then(|bytes| number(bytes.get(8..)?)).unwrap_or(0);
        if count == 0 {
            return Vec::new();
        }
        let claimed = later.iter().filter(|ran| *script::DELAY_CLAIM.sha1 == ran.sha).flat_map(orders);
        let again: BTreeSet<OrderId> = claimed.collect();
        let ended: Vec<OrderId> =
            self.0.keys().copied().filter(|task| !lives(*task) || again.contains(task)).take(count as usize).collect();
        for task in &ended {
            self.0.remove(task);
        }
        ended.into_iter().map(|task| Probe::Recovered { task }).collect()
    }

    /// Another memory is in charge: claims that it does not know have ended, and those that it knows go on.
    pub fn replace<'a>(&mut self, dumps: impl IntoIterator<Item = &'a Dump>) -> Vec<Probe> {
        let mut probes: Vec<Probe> = self.0.keys().map(|task| Probe::Recovered { task: *task }).collect();
        let tasks = dumps.into_iter().flat_map(|dump| &dump.tasks);
        self.0 = tasks.filter_map(|(order, _, token)| Some((*order, token.as_ref()?.0))).collect();
        probes.extend(self.0.iter().map(|(task, token)| Probe::Claimed { task: *task, token: *token }));
        probes
    }

    fn claimed(&mut self, ran: &Ran) -> Vec<Probe> {
        let Some(token) = ran.arguments.get(1).and_then(|bytes| number(bytes)) else { return Vec::new() };
        let claimed = orders(ran);
        self.0.extend(claimed.iter().map(|task| (*task, token)));
        claimed.into_iter().map(|task| Probe::Claimed { task, token }).collect()
    }

    fn completed(&mut self, ran: &Ran) -> Vec<Probe> {
        let Reply::Bulk(answer) = &ran.reply else { return Vec::new() };
        let ended = ran.arguments.chunks_exact(3).zip(answer.iter().skip(8));
        let probes: Vec<Probe> = ended
            .filter_map(|(words, letter)| {
                let (task, token) = (order(&words[0])?, number(&words[1])?);
                Some(Probe::Completed { task, token, accepted: *letter == b'D' })
            })
            .collect();
        for probe in &probes {
            if let Probe::Completed { task, accepted: true, .. } = probe {
                self.0.remove(task);
            }
        }
        probes
    }
}

fn scheduled(ran: &Ran) -> Vec<Probe> {
    let Reply::Bulk(letters) = &ran.reply else { return Vec::new() };
    let ready = ran.arguments.chunks_exact(3).zip(letters).filter(|(_, letter)| **letter == b'R');
    ready.filter_map(|(words, _)| Some(Probe::TaskScheduled { task: order(&words[0])? })).collect()
}

/// What a claim was answered: the clock, and the tasks.
fn orders(ran: &Ran) -> Vec<OrderId> {
    let Reply::Array(items) = &ran.reply else { return Vec::new() };
    items.iter().skip(1).filter_map(bulk).filter_map(order).collect()
}

fn bulk(reply: &Reply) -> Option<&Vec<u8>> {
    match reply {
        Reply::Bulk(bytes) => Some(bytes),
        Reply::Status(_)
        | Reply::Error(_)
        | Reply::Integer(_)
        | Reply::Nil
        | Reply::NilArray
        | Reply::Array(_)
        | Reply::Map(_)
        | Reply::Pairs(_)
        | Reply::Double(_)
        | Reply::Text(_)
        | Reply::Push(_) => None,
    }
}

fn order(bytes: impl AsRef<[u8]>) -> Option<OrderId> {
    std::str::from_utf8(bytes.as_ref()).ok()?.parse().ok()
}

fn number(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.try_into().ok()?))
}
