//! Which actions are worth trying in a state. One that the product refuses is harmless here: it makes no new state.

use super::action::Action;
use super::model::Model;
use super::state::{A, B, Keeper, State};
use doorbuster_core::database::event::Event;
use doorbuster_core::database::rows::{PaymentStatus, Phase, SaleState};
use doorbuster_core::order::status::{Restock, Status};

impl Model {
    /// All actions that may change this state, in a fixed order.
    pub fn enabled(&self, state: &State) -> Vec<Action> {
        let mut actions = Vec::with_capacity(32);
        self.calls(state, &mut actions);
        self.buyers(state, &mut actions);
        self.operator(state, &mut actions);
        self.logs(state, &mut actions);
        self.settler(state, &mut actions);
        self.nemesis(state, &mut actions);
        self.ladders(state, &mut actions);
        actions
    }

    /// Calls of lanes and others that hold a fence, each to each server: most are fenced.
    fn calls(&self, state: &State, actions: &mut Vec<Action>) {
        let budgets = &state.light.budgets;
        let sale = state.rows.sales.get(&self.cast.sale).expect("the sale was created");
        let pauses = self.scope.budgets.stops > 0 || sale.state == SaleState::Closed;
        let servers = (0..state.servers.len()).filter(|server| state.servers[*server].serves);
        for server in servers {
            for fence in 0..state.fences.len() {
                if budgets.accepts > 0 {
                    let wishes = (0..self.scope.wishes.len()).filter(|wish| self.may_touch(state, *wish));
                    actions.extend(wishes.map(|wish| Action::Click { wish, fence, server }));
                    if self.scope.batches && state.light.touched == 0 {
                        actions.push(Action::ClickAll { fence, server });
                    }
                }
                if budgets.withdrawals > 0 {
                    let skus = 0..self.cast.skus.len();
                    actions.extend(skus.map(|sku| Action::Withdraw { fence, server, sku }));
                }
                if pauses {
                    let both = [true, false].into_iter();
                    actions.extend(both.map(|paused| Action::SetState { fence, server, paused }));
                }
            }
        }
    }

    /// Of wishes that differ only in name, the first untouched one stands for all untouched ones.
    fn may_touch(&self, state: &State, wish: usize) -> bool {
        let touched = |wish: usize| state.light.touched & (1 << wish) != 0;
        !self.scope.alike || touched(wish) || (0..wish).all(touched)
    }

    fn buyers(&self, state: &State, actions: &mut Vec<Action>) {
        let budgets = &state.light.budgets;
        for wish in 0..self.scope.wishes.len() {
            if budgets.abandons > 0 && self.may_touch(state, wish) {
                actions.push(Action::Abandon { wish });
            }
            let click = &self.cast.clicks[wish];
            let payment = state.rows.payments.get(&click.payment);
            if payment.is_some_and(|payment| payment.status == PaymentStatus::Started) {
                actions.push(Action::TakePayment { wish });
            }
            let Some(order) = state.rows.orders.get(&click.order) else { continue };
            match order.status {
                Status::PendingPayment => {
                    if budgets.endings > 0 {
                        // Both end an unpaid order alike; by the parity of the wish both are explored.
                        actions.push(if wish % 2 == 0 { Action::Cancel { wish } } else { Action::Expire { wish } });
                    }
                    if budgets.pays > 0 && payment.is_none() {
                        actions.push(Action::StartPayment { wish });
                    }
                }
                Status::Paid if budgets.refunds > 0 => {
                    actions.push(Action::Refund { wish, restock: Restock::Yes });
                    actions.push(Action::Refund { wish, restock: Restock::No });
                }
                Status::Refunding(_) => actions.push(Action::FinishRefund { wish }),
                Status::Paid | Status::Cancelled(_) | Status::Refunded(_) | Status::Rejected(_) => {}
            }
        }
    }

    fn operator(&self, state: &State, actions: &mut Vec<Action>) {
        let budgets = &state.light.budgets;
        let sale = state.rows.sales.get(&self.cast.sale).expect("the sale was created");
        if budgets.top_ups > 0 {
            actions.push(Action::TopUp);
        }
        if budgets.stops > 0 && sale.state != SaleState::Closed {
            let other = if sale.state == SaleState::Open { SaleState::Stopped } else { SaleState::Open };
            actions.push(Action::Enter { state: other });
        }
        if budgets.closes > 0 {
            actions.push(Action::Enter { state: SaleState::Closed });
        }
    }

