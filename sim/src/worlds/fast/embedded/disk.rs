//! What befalls the disk, and kills of the process that depend on it (Q1 to Q5).

use super::{end, end_for, start};
use crate::fault::FaultKind;
use crate::plan::Strike;
use crate::services::database::Commit;
use crate::services::embedded::{DiskFailure, Loss, Rung};
use crate::worlds::fast::world::World;
use doorbuster_core::database::rows::Phase;

/// A killed process is back after this: enough for whoever asks meanwhile to learn that it is gone.
const BACK_MS: u64 = 300;
/// Where the power goes after a failed sync, it does so within this time: before or after the process is back.
const GOES_MS: u64 = 2 * BACK_MS;
/// Between a step of the ladder and the kill there is at most this time, in microseconds: about one message's way.
const CLOSE_US: u64 = 1_000;

/// Moments of the ladder at which a process is killed, by number.
const MOMENTS: u64 = 9;

/// Faults that wait for their moment, or go on.
#[derive(Default)]
pub struct Struck {
    /// A kill that waits for the next operation on the disk: for which fault, and how long the process stays down.
    kill: Option<(FaultKind, u64)>,
    /// A sync that will fail: which from the next start on, how long the process stays down when the power goes too, and
    /// what is lost then.
    sync: Option<(u64, u64, Loss)>,
    /// The disk is full: for how many strikes.
    full: u32,
    /// A moment of the ladder that ends with a kill.
    moment: Option<Moment>,
}

impl Struck {
    /// The sync that was to fail has failed: the next start finds a good disk.
    pub fn sync_has_failed(&mut self) {
        self.sync = None;
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Moment {
    at: At,
    loss: Loss,
}

/// Where the ladder stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Phase(Phase),
    Rung(Rung),
    /// While the seal is written.
    Sealing,
    /// While the log is opened.
    Opening,
}

impl At {
    fn of(number: u64) -> At {
        match number % MOMENTS {
            0 => At::Phase(Phase::Sealing),
            1 => At::Sealing,
            2 => At::Rung(Rung::Sealed),
            3 => At::Phase(Phase::Sealed),
            4 => At::Phase(Phase::Opening),
            5 => At::Rung(Rung::Loaded),
            6 => At::Rung(Rung::Opened),
            7 => At::Phase(Phase::Open),
            _ => At::Opening,
        }
    }

    fn stage(self) -> &'static str {
        match self {
            At::Phase(Phase::Sealing) => "an epoch is to end",
            At::Sealing => "a seal is written",
            At::Rung(Rung::Sealed) => "a seal stands, not told",
            At::Phase(Phase::Sealed) => "between two epochs",
            At::Phase(Phase::Opening) => "a memory is to be filled",
            At::Rung(Rung::Loaded) => "a memory is being filled",
            At::Rung(Rung::Opened) => "a memory is open, not told",
            At::Phase(Phase::Open) => "a shard sells again",
            At::Phase(Phase::Closed) => "a shard is closed",
            At::Opening => "a log is opened",
        }
    }
}

/// A strike begins.
pub fn strike(world: &mut World, strike: &Strike) {
    let down_ms = 100 + strike.amount % 2_000;
    let Some(server) = &mut world.platform.server else { return };
    if !server.is_up() && strike.fault != FaultKind::Q4 {
        return;
    }
    let struck = &mut world.platform.struck;
    match strike.fault {
        FaultKind::Q1 => {
            struck.kill = Some((FaultKind::Q1, down_ms));
            server.stop_at(strike.amount % 4);
        }
        FaultKind::Q2 => {
            struck.kill = Some((FaultKind::Q2, down_ms));
            server.stop_at(strike.amount % 2);
        }
        FaultKind::Q3 => {
            let loss = [Loss::Nothing, Loss::Unsynced, Loss::Torn][(strike.amount % 3) as usize];
            let nth = 1 + strike.amount / 3 % 2;
            struck.sync = Some((nth, down_ms, loss));
            server.fail_sync(nth);
        }
        FaultKind::Q4 => {
            struck.full += 1;
            server.fill((strike.amount % 2_048) as usize);
        }
        _ => {
            let loss = [Loss::Nothing, Loss::Unsynced, Loss::Torn][(strike.amount / MOMENTS % 3) as usize];
            struck.moment = Some(Moment { at: At::of(strike.amount), loss });
            // A process that starts climbs the ladder from its foot.
            end_for(world, Loss::Nothing, BACK_MS);
            before_opening(world);
        }
    }
}

/// A strike ends.
pub fn heal(world: &mut World, strike: &Strike) {
    match strike.fault {
        FaultKind::Q1 | FaultKind::Q2 => rest_without_power(world, strike.fault),
        FaultKind::Q4 => {
            world.platform.struck.full = world.platform.struck.full.saturating_sub(1);
            if world.platform.struck.full == 0
                && let Some(server) = &mut world.platform.server
            {
                server.fill(usize::MAX / 2);
            }
        }
        _ => {}
    }
}

