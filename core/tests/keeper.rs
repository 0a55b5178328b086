//! What a keeper does with one row, step by step.

mod common;

use common::World;
use doorbuster_core::database::rows::{Phase, ShardRow};
use doorbuster_core::keeper::Keeper;
use doorbuster_core::keeper::talk::{KeeperEffect, KeeperEvent};
use doorbuster_core::ledger::epoch::LadderStep;
use doorbuster_core::ledger::shard::Window;
use doorbuster_core::limits::PRELOAD_MS;
use doorbuster_core::machine::Machine;
use doorbuster_core::outcome::Outcome;
use doorbuster_core::time::{Mono, Now, Wall};

/// A keeper over one sale and one shard, whose server says that it has the row's memory.
struct Watched {
    keeper: Keeper,
    world: World,
    mono: Mono,
}

impl Watched {
    fn new(starts_at: Wall) -> Watched {
        let mut world = World::open(1, 2, &[5]);
        world.rows.sales.values_mut().for_each(|sale| sale.window = Window { starts_at, ..sale.window });
        Watched { keeper: Keeper::new(World::shard_id(0), 7, 1), world, mono: Mono(0) }
    }

    fn row(&mut self) -> &mut ShardRow {
        self.world.rows.shards.get_mut(&World::shard_id(0)).expect("there is one shard")
    }

    /// Gives the keeper an event and answers what it reads and keeps, until it rests or wants something else.
    fn tell(&mut self, event: KeeperEvent) -> Option<KeeperEffect> {
        let mut next = Some(event);
        while let Some(event) = next.take() {
            let mut out = Vec::new();
            self.keeper.step(Now { mono: self.mono, wall: self.world.now }, event, &mut out);
            let row = self.row().clone();
            let sale = self.world.rows.sales[&common::sale()].clone();
            next = match out.pop() {
                None => None,
                Some(KeeperEffect::ReadRow(ticket)) => Some(KeeperEvent::RowRead { ticket, rows: Some((sale, row)) }),
                Some(KeeperEffect::Apply(ticket, command)) if command.step == LadderStep::KeepLease => {
                    Some(KeeperEvent::Applied { ticket, outcome: Outcome::Done(row) })
                }
                Some(KeeperEffect::AskServer(ticket)) if row.phase == Phase::Open => {
                    let meta = self.world.shards[0].meta().copied();
                    Some(KeeperEvent::ServerSeen { ticket, server: row.server, meta })
                }
                Some(other) => return Some(other),
            };
        }
        None
    }

    /// The next time at which it wakes.
    fn wake(&mut self) -> Option<KeeperEffect> {
        self.mono = self.keeper.wake_at().map_or(self.mono, |(at, _)| at.max(self.mono));
        self.tell(KeeperEvent::Tick)
    }
}

#[test]
fn a_shard_is_prepared_when_its_sale_is_about_to_start_and_not_before() {
    let sealed = |starts_at| {
        let mut watched = Watched::new(starts_at);
        watched.row().phase = Phase::Sealed;
        watched.tell(KeeperEvent::Tick)
    };
    let now = common::START;
    assert_eq!(sealed(now.after_ms(PRELOAD_MS + 1)), None, "there is time");
    assert!(matches!(sealed(now.after_ms(PRELOAD_MS)), Some(KeeperEffect::AskServer(_))), "it is time");
}

#[test]
fn units_are_taken_back_of_an_open_shard_alone() {
    let asked = KeeperEvent::RebalanceAsked { sku: common::sku(0), quantity: 2 };
    let mut open = Watched::new(common::START);
    assert_eq!(open.tell(KeeperEvent::Tick), None, "it is as it should be");
    let withdrawn = open.tell(asked.clone()).or_else(|| open.wake());
    assert!(matches!(withdrawn, Some(KeeperEffect::Withdraw { quantity: 2, .. })), "{withdrawn:?}");
    let mut sealed = Watched::new(common::START.after_ms(2 * PRELOAD_MS));
    sealed.row().phase = Phase::Sealed;
    assert_eq!(sealed.tell(KeeperEvent::Tick), None);
    // It opens later: what was asked for before is asked again by whoever balances.
    assert_eq!(sealed.tell(asked), None);
    sealed.row().phase = Phase::Open;
    assert_eq!(sealed.wake(), None, "nothing was kept of the wish");
}
