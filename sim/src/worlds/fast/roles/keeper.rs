//! Keepers: one machine per shard on every instance; the row's lease lets one of them work.

use crate::services::{database, node};
use crate::worlds::fast::embedded;
use crate::worlds::fast::host::{Told, step};
use crate::worlds::fast::world::{At, World};
use doorbuster_core::database::command::{Command, Refusal, Reply};
use doorbuster_core::database::rows::{OrderRow, Phase, ShardRow};
use doorbuster_core::database::tables::{Reads, Rows};
use doorbuster_core::ids::ShardId;
use doorbuster_core::keeper::talk::{KeeperEffect, KeeperEvent};
use doorbuster_core::ledger::epoch::{chunks, load_head};
use doorbuster_core::ledger::load::{Chunk, LoadRefusal};
use doorbuster_core::ledger::shard::Fence;
use doorbuster_core::machine::Ticket;
use doorbuster_core::outcome::Outcome;
use std::collections::VecDeque;

/// The keeper is told that the drain is over after this: the forwarder, which reads the row itself, does the work.
const DRAIN_MS: u64 = 300;

fn tell(world: &mut World, at: At, cell: usize, event: KeeperEvent) {
    step(world, at, cell, Told::Keeper(event));
}

/// Performs what a keeper asks for.
pub fn perform(world: &mut World, at: At, cell: usize, shard: ShardId, effect: KeeperEffect) {
    match effect {
        KeeperEffect::ReadRow(ticket) => {
            let mut reads = Reads::default();
            reads.sales.insert(shard.sale);
            reads.shards.insert(shard);
            world.ask_database(at, database::Request::Read(reads), move |world, at, outcome| {
                let rows = rows(outcome)
                    .and_then(|mut rows| Some((rows.sales.remove(&shard.sale)?, rows.shards.remove(&shard)?)));
                tell(world, at, cell, KeeperEvent::RowRead { ticket, rows });
            });
        }
        KeeperEffect::ReadRange(ticket) => {
            let mut reads = Reads::default();
            reads.ranges.insert(shard.sale);
            world.ask_database(at, database::Request::Read(reads), move |world, at, outcome| {
                let skus = rows(outcome).map(|mut rows| rows.ranges.remove(&shard.sale).unwrap_or_default().skus);
                tell(world, at, cell, KeeperEvent::RangeRead { ticket, skus });
            });
        }
        KeeperEffect::Apply(ticket, command) => {
            let request = database::Request::Apply(Command::Ladder(command));
            world.ask_database(at, request, move |world, at, outcome| {
                let outcome = climbed(super::intake::applied(outcome));
                tell(world, at, cell, KeeperEvent::Applied { ticket, outcome });
            });
        }
        KeeperEffect::Drain { ticket, epoch, .. } if world.setup.embedded => {
            embedded::perform_drain(world, at, cell, shard, (ticket, epoch));
        }
        KeeperEffect::Drain { ticket, .. } => world.after_ms(DRAIN_MS, move |world| {
            if world.lives(at) {
                world.notify_cell(at, cell, Told::Keeper(KeeperEvent::Drained { ticket }));
            }
        }),
        KeeperEffect::Load { ticket, fence } => load(world, at, cell, shard, (ticket, fence)),
        KeeperEffect::Explain(finding) => {
            if world.trace.keeps_lines() {
                let name = world.hosts[at.host].name.clone();
                world.tell(&name, crate::trace::Kind::Step, None, || format!("found {finding:?}"));
            }
        }
        KeeperEffect::AskServer(_)
        | KeeperEffect::Seal { .. }
        | KeeperEffect::Open { .. }
        | KeeperEffect::SetState { .. }
        | KeeperEffect::Withdraw { .. } => perform_server(world, at, cell, shard, effect),
    }
}

fn rows(outcome: Outcome<database::Reply, super::super::world::Away>) -> Option<Rows> {
    match outcome {
        Outcome::Done(database::Reply::Rows(_, rows)) => Some(rows),
        Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unknown => None,
    }
}

fn climbed(outcome: Outcome<Reply, Refusal>) -> Outcome<ShardRow, Refusal> {
    match outcome {
        Outcome::Done(Reply::Shard(row)) => Outcome::Done(row),
        Outcome::Done(other) => unreachable!("a step of the ladder is answered with the shard's row, not {other:?}"),
        Outcome::Refused(refusal) => Outcome::Refused(refusal),
        Outcome::Unknown => Outcome::Unknown,
    }
}

