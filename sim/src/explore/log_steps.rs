//! What goes up: the forwarder, the partition, intake.

use super::action::Action;
use super::model::{Model, NOW};
use super::state::{Forwarder, Promise, State};
use super::violation::Violation;
use doorbuster_core::database::command::Command;
use doorbuster_core::database::rows::Phase;
use doorbuster_core::ids::{Epoch, ReservationId, Seq};
use doorbuster_core::intake::IntakeBatch;
use doorbuster_core::ledger::entry::{EntryKind, Intent};

impl Model {
    pub(super) fn forward(&self, state: &mut State, action: Action) -> Result<(), Violation> {
        match action {
            Action::Publish => {
                let mut forwarder = state.light.forwarder;
                self.publish(state, &mut forwarder);
                state.light.forwarder = forwarder;
            }
            Action::PublishFenced => {
                if let Some(mut forwarder) = state.light.fenced.filter(|_| self.plants.unfenced_forwarder) {
                    self.publish(state, &mut forwarder);
                    state.light.fenced = Some(forwarder);
                }
            }
            Action::PublishSeal => self.publish_seal(state),
            Action::ReplaceForwarder { server, from_start } => self.replace_forwarder(state, server, from_start),
            Action::FollowPrimary => state.light.forwarder.server = state.light.primary,
            _ => unreachable!("only the forwarder's actions come here"),
        }
        Ok(())
    }

    fn publish(&self, state: &mut State, forwarder: &mut Forwarder) {
        let Some(entry) = state.unpublished(forwarder).cloned() else { return };
        let (epoch, seq) = (entry.epoch, entry.seq);
        forwarder.position = (epoch, seq);
        let ids: Vec<ReservationId> = match &entry.kind {
            EntryKind::Reserved(reservations) => reservations.iter().map(|reserved| reserved.id).collect(),
            EntryKind::Withdrawn { .. } => Vec::new(),
        };
        state.intents.change(|intents| intents.push(Intent::Entry(self.cast.shard, entry)));
        if forwarder.acks == Some(epoch) {
            state.promises.change(|promises| {
                let told =
                    |promise: &&mut Promise| (promise.epoch, promise.seq) == (epoch, seq) && ids.contains(&promise.id);
                promises.iter_mut().filter(told).for_each(|promise| promise.acked = true);
            });
        }
    }

    fn publish_seal(&self, state: &mut State) {
        let row = state.row(self.cast.shard);
        let epoch = row.epoch;
        if row.phase != Phase::Sealing {
            return;
        }
        state.intents.change(|intents| intents.push(Intent::Seal(self.cast.shard, epoch)));
        if !self.plants.acks_behind_seal {
            state.light.forwarder.acks = None;
        }
    }

    /// The newcomer has fenced the last owner before it reads the row, so an epoch that it sees OPEN is not yet
    /// sealed by anybody. Of an epoch that it finds ending it cannot know that.
    fn replace_forwarder(&self, state: &mut State, server: usize, from_start: bool) {
        let row = state.row(self.cast.shard);
        let acks = (row.phase == Phase::Open || self.plants.acks_behind_seal).then_some(row.epoch);
        let last = state.light.forwarder;
        if self.plants.unfenced_forwarder {
            state.light.fenced = Some(last);
        }
        let position = if from_start { (Epoch(0), Seq(0)) } else { last.position };
        state.light.forwarder = Forwarder { server, position, acks };
        state.light.budgets.forwarder_crashes = state.light.budgets.forwarder_crashes.saturating_sub(1);
    }

    pub(super) fn intake(&self, state: &mut State, records: usize) -> Result<(), Violation> {
        let offset = state.light.offset;
        let mut intents: Vec<Intent> = state.intents.iter().skip(offset).take(records).cloned().collect();
        if intents.is_empty() {
            return Ok(());
        }
        state.light.offset += intents.len();
        if self.plants.any_seal_seals {
            let epoch = state.row(self.cast.shard).epoch;
            for intent in &mut intents {
                if let Intent::Seal(_, sealed) = intent {
                    *sealed = epoch;
                }
            }
        }
        let command = Command::Intake(IntakeBatch { shard: self.cast.shard, intents });
        self.transact(state, &command, NOW)?;
        Ok(())
    }

    pub(super) fn reset_intake(&self, state: &mut State) -> Result<(), Violation> {
        state.light.offset = 0;
        state.light.budgets.resets = state.light.budgets.resets.saturating_sub(1);
        Ok(())
    }
}
