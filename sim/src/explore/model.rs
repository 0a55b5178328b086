//! The rules of motion: what each action does to a state, by the product's own code.

use super::action::Action;
use super::cast::Cast;
use super::check;
use super::plant::Plants;
use super::scope::Scope;
use super::shared::Shared;
use super::state::{Sent, State};
use super::store;
use super::violation::Violation;
use doorbuster_core::database::command::{Command, Reply};
use doorbuster_core::database::decide::Decision;
use doorbuster_core::database::event::Event;
use doorbuster_core::time::Wall;

/// The clock of almost everything: no rule of the ledger asks for more.
pub const NOW: Wall = Wall(1_000_000);
/// When every pay window has ended.
pub const LATER: Wall = Wall(1_000_000_000);

/// A scope with its names and its planted bugs.
#[derive(Clone, Debug)]
pub struct Model {
    /// What is explored.
    pub scope: Scope,
    /// Its names.
    pub cast: Cast,
    /// Bugs on purpose.
    pub plants: Plants,
}

impl Model {
    /// A model of this scope.
    pub fn new(scope: &Scope, plants: Plants) -> Model {
        Model { scope: *scope, cast: Cast::of(scope), plants }
    }

    /// The state after `action`; an action that the product refuses leaves the state as it was.
    pub fn step(&self, state: &State, action: Action) -> Result<State, Violation> {
        let mut next = state.clone();
        self.apply(&mut next, action)?;
        self.settle_down(&mut next);
        for (server, before) in next.servers.iter().zip(&state.servers) {
            if !server.is_same(before) {
                check::server(server)?;
            }
        }
        Ok(next)
    }

    fn apply(&self, state: &mut State, action: Action) -> Result<(), Violation> {
        match action {
            Action::Click { wish, fence, server } => self.click(state, &[wish], fence, server),
            Action::ClickAll { fence, server } => {
                let wishes: Vec<usize> = (0..self.scope.wishes.len()).collect();
                self.click(state, &wishes, fence, server)
            }
            Action::Withdraw { fence, server, sku } => self.withdraw(state, fence, server, sku),
            Action::SetState { fence, server, paused } => self.set_state(state, fence, server, paused),
            Action::Replicate => self.replicate(state),
            Action::Promote => self.promote(state),
            Action::Lose => self.lose(state),
            Action::Cancel { .. }
            | Action::Expire { .. }
            | Action::Abandon { .. }
            | Action::StartPayment { .. }
            | Action::TakePayment { .. }
            | Action::Refund { .. }
            | Action::FinishRefund { .. }
            | Action::TopUp
            | Action::Enter { .. } => self.command(state, action),
            Action::Publish
            | Action::PublishFenced
            | Action::PublishSeal
            | Action::ReplaceForwarder { .. }
            | Action::FollowPrimary => self.forward(state, action),
            Action::Intake { records } => self.intake(state, records),
            Action::ResetIntake => self.reset_intake(state),
            Action::Deliver { event, server } => self.deliver(state, event, server),
            Action::BeginSealing { keeper }
            | Action::Seal { keeper }
            | Action::GiveSealUp { keeper }
            | Action::BeginOpening { keeper, .. }
            | Action::ReadSnapshot { keeper }
            | Action::LoadChunk { keeper }
            | Action::Open { keeper }
            | Action::FindOpen { keeper }
            | Action::FinishOpening { keeper }
            | Action::Close { keeper }
            | Action::Crash { keeper } => self.climb(state, action, keeper),
        }
    }

