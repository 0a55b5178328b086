//! The delay queue's scripts, reported to the oracle as they run.

use crate::hosts::redis::store::Write;
use crate::hosts::redis::{Ran, Reply};
use doorbuster_core::ids::OrderId;
use doorbuster_core::oracle::probe::Probe;
use doorbuster_lua::dump::Dump;
use doorbuster_lua::script;
use std::collections::BTreeMap;

/// Claims that are running, as the answers of the server in charge say, and what its recoveries wrote.
#[derive(Debug, Default)]
pub struct Claims(BTreeMap<OrderId, u64>);

impl Claims {
    /// What these runs of scripts did to the queue, in their order.
    pub fn follow(&mut self, runs: &[Ran]) -> Vec<Probe> {
        let mut probes = Vec::new();
        for ran in runs {
            let named = |script: &script::Script| *script.sha1 == ran.sha;
            if named(&script::DELAY_SCHEDULE) {
                probes.extend(scheduled(ran));
            } else if named(&script::DELAY_CLAIM) {
                probes.extend(self.claimed(ran));
            } else if named(&script::DELAY_COMPLETE) {
                probes.extend(self.completed(ran));
            } else if named(&script::DELAY_RECOVER) {
                probes.extend(self.recovered(ran));
            }
        }
        probes
    }

    /// The answer says how many, and not which: those that it took off the processing set.
    fn recovered(&mut self, ran: &Ran) -> Vec<Probe> {
        let [_, processing, ..] = ran.keys.as_slice() else { return Vec::new() };
        let removed = ran.writes.iter().filter_map(|write| {
            let Write::RemoveMember { key, member } = write else { return None };
            order(member).filter(|_| key == processing)
        });
        let ended: Vec<OrderId> = removed.collect();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hosts::redis::resp::encode_request;
    use crate::hosts::redis::{Identity, RedisHost, SyncPolicy};
    use doorbuster_core::delay::queue::{Completion, Task, Token};
    use doorbuster_core::ids::{ReservationId, SaleId, ShardId, Version};
    use doorbuster_core::time::{Mono, Now, Wall};
    use doorbuster_lua::call::Call;
    use doorbuster_lua::keys::ShardKeys;

    const LEASE_MS: u64 = 1_000;

    fn task(number: u8) -> OrderId {
        let shard = ShardId { sale: SaleId::parse("demo").expect("a short name"), k: 0 };
        OrderId { shard, reservation: ReservationId([number; 16]) }
    }

    fn server() -> RedisHost {
        let mut server = RedisHost::new(Identity::from_entropy([1; 3], [2; 3]), SyncPolicy::Always);
        server.take_ran();
        server
    }

    /// Runs a script as it is shipped.
    fn run(server: &mut RedisHost, at_ms: u64, call: &Call) {
        let invocation = call.invocation(&ShardKeys::tagged("demo:0"));
        let count = invocation.keys.len().to_string();
        let head = [&b"EVAL"[..], invocation.script.source.as_bytes(), count.as_bytes()];
        let keys = invocation.keys.iter().map(|key| key.as_bytes());
        let arguments = invocation.arguments.iter().map(Vec::as_slice);
        let words: Vec<&[u8]> = head.into_iter().chain(keys).chain(arguments).collect();
        let connection = server.connect();
        server.receive(connection, &encode_request(&words), Now { mono: Mono(at_ms * 1_000), wall: Wall(at_ms) });
        server.disconnect(connection);
    }

    fn claim(server: &mut RedisHost, at_ms: u64, token: u64) {
        run(server, at_ms, &Call::DelayClaim { limit: 1, token: Token(token), lease_ms: LEASE_MS });
    }

    fn complete(server: &mut RedisHost, at_ms: u64, order: OrderId, token: u64) {
        run(server, at_ms, &Call::DelayComplete(vec![Completion { order, token: Token(token), again_ms: None }]));
    }

    /// The first task's claim was not completed in time; the second task is claimed, and completed beside the recovery.
    fn recovered_and_completed(first: OrderId, second: OrderId) -> Vec<Probe> {
        let (mut server, mut claims) = (server(), Claims::default());
        let tasks = [(first, 10), (second, 20)].map(|(order, due)| Task { order, version: Version(1), due: Wall(due) });
        run(&mut server, 0, &Call::DelaySchedule(tasks.to_vec()));
        claim(&mut server, 100, 7);
        claim(&mut server, 900, 8);
        claims.follow(&server.take_ran());
        run(&mut server, 100 + LEASE_MS, &Call::DelayRecover(16));
        complete(&mut server, 100 + LEASE_MS, second, 8);
        claims.follow(&server.take_ran())
    }

    #[test]
    fn a_recovery_ends_the_claim_that_it_ended_and_no_other() {
        for (first, second) in [(task(1), task(2)), (task(2), task(1))] {
            let completed = Probe::Completed { task: second, token: 8, accepted: true };
            let expected = vec![Probe::Recovered { task: first }, completed];
            assert_eq!(recovered_and_completed(first, second), expected);
        }
    }

    #[test]
    fn a_task_that_is_claimed_again_beside_its_recovery_is_told_in_that_order() {
        let (mut server, mut claims) = (server(), Claims::default());
        run(&mut server, 0, &Call::DelaySchedule(vec![Task { order: task(1), version: Version(1), due: Wall(10) }]));
        claim(&mut server, 100, 7);
        run(&mut server, 100 + LEASE_MS, &Call::DelayRecover(16));
        claim(&mut server, 100 + LEASE_MS, 8);
        complete(&mut server, 100 + LEASE_MS, task(1), 7);
        let claimed = |token| Probe::Claimed { task: task(1), token };
        let expected = [
            Probe::TaskScheduled { task: task(1) },
            claimed(7),
            Probe::Recovered { task: task(1) },
            claimed(8),
            Probe::Completed { task: task(1), token: 7, accepted: false },
        ];
        assert_eq!(claims.follow(&server.take_ran()), expected);
    }
}
