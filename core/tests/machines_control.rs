//! The machines that open, close, settle and pay, in small unkind worlds: safe while it lasts, done after it.

#[path = "machines_control/feed.rs"]
mod feed;
#[path = "machines_control/hosts.rs"]
mod hosts;
#[path = "machines_control/lanes.rs"]
mod lanes;
#[path = "machines_control/payments.rs"]
mod payments;
#[path = "machines_control/world.rs"]
mod world;

use doorbuster_core::database::command::Command;
use doorbuster_core::database::rows::{Phase, SaleState};
use doorbuster_core::ids::Epoch;
use doorbuster_core::keeper::talk::{KeeperEffect, KeeperEvent};
use doorbuster_core::ledger::shard::ShardState;
use doorbuster_core::limits::BALANCE_LOOK_MS;
use doorbuster_core::machine::Machine;
use doorbuster_core::sale::command::SaleCommand;
use hosts::{Hosts, KEEPERS, Task};
use proptest::prelude::*;
use world::shard;

/// Lets everything happen in order and without faults, for at most so many wake-ups, until `done`.
fn heal(hosts: &mut Hosts, done: impl Fn(&Hosts) -> bool) {
    hosts.healed = true;
    for _ in 0..3_000 {
        while !hosts.tasks.is_empty() {
            hosts.perform();
        }
        hosts.world.forward(usize::MAX);
        hosts.deliver();
        if done(hosts) {
            return;
        }
        hosts.world.mono.0 = hosts.world.mono.0.max(hosts.wake_at());
        hosts.wake();
    }
    let owed: Vec<_> = hosts.keepers.iter().map(Machine::pending).collect();
    panic!("not at rest: {:?}, keepers owe {owed:?}, settler {:?}", hosts.world.row(), hosts.settler.pending());
}

/// The row is OPEN, the memory is its own and follows the sale, and all that went down has arrived.
fn at_rest(hosts: &Hosts) -> bool {
    let (row, sale) = (hosts.world.row(), hosts.world.sale_row());
    let wanted = if sale.state == SaleState::Stopped { ShardState::Stopped } else { ShardState::Open };
    let own = hosts.world.server.meta().is_some_and(|meta| {
        let same = hosts.world.server.server == row.server && meta.nonce == row.nonce && meta.epoch == row.epoch;
        same && meta.state == wanted
    });
    let settled = hosts.all_delivered() && hosts.settler.pending().is_none() && hosts.world.log.is_empty();
    row.phase == Phase::Open && own && settled && hosts.keepers.iter().all(|keeper| keeper.pending().is_none())
}

/// I5 at rest: what the memory can sell is what the rows have free.
fn assert_conserved(hosts: &Hosts) {
    for (sku, counter) in hosts.world.server.counters() {
        let row = hosts.world.rows.stock[&(shard(), sku)];
        assert_eq!((counter.granted, counter.live, counter.grant_seq), (row.granted, row.consumed, row.grant_seq));
        assert_eq!(counter.available, row.free(), "S23: units of {sku} were lost or doubled");
    }
}

fn misfortune(hosts: &mut Hosts) {
    match hosts.world.below(60) {
        0..=29 => hosts.perform(),
        30..=36 => {
            hosts.world.mono.0 += hosts.world.rng.below(200_000);
            hosts.wake();
        }
        37..=44 => hosts.world.click(),
        45..=48 => hosts.world.forward(1),
        49..=53 => hosts.deliver(),
        54 | 55 => hosts.world.cancel_some(),
        56 => hosts.world.replicate(),
        57 => calamity(hosts),
        _ => hosts.wake(),
    }
}