/// Nothing was written while the power was to go: it goes now.
fn rest_without_power(world: &mut World, fault: FaultKind) {
    let Some((_, down_ms)) = world.platform.struck.kill.filter(|(waiting, _)| *waiting == fault) else { return };
    world.platform.struck.kill = None;
    let lost = end_for(world, loss_of(fault), down_ms);
    world.faults.take_effect(fault, if lost { "appended, not synced" } else { "at rest" });
}

/// Everything is healed: no fault waits, and there is room.
pub fn heal_all(world: &mut World) {
    world.platform.struck = Struck::default();
    if let Some(server) = &mut world.platform.server {
        server.calm();
    }
    start(world);
}

/// The disk failed in a step: what the process does then is to end.
pub fn failed(world: &mut World, failure: DiskFailure) {
    let struck = &mut world.platform.struck;
    match failure {
        DiskFailure::Killed if struck.kill.is_some() => {
            let (fault, down_ms) = struck.kill.take().expect("it was just seen");
            let lost = end_for(world, loss_of(fault), down_ms);
            world.faults.take_effect(fault, if lost { "appended, not synced" } else { "appended whole, not answered" });
        }
        DiskFailure::Killed => {
            if let Some(moment) = struck.moment.take() {
                take(world, moment);
            } else {
                end_for(world, Loss::Nothing, BACK_MS);
            }
        }
        DiskFailure::SyncFailed => {
            end_for(world, Loss::Nothing, BACK_MS);
        }
        DiskFailure::Full => {
            world.faults.take_effect(FaultKind::Q4, "an append");
            end_for(world, Loss::Nothing, BACK_MS);
        }
    }
}

/// A sync failed, and the power may go a moment later: a process that trusts what it wrote is found out then.
pub fn sync_failed(world: &mut World, stage: &'static str) {
    let Some((_, down_ms, loss)) = world.platform.struck.sync.take() else { return };
    world.faults.take_effect(FaultKind::Q3, stage);
    if loss != Loss::Nothing {
        world.after_ms(down_ms % GOES_MS, move |world| {
            if !world.is_healed {
                end_for(world, loss, down_ms);
            }
        });
    }
}

/// The disk failed while the log was opened: the process ends again.
pub fn failed_to_open(world: &mut World, failure: DiskFailure) {
    match (failure, world.platform.struck.moment) {
        (DiskFailure::Killed, Some(moment)) => {
            world.platform.struck.moment = None;
            world.faults.take_effect(FaultKind::Q5, moment.at.stage());
            end(world, moment.loss);
        }
        (DiskFailure::Full, _) => {
            world.faults.take_effect(FaultKind::Q4, "a log is opened");
            end(world, Loss::Nothing);
        }
        (DiskFailure::SyncFailed, _) => {
            sync_failed(world, "a log is opened");
            end(world, Loss::Nothing);
        }
        (DiskFailure::Killed, None) => drop(end(world, Loss::Nothing)),
    }
}

/// A disk stays full, or bad, when its process starts again.
pub fn keep(world: &mut World) {
    let Some(server) = &mut world.platform.server else { return };
    if world.platform.struck.full > 0 {
        server.fill(0);
    }
    if let Some((nth, ..)) = world.platform.struck.sync {
        server.fail_sync(nth);
    }
}

/// A seal is about to be written.
pub fn seal_arrives(world: &mut World) {
    let is_now = world.platform.struck.moment.is_some_and(|moment| moment.at == At::Sealing);
    let operation = world.draw() % 3;
    if is_now && let Some(server) = &mut world.platform.server {
        server.stop_at(operation);
    }
}

fn before_opening(world: &mut World) {
    let is_now = world.platform.struck.moment.is_some_and(|moment| moment.at == At::Opening);
    let operation = world.draw() % 12;
    if is_now && let Some(server) = &mut world.platform.server {
        server.stop_at(operation);
    }
}

/// The server has taken these steps.
pub fn climbed(world: &mut World, rungs: &[Rung]) {
    let Some(moment) = world.platform.struck.moment else { return };
    if rungs.iter().any(|rung| At::Rung(*rung) == moment.at) {
        world.platform.struck.moment = None;
        take(world, moment);
    }
}

/// A transaction was committed.
pub fn committed(world: &mut World, commit: &Commit) {
    let Some(moment) = world.platform.struck.moment else { return };
    let mut rows = commit.decision.change.rows.shards.iter();
    let reached = rows.any(|(shard, row)| {
        let before = commit.before.shards.get(shard).map(|before| before.phase);
        At::Phase(row.phase) == moment.at && before != Some(row.phase)
    });
    if reached {
        world.platform.struck.moment = None;
        let later_us = world.now_us + world.draw() % CLOSE_US;
        let kill = move |world: &mut World| {
            if !world.is_healed && world.platform.server.as_ref().is_some_and(|server| server.is_up()) {
                take(world, moment);
            }
        };
        world.at(later_us, crate::worlds::fast::world::Happening::Then(Box::new(kill)));
    }
}

fn take(world: &mut World, moment: Moment) {
    world.faults.take_effect(FaultKind::Q5, moment.at.stage());
    end_for(world, moment.loss, BACK_MS);
}

fn loss_of(fault: FaultKind) -> Loss {
    if fault == FaultKind::Q2 { Loss::Torn } else { Loss::Unsynced }
}
