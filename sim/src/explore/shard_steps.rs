//! What callers do to servers, and what befalls servers.

use super::model::{Model, NOW};
use super::state::{A, B, Promise, Sent, Server, State};
use super::violation::Violation;
use doorbuster_core::database::event::Event;
use doorbuster_core::ids::ServerId;
use doorbuster_core::ledger::page::RecordState;
use doorbuster_core::ledger::reserve::{ItemReply, ReserveItem};
use doorbuster_core::ledger::settle::Settlement;
use doorbuster_core::ledger::shard::{Shard, ShardState};

impl Model {
    pub(super) fn click(
        &self,
        state: &mut State,
        wishes: &[usize],
        fence: usize,
        server: usize,
    ) -> Result<(), Violation> {
        let fence = state.fences[fence];
        let items: Vec<ReserveItem> = wishes.iter().map(|wish| self.cast.clicks[*wish].item.clone()).collect();
        let mut called = state.servers[server].shard.clone();
        let Ok(reply) = called.reserve(fence, NOW, &items) else { return Ok(()) };
        let Some(entry) = reply.entry else { return Ok(()) };
        state.servers[server].change(|server| {
            server.shard = called;
            server.log.push(entry);
        });
        for (item, reply) in wishes.iter().zip(reply.replies) {
            let ItemReply::Accepted(acceptance) = reply else { continue };
            state.light.touched |= 1 << (*item % 32);
            state.light.budgets.accepts = state.light.budgets.accepts.saturating_sub(1);
            let id = self.cast.clicks[*item].item.id;
            let promise = Promise { id, epoch: acceptance.epoch, seq: acceptance.seq, acked: false };
            state.promises.change(|promises| promises.push(promise));
        }
        // A stale server's acceptance is lost the moment it is made: its epoch has ended.
        self.settle_promises(state)
    }

    pub(super) fn withdraw(&self, state: &mut State, fence: usize, server: usize, sku: usize) -> Result<(), Violation> {
        let (fence, sku) = (state.fences[fence], self.cast.skus[sku]);
        let mut called = state.servers[server].shard.clone();
        if let Ok(Some(entry)) = called.withdraw(fence, sku, 1) {
            state.light.budgets.withdrawals = state.light.budgets.withdrawals.saturating_sub(1);
            state.servers[server].change(|server| {
                server.shard = called;
                server.log.push(entry);
            });
        }
        Ok(())
    }

    pub(super) fn set_state(
        &self,
        state: &mut State,
        fence: usize,
        server: usize,
        paused: bool,
    ) -> Result<(), Violation> {
        let fence = state.fences[fence];
        let mut called = state.servers[server].shard.clone();
        if called.set_state(fence, paused).is_ok() {
            state.servers[server].change(|server| server.shard = called);
        }
        Ok(())
    }

    /// The settler tries one server. `Retry` changes nothing, so it is no new state.
    pub(super) fn deliver(&self, state: &mut State, event: usize, server: usize) -> Result<(), Violation> {
        let sent = state.down[event].clone();
        let mut called = state.servers[server].shard.clone();
        let settlement = match &sent.event {
            Event::Settled { epoch, user, id, .. } => {
                if self.plants.double_give_back {
                    give_back_again(&mut called, *epoch, user, *id);
                }
                called.settle(*epoch, user, *id)
            }
            Event::Granted { epoch, sku, quantity, grant_seq, .. } => called.grant(*epoch, *sku, *quantity, *grant_seq),
            _ => return Ok(()),
        };
        if settlement == Settlement::Retry && !self.plants.retry_is_done {
            return Ok(());
        }
        if called != state.servers[server].shard {
            state.servers[server].change(|server| server.shard = called);
        }
        if sent.delivered {
            state.light.budgets.duplicates = state.light.budgets.duplicates.saturating_sub(1);
        }
        let again = !sent.delivered && state.light.budgets.duplicates > 0;
        state.down.change(|down| {
            down.remove(event);
            if again {
                down.push(Sent { delivered: true, ..sent });
                down.sort_by_cached_key(super::fingerprint::of);
            }
        });
        Ok(())
    }

    pub(super) fn replicate(&self, state: &mut State) -> Result<(), Violation> {
        state.light.budgets.failovers = state.light.budgets.failovers.saturating_sub(1);
        let mut copy = (*state.servers[A]).clone();
        copy.serves = false;
        copy.shard.server = ServerId(0);
        state.servers[B].change(|server| *server = copy);
        Ok(())
    }

    pub(super) fn promote(&self, state: &mut State) -> Result<(), Violation> {
        let identity = match self.plants.promoted_keeps_identity {
            true => state.servers[A].shard.server,
            false => fresh_server(state),
        };
        state.servers[B].change(|server| {
            server.serves = true;
            server.shard.server = identity;
        });
        state.light.primary = B;
        Ok(())
    }

    pub(super) fn lose(&self, state: &mut State) -> Result<(), Violation> {
        state.light.budgets.losses = state.light.budgets.losses.saturating_sub(1);
        let identity = fresh_server(state);
        let primary = state.light.primary;
        state.servers[primary].change(|server| {
            *server = Server { shard: Shard::empty(identity), log: Vec::new(), serves: true, complete: false };
        });
        Ok(())
    }
}

fn fresh_server(state: &mut State) -> ServerId {
    let identity = ServerId(state.light.server_next);
    state.light.server_next += 1;
    identity
}

/// The planted bug: units of a record that has ended are given back once more, the way a grant would add them.
fn give_back_again(
    shard: &mut Shard,
    epoch: doorbuster_core::ids::Epoch,
    user: &doorbuster_core::ids::UserId,
    id: doorbuster_core::ids::ReservationId,
) {
    let Some(record) = shard.look_up(user, id).filter(|record| record.state == RecordState::Ended).cloned() else {
        return;
    };
    if shard.meta().is_none_or(|meta| meta.state == ShardState::Loading) {
        return;
    }
    for line in record.basket.lines() {
        let known = shard.counters().find(|(sku, _)| *sku == line.sku);
        let last = known.map_or(0, |(_, counter)| counter.grant_seq);
        shard.grant(epoch, line.sku, u64::from(line.quantity), last + 1);
    }
}
