//! The embedded platform: every role in one process, and the shards' server on that process's disk.
//!
//! The hosts of the roles are tasks of one process here: they die and start together, and with them the server's memory,
//! the delay queue and the shared cache. What outlives them is the log on the disk, and the database's rows.

mod disk;
mod wiring;

pub use disk::{committed, heal, heal_all, strike};
pub use wiring::{attend, begin_again, perform_drain, perform_inbox};

use super::roles::partition_of;
use super::strikes::fresh_identity;
use super::world::{Address, Answer, At, World};
use super::{Plants, catalog, watch};
use crate::plan::Setup;
use crate::seed::Seed;
use crate::services::embedded::{DurableRequest, DurableServer, Loss, OpenRefusal};
use crate::services::node::Node;
use crate::services::node::store::Store;
use crate::services::{ServiceEvent, embedded, node};
use disk::Struck;
use doorbuster_core::delay::queue::Task;
use doorbuster_core::ids::ShardId;
use doorbuster_core::ledger::shard::Shard;
use doorbuster_core::oracle::probe::Probe;
use doorbuster_core::order::status::Status;
use doorbuster_core::time::Mono;

/// The one server that an embedded platform has, among the servers of this world.
const SERVER: usize = 0;
/// A process that could not start is started again after this: what an operator's supervisor does.
const AGAIN_MS: u64 = 1_000;

/// The platform's process and its disk; of other plans nothing.
#[derive(Default)]
pub struct Platform {
    server: Option<Box<dyn DurableServer>>,
    struck: Struck,
    /// Intents of the log that the oracle has been shown.
    mirrored: usize,
}

impl Platform {
    /// Of this plan.
    pub fn new(setup: &Setup, seed: Seed, plants: Plants) -> Platform {
        let mut server = if setup.embedded { embedded::server(seed) } else { None };
        if let Some(server) = server.as_mut().filter(|_| plants.ignore_failed_sync) {
            server.hide_failures();
        }
        Platform { server, ..Platform::default() }
    }

    /// The memory of a shard: of the server with the disk, or else of this one.
    pub fn memory<'of>(&'of self, node: &'of Node, shard: ShardId) -> Option<&'of Shard> {
        match &self.server {
            Some(server) => server.shard(shard),
            None => node.store.shard(shard),
        }
    }

    /// Records of the log that intake has not done.
    pub fn lag(&self) -> u64 {
        self.server.as_ref().map_or(0, |server| server.lag())
    }

    /// When the server's time comes, and why.
    pub fn wake_at(&self) -> Option<(Mono, &'static str)> {
        self.server.as_ref().and_then(|server| server.wake_at())
    }

    /// Whether a request is for the server with the disk: tasks and products stand beside it, in the same process.
    pub fn serves(&self, request: &node::Request) -> bool {
        self.server.is_some() && (request.shard().is_some() || matches!(request, node::Request::Durable(_)))
    }
}

/// A request arrives at the server, or its time comes.
pub fn step(world: &mut World, event: ServiceEvent<node::Request>) {
    let now = world.clock();
    if let ServiceEvent::Asked { request: node::Request::Durable(DurableRequest::AppendSeal { .. }), .. } = &event {
        disk::seal_arrives(world);
    }
    let Some(server) = &mut world.platform.server else { return };
    let mut out = Vec::new();
    server.step(now, event, &mut out);
    let (ended, rungs, sync_failed) = (server.ended(), server.rungs(), server.sync_failed());
    mirror(world);
    world.serve(Address::Node(SERVER), out, Answer::Node);
    for shard in world.shards() {
        watch::memory(world, SERVER, Some(shard));
    }
    if sync_failed {
        disk::sync_failed(world, "appended, not synced");
    }
    match ended {
        Some(failure) => disk::failed(world, failure),
        None => disk::climbed(world, &rungs),
    }
}

/// The process ends: every task of it, and all that it knew. Whether its disk lost anything.
pub fn end(world: &mut World, loss: Loss) -> bool {
    for host in 1..world.hosts.len() {
        world.crash_task(host);
    }
    let Some(server) = &mut world.platform.server else { return false };
    if server.sync_failed() {
        world.platform.struck.sync_has_failed();
    }
    let (calls, lost) = server.go_down(loss);
    disk::keep(world);
    calls.into_iter().for_each(|call| world.drop_call(call));
    let claims: Vec<Probe> = {
        let tasks = world.nodes[SERVER].store.queue.tasks();
        tasks.filter(|(_, _, token)| token.is_some()).map(|(task, ..)| Probe::Recovered { task }).collect()
    };
    world.watch.probes.extend(claims);
    world.nodes[SERVER].flush();
    let calls = world.nodes[SERVER].go_down();
    calls.into_iter().for_each(|call| world.drop_call(call));
    catalog::lost(world, world.now_us);
    lost
}

/// The process ends, and is started again.
pub fn end_for(world: &mut World, loss: Loss, down_ms: u64) -> bool {
    let lost = end(world, loss);
    world.after_ms(down_ms, start);
    lost
}

/// The process starts: the log is opened, what it promised is looked for, and every role begins from nothing.
pub fn start(world: &mut World) {
    let identity = fresh_identity(world);
    let Some(server) = &mut world.platform.server else { return };
    if server.is_up() {
        return;
    }
    match server.open(identity) {
        Ok(probes) => {
            world.nodes[SERVER].take_over(Store::empty(identity), identity);
            mirror(world);
            probes.into_iter().for_each(|probe| watch::probe(world, Address::Node(SERVER), probe));
            refill(world);
            for host in 1..world.hosts.len() {
                if !world.hosts[host].is_up {
                    world.start_host(host);
                }
            }
        }
        Err(OpenRefusal::Disk(failure)) => {
            disk::failed_to_open(world, failure);
            world.after_ms(AGAIN_MS, start);
        }
        // Whoever was promised anything waits for ever.
        Err(OpenRefusal::Lost(what)) => world.violate("S5", format!("the log of acceptances does not open: {what}")),
    }
}

/// What was synced is shown to the oracle where it looks for intents.
fn mirror(world: &mut World) {
    let Some(server) = &world.platform.server else { return };
    for intent in &server.intents()[world.platform.mirrored..] {
        world.broker.mirror(partition_of(intent.shard()), intent.clone());
    }
    world.platform.mirrored = server.intents().len();
}

/// The delay queue of the last process is gone: it is filled again from the orders that wait for money.
fn refill(world: &mut World) {
    let orders = world.database.rows().orders.values();
    let due = orders.filter(|order| order.status == Status::PendingPayment);
    let tasks = due.map(|order| Task { order: order.id, version: order.version, due: order.expires_at }).collect();
    let (mut probes, wall) = (Vec::new(), world.clock().wall);
    world.nodes[SERVER].store.run(wall, &node::Request::Schedule(tasks), &mut probes);
    probes.into_iter().for_each(|probe| watch::probe(world, Address::Node(SERVER), probe));
}

/// The member of intake's group, if its task lives.
fn intake(world: &World) -> Option<(At, usize)> {
    let host = (1..world.hosts.len()).find(|host| world.hosts[*host].role == "intake" && world.hosts[*host].is_up)?;
    let is_intake = |cell: &super::host::Cell| matches!(cell.unit, super::host::Unit::Intake(_));
    let cell = world.hosts[host].cells.iter().position(is_intake)?;
    Some((world.present(host), cell))
}