fn calamity(hosts: &mut Hosts) {
    match hosts.world.below(12) {
        0 => {
            let who = hosts.world.below(KEEPERS);
            hosts.crash_keeper(who);
        }
        1 | 2 => hosts.crash_settler(),
        3 => {
            let state = [SaleState::Open, SaleState::Stopped][hosts.world.below(2)];
            hosts.world.enter(state);
        }
        4 => {
            hosts.world.mono.0 += hosts.world.rng.below(20_000_000);
            hosts.wake();
        }
        5 => hosts.tell_keeper(0, KeeperEvent::OperatorSeal),
        6 | 7 => {
            let (who, sku) = (hosts.world.below(KEEPERS), world::skus()[hosts.world.below(2)]);
            hosts.tell_keeper(who, KeeperEvent::RebalanceAsked { sku, quantity: 2 });
            let distribute = SaleCommand::Distribute { sale: world::sale(), sku };
            hosts.world.transact(&Command::Sale(distribute)).ok();
        }
        8 | 9 => hosts.world.lose_server(),
        _ => hosts.world.top_up(),
    }
}

#[test]
fn a_new_shard_opens_and_reopens_after_its_server_is_lost() {
    let mut hosts = Hosts::new(1);
    hosts.healed = true;
    hosts.wake();
    for _ in 0..20 {
        hosts.perform();
    }
    assert_eq!(hosts.world.row().phase, Phase::Sealed, "a draft is left alone");
    hosts.world.enter(SaleState::Open);
    heal(&mut hosts, at_rest);
    assert_eq!(hosts.world.row().epoch, Epoch(1));
    for _ in 0..4 {
        hosts.world.click();
    }
    heal(&mut hosts, at_rest);
    hosts.world.lose_server();
    heal(&mut hosts, at_rest);
    assert_eq!(hosts.world.row().epoch, Epoch(2));
    assert_conserved(&hosts);
}

/// Everything happens in order, but no keeper reaches the server.
fn perform_cut_off(hosts: &mut Hosts) {
    while let Some(task) = hosts.tasks.first() {
        match task {
            Task::Keeper { who, effect: KeeperEffect::AskServer(ticket), .. } => {
                let (who, ticket) = (*who, *ticket);
                hosts.tasks.remove(0);
                hosts.tell_keeper(who, KeeperEvent::ServerUnreachable { ticket });
            }
            Task::Keeper { .. } | Task::Stream { .. } | Task::Settler { .. } => hosts.perform(),
        }
    }
}

#[test]
fn wishes_do_not_hasten_the_end_of_an_epoch_whose_server_is_cut_off() {
    let mut hosts = Hosts::new(1);
    hosts.world.enter(SaleState::Open);
    heal(&mut hosts, at_rest);
    for _ in 0..16 {
        for who in 0..KEEPERS {
            hosts.tell_keeper(who, KeeperEvent::RebalanceAsked { sku: world::skus()[0], quantity: 1 });
        }
        perform_cut_off(&mut hosts);
        hosts.world.mono.0 += BALANCE_LOOK_MS * 1000;
        hosts.wake();
        perform_cut_off(&mut hosts);
    }
    assert_eq!(hosts.world.row().phase, Phase::Open, "four seconds are a failover's, not an end");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_epoch_opens_twice_no_unit_is_lost_and_the_shard_sells_again(seed: u64) {
        let mut hosts = Hosts::new(seed);
        hosts.world.enter(SaleState::Open);
        hosts.wake();
        for _ in 0..2_000 {
            misfortune(&mut hosts);
        }
        heal(&mut hosts, at_rest);
        assert_conserved(&hosts);
    }

    #[test]
    fn a_closed_sale_ends_closed_from_wherever_it_stood(seed: u64) {
        let mut hosts = Hosts::new(seed);
        hosts.world.enter(SaleState::Open);
        hosts.wake();
        for _ in 0..800 {
            misfortune(&mut hosts);
        }
        hosts.world.enter(SaleState::Closed);
        for _ in 0..800 {
            misfortune(&mut hosts);
        }
        let closed = |hosts: &Hosts| hosts.world.row().phase == Phase::Closed && hosts.settler.pending().is_none();
        heal(&mut hosts, closed);
        for ((_, sku), stock) in &hosts.world.rows.stock {
            prop_assert_eq!(stock.granted, stock.consumed, "units of {} stayed in a closed shard", sku);
        }
    }
}