    fn logs(&self, state: &State, actions: &mut Vec<Action>) {
        let light = &state.light;
        if state.unpublished(&light.forwarder).is_some() {
            actions.push(Action::Publish);
        }
        if self.plants.unfenced_forwarder && light.fenced.is_some_and(|old| state.unpublished(&old).is_some()) {
            actions.push(Action::PublishFenced);
        }
        // One seal of an epoch in what intake has not decided: more are the business of redelivery.
        let epoch = state.row(self.cast.shard).epoch;
        let seal = doorbuster_core::ledger::entry::Intent::Seal(self.cast.shard, epoch);
        let sealed = state.intents[light.offset..].contains(&seal);
        if state.row(self.cast.shard).phase == Phase::Sealing && !sealed {
            actions.push(Action::PublishSeal);
        }
        if light.budgets.forwarder_crashes > 0 {
            let servers = (0..state.servers.len()).filter(|server| state.servers[*server].serves);
            for server in servers {
                actions.push(Action::ReplaceForwarder { server, from_start: true });
                actions.push(Action::ReplaceForwarder { server, from_start: false });
            }
        }
        if light.forwarder.server != light.primary {
            actions.push(Action::FollowPrimary);
        }
        let waiting = state.intents.len() - light.offset;
        if waiting > 0 {
            actions.push(Action::Intake { records: 1 });
        }
        if waiting > 1 && self.scope.batches {
            actions.push(Action::Intake { records: waiting });
        }
        if light.budgets.resets > 0 && light.offset > 0 {
            actions.push(Action::ResetIntake);
        }
    }

    fn settler(&self, state: &State, actions: &mut Vec<Action>) {
        for (event, sent) in state.down.iter().enumerate() {
            debug_assert!(matches!(sent.event, Event::Settled { .. } | Event::Granted { .. }));
            if sent.delivered && state.light.budgets.duplicates == 0 {
                continue;
            }
            let servers = (0..state.servers.len()).filter(|server| state.servers[*server].serves);
            actions.extend(servers.map(|server| Action::Deliver { event, server }));
        }
    }

    fn nemesis(&self, state: &State, actions: &mut Vec<Action>) {
        let light = &state.light;
        let copied = state.servers[B].shard.meta().is_some();
        if light.budgets.failovers > 0 && light.primary == A && !copied {
            actions.push(Action::Replicate);
        }
        if light.primary == A && copied {
            actions.push(Action::Promote);
        }
        if light.budgets.losses > 0 {
            actions.push(Action::Lose);
        }
    }

    fn ladders(&self, state: &State, actions: &mut Vec<Action>) {
        let mut idle_seen = false;
        for keeper in 0..self.scope.keepers {
            let memory = &*state.keepers[keeper];
            // Two idle keepers are alike.
            if matches!(memory, Keeper::Idle) && std::mem::replace(&mut idle_seen, true) {
                continue;
            }
            self.ladder_of(state, keeper, memory, actions);
            if !matches!(memory, Keeper::Idle) && state.light.budgets.keeper_crashes > 0 {
                actions.push(Action::Crash { keeper });
            }
        }
    }

    fn ladder_of(&self, state: &State, keeper: usize, memory: &Keeper, actions: &mut Vec<Action>) {
        match memory {
            Keeper::Idle => self.idle(state, keeper, actions),
            Keeper::Sealing(..) => {
                actions.push(Action::Seal { keeper });
                actions.push(Action::GiveSealUp { keeper });
            }
            Keeper::Opening(..) => actions.push(Action::ReadSnapshot { keeper }),
            Keeper::Loading(_, _, load) if load.taken < load.chunks.len() => actions.push(Action::LoadChunk { keeper }),
            Keeper::Loading(..) => actions.push(Action::Open { keeper }),
            Keeper::Opened(_) => actions.push(Action::FinishOpening { keeper }),
        }
    }

    fn idle(&self, state: &State, keeper: usize, actions: &mut Vec<Action>) {
        let may_seal = state.light.budgets.seals > 0;
        let sale = state.rows.sales.get(&self.cast.sale).expect("the sale was created");
        match state.row(self.cast.shard).phase {
            Phase::Open if may_seal => actions.push(Action::BeginSealing { keeper }),
            Phase::Opening => {
                // Somebody else loads, or did so until a crash.
                actions.push(Action::FindOpen { keeper });
                if may_seal {
                    actions.push(Action::BeginSealing { keeper });
                }
                if self.plants.reopens_epoch {
                    actions.push(Action::BeginOpening { keeper, server: state.light.primary });
                }
            }
            Phase::Sealed => {
                let servers = 0..state.servers.len();
                let wanted = |server: &usize| {
                    let other = self.scope.any_target && state.servers[*server].serves;
                    *server == state.light.primary || other
                };
                actions.extend(servers.filter(wanted).map(|server| Action::BeginOpening { keeper, server }));
                if sale.state == SaleState::Closed {
                    actions.push(Action::Close { keeper });
                }
            }
            Phase::Open | Phase::Sealing | Phase::Closed => {}
        }
    }
}