/// What goes to the shard's server.
fn perform_server(world: &mut World, at: At, cell: usize, shard: ShardId, effect: KeeperEffect) {
    match effect {
        KeeperEffect::AskServer(ticket) => {
            world.ask_node(at, node::Request::Inspect(shard), move |world, at, outcome| {
                let event = match outcome {
                    Outcome::Done(node::Reply::View { server, meta, .. }) => {
                        KeeperEvent::ServerSeen { ticket, server, meta }
                    }
                    Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unknown => {
                        KeeperEvent::ServerUnreachable { ticket }
                    }
                };
                tell(world, at, cell, event);
            });
        }
        KeeperEffect::Seal { ticket, server, epoch } => {
            // The connection to the recorded server, if that server is still itself anywhere.
            let found = world.nodes.iter().position(|node| node.is_up && node.store.identity == server);
            let Some(node) = found else {
                return world.notify_cell(at, cell, Told::Keeper(KeeperEvent::Sealed { ticket, last: None }));
            };
            let request = node::Request::Seal { shard, server, epoch };
            world.ask_this_node(at, node, request, move |world, at, outcome| {
                let last = match outcome {
                    Outcome::Done(node::Reply::Sealed(last)) => last,
                    Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unknown => None,
                };
                tell(world, at, cell, KeeperEvent::Sealed { ticket, last });
            });
        }
        KeeperEffect::Open { ticket, fence, chunks, paused } => {
            world.ask_node(at, node::Request::Open { shard, fence, chunks, paused }, move |world, at, outcome| {
                let outcome = match outcome {
                    Outcome::Done(node::Reply::Opened(Ok(()))) => Outcome::Done(()),
                    Outcome::Done(node::Reply::Opened(Err(refusal))) => Outcome::Refused(refusal),
                    Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unknown => Outcome::Unknown,
                };
                tell(world, at, cell, KeeperEvent::Opened { ticket, outcome });
            });
        }
        KeeperEffect::SetState { ticket, fence, paused } => {
            world.ask_node(at, node::Request::SetState { shard, fence, paused }, move |world, at, outcome| {
                let outcome = match outcome {
                    Outcome::Done(node::Reply::StateSet(Ok(state))) => Outcome::Done(state),
                    Outcome::Done(node::Reply::StateSet(Err(fenced))) => Outcome::Refused(fenced),
                    Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unknown => Outcome::Unknown,
                };
                tell(world, at, cell, KeeperEvent::StateSet { ticket, outcome });
            });
        }
        KeeperEffect::Withdraw { ticket, fence, sku, quantity } => {
            let request = node::Request::Withdraw { shard, fence, sku, quantity };
            world.ask_node(at, request, move |world, at, outcome| {
                let outcome = match outcome {
                    Outcome::Done(node::Reply::Withdrawn(Ok(seq))) => Outcome::Done(seq),
                    Outcome::Done(node::Reply::Withdrawn(Err(fenced))) => Outcome::Refused(fenced),
                    Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unknown => Outcome::Unknown,
                };
                tell(world, at, cell, KeeperEvent::Withdrawn { ticket, outcome });
            });
        }
        KeeperEffect::ReadRow(_)
        | KeeperEffect::ReadRange(_)
        | KeeperEffect::Apply(..)
        | KeeperEffect::Drain { .. }
        | KeeperEffect::Load { .. }
        | KeeperEffect::Explain(_) => unreachable!("these go elsewhere"),
    }
}

/// Reads one snapshot in which the shard is OPENING under this fence, and streams its chunks.
fn load(world: &mut World, at: At, cell: usize, shard: ShardId, (ticket, fence): (Ticket, Fence)) {
    world.ask_database(at, database::Request::ReadShard(shard), move |world, at, outcome| {
        let cut = rows(outcome).and_then(|rows| cut(&rows, shard, fence));
        match cut {
            Some(chunks) => send_chunks(world, at, cell, shard, (ticket, fence, 0), chunks),
            None => tell(world, at, cell, KeeperEvent::Loaded { ticket, outcome: Outcome::Unknown }),
        }
    });
}

fn cut(rows: &Rows, shard: ShardId, fence: Fence) -> Option<VecDeque<Chunk>> {
    let row = rows.shards.get(&shard).filter(|row| row.phase == Phase::Opening && row.fence() == fence);
    row?;
    let (sale, range) = (rows.sales.get(&shard.sale)?, rows.ranges.get(&shard.sale)?);
    let stock: Vec<_> = range.skus.iter().filter_map(|sku| Some((*sku, *rows.stock.get(&(shard, *sku))?))).collect();
    let orders: Vec<&OrderRow> = rows.orders.values().collect();
    Some(chunks(load_head(sale, &stock), orders.into_iter()).collect())
}

fn send_chunks(
    world: &mut World,
    at: At,
    cell: usize,
    shard: ShardId,
    (ticket, fence, sent): (Ticket, Fence, u32),
    mut chunks: VecDeque<Chunk>,
) {
    let loaded = |outcome: Outcome<u32, LoadRefusal>| KeeperEvent::Loaded { ticket, outcome };
    let Some(chunk) = chunks.pop_front() else { return tell(world, at, cell, loaded(Outcome::Done(sent))) };
    world.ask_node(at, node::Request::Load { shard, fence, chunk }, move |world, at, outcome| match outcome {
        Outcome::Done(node::Reply::Loaded(Ok(()))) => {
            send_chunks(world, at, cell, shard, (ticket, fence, sent + 1), chunks);
        }
        Outcome::Done(node::Reply::Loaded(Err(refusal))) => {
            tell(world, at, cell, KeeperEvent::Loaded { ticket, outcome: Outcome::Refused(refusal) });
        }
        Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unknown => {
            tell(world, at, cell, KeeperEvent::Loaded { ticket, outcome: Outcome::Unknown });
        }
    });
}