    /// Runs one transaction; `None` when it was refused.
    pub(super) fn transact(&self, state: &mut State, command: &Command, at: Wall) -> Result<Option<Reply>, Violation> {
        let Some(mut decision) = self.decide(state, command, at) else { return Ok(None) };
        self.spoil(state, command, &mut decision);
        check::decision(&self.cast, &state.rows, &decision, &state.promises)?;
        let Decision { change, reply } = decision;
        state.rows.change(|rows| {
            rows.absorb(change.rows);
            // For people only; without it two ways to one rung are one state.
            let row = rows.shards.get_mut(&self.cast.shard).expect("the sale was created");
            row.reason = None;
        });
        check::rows(&self.cast, &state.rows)?;
        let down =
            change.events.into_iter().filter(|event| matches!(event, Event::Settled { .. } | Event::Granted { .. }));
        let down: Vec<Sent> = down.map(|event| Sent { event, delivered: false }).collect();
        if !down.is_empty() {
            state.down.change(|sent| {
                sent.extend(down);
                // Nothing goes down in order: one canonical order makes equal sets equal states.
                sent.sort_by_cached_key(super::fingerprint::of);
            });
        }
        self.settle_promises(state)?;
        Ok(Some(reply))
    }

    fn decide(&self, state: &State, command: &Command, at: Wall) -> Option<Decision> {
        let inflated = self.plants.trusts_shard && matches!(command, Command::Intake(_));
        if !inflated {
            return store::decide(&state.rows, command, at).ok();
        }
        let mut rows = (*state.rows).clone();
        rows.stock.values_mut().for_each(|stock| stock.granted += INFLATED);
        let mut decision = store::decide(&rows, command, at).ok()?;
        decision.change.rows.stock.values_mut().for_each(|stock| stock.granted -= INFLATED);
        Some(decision)
    }

    /// Plants bugs into a sound decision.
    fn spoil(&self, state: &State, command: &Command, decision: &mut Decision) {
        if self.plants.settled_with_order_epoch {
            for event in &mut decision.change.events {
                let Event::Settled { shard, epoch, id, .. } = event else { continue };
                let order = doorbuster_core::ids::OrderId { shard: *shard, reservation: *id };
                if let Some(origin) = state.rows.orders.get(&order).and_then(|row| row.origin.as_ref()) {
                    *epoch = origin.acceptance.epoch;
                }
            }
        }
        let abandon = matches!(command, Command::Order(doorbuster_core::order::command::OrderCommand::Abandon { .. }));
        if self.plants.silent_abandon && abandon {
            decision.change.events.retain(|event| !matches!(event, Event::Settled { .. }));
        }
        let cancel = matches!(command, Command::Order(doorbuster_core::order::command::OrderCommand::Cancel { .. }));
        if self.plants.cancel_keeps_quota && cancel {
            decision.change.rows.quotas.clear();
        }
    }

    /// Drops promises whose fate is in the rows for good.
    pub(super) fn settle_promises(&self, state: &mut State) -> Result<(), Violation> {
        let row = state.row(self.cast.shard).clone();
        let open = |promise: &super::state::Promise| !check::is_final(&row, promise.epoch, promise.seq);
        if state.promises.iter().all(open) {
            return Ok(());
        }
        for promise in state.promises.iter().filter(|promise| !open(promise)) {
            check::kept(&self.cast, &state.rows, promise)?;
        }
        state.promises.change(|promises| promises.retain(open));
        Ok(())
    }

    /// Forgets what can never be read again, so that it does not tell states apart.
    fn settle_down(&self, state: &mut State) {
        if state.light.budgets.resets == 0 && state.light.offset > 0 {
            let offset = std::mem::take(&mut state.light.offset);
            state.intents.change(|intents| intents.drain(..offset).for_each(drop));
        }
        if state.light.budgets.duplicates == 0 && state.down.iter().any(|sent| sent.delivered) {
            state.down.change(|sent| sent.retain(|sent| !sent.delivered));
        }
        if state.light.budgets.forwarder_crashes == 0 && state.light.fenced.is_none() {
            let position = state.light.forwarder.position;
            for server in &mut state.servers {
                trim(server, position);
            }
        }
    }
}

/// More than any scope has, so that the planted bug sees no shortage.
const INFLATED: u64 = 1_000;

fn trim(server: &mut Shared<super::state::Server>, position: (doorbuster_core::ids::Epoch, doorbuster_core::ids::Seq)) {
    let published = |entry: &doorbuster_core::ledger::entry::Entry| (entry.epoch, entry.seq) <= position;
    if server.log.iter().any(published) {
        server.change(|server| server.log.retain(|entry| !published(entry)));
    }
}
