//! Forwarders and relays over a simulated network that breaks, on hosts that crash.

use super::calls::{create, sale};
use super::pipes::{Mounts, PassedEnv};
use async_trait::async_trait;
use doorbuster_core::database::command::Command;
use doorbuster_core::database::event::Event;
use doorbuster_core::database::rows::Phase;
use doorbuster_core::forwarder::tail::LogPage;
use doorbuster_core::ids::{Epoch, Nonce, Seq, ServerId, ShardId, SkuId};
use doorbuster_core::inbox::Partition;
use doorbuster_core::ledger::entry::{Entry, EntryKind, Intent};
use doorbuster_core::ledger::epoch::{LadderCommand, LadderStep, Rung};
use doorbuster_core::ledger::shard::{Fence, Fenced};
use doorbuster_core::outcome::Outcome;
use doorbuster_core::sale::command::{NewSku, SaleCommand};
use doorbuster_core::time::{Mono, Now, Wall};
use doorbuster_redis::config::RedisConfig;
use doorbuster_redis::delay::RedisDelayQueue;
use doorbuster_redis::dial::{Address, ByteStream, Dial};
use doorbuster_redis::directory::StoreDirectory;
use doorbuster_redis::ledger::RedisLedger;
use doorbuster_redis::servers::Servers;
use doorbuster_runtime::env::SharedEnv;
use doorbuster_runtime::ports::drain::DrainedByForwarder;
use doorbuster_runtime::ports::shard_log::ShardLog;
use doorbuster_runtime::roles::{self, Ports};
use doorbuster_runtime::telemetry::Telemetry;
use doorbuster_sim::fault::FaultKind;
use doorbuster_sim::seed::Seed;
use doorbuster_sim::services::broker::PARTITIONS;
use doorbuster_sim::services::broker::log::{Payload, TopicId};
use doorbuster_sim::services::database::Database;
use doorbuster_sim::worlds::wire::ports::Wired;
use doorbuster_sim::worlds::wire::rpc::host::serve;
use doorbuster_sim::worlds::wire::rpc::mount::Noted;
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use turmoil::net::{TcpListener, TcpStream};

const ENTRIES: u64 = 150;
const SERVER: ServerId = ServerId(7);

struct TurmoilDial;

#[async_trait]
impl Dial for TurmoilDial {
    async fn dial(&self, server: &Address) -> io::Result<Box<dyn ByteStream>> {
        Ok(Box::new(TcpStream::connect(server.as_str()).await?))
    }
}

/// A memory's log that is in nobody's way.
#[derive(Default)]
struct Log {
    acked: Mutex<Seq>,
}

fn entry(seq: u64) -> Entry {
    let sku = SkuId::parse("thing").expect("a short name");
    Entry { epoch: Epoch(1), seq: Seq(seq), kind: EntryKind::Withdrawn { sku, quantity: 1 } }
}

#[async_trait]
impl ShardLog for Log {
    async fn read(&self, _: ShardId, _: Fence, after: Option<Seq>, limit: usize) -> Outcome<LogPage, Fenced> {
        let acked = *self.acked.lock().expect("no holder panics");
        let from = after.unwrap_or(acked).0 + 1;
        let entries = (from..=ENTRIES).take(limit).map(entry).collect();
        Outcome::Done(LogPage { entries, last: Seq(ENTRIES), acked, sealed: false })
    }

    async fn ack(&self, _: ShardId, _: Fence, seq: Seq) -> Outcome<(), Fenced> {
        let mut acked = self.acked.lock().expect("no holder panics");
        *acked = seq.max(*acked);
        Outcome::Done(())
    }

    async fn trim(&self, _: ShardId, _: Fence, _: Seq, _: u64) -> Outcome<u64, Fenced> {
        Outcome::Done(0)
    }
}

fn env(seed: Seed, name: &str) -> SharedEnv {
    PassedEnv::shared(seed.stream(name), || turmoil::sim_elapsed().unwrap_or_default())
}

fn ports(env: &SharedEnv, wired: &Wired) -> Ports {
    let servers = Servers::new(RedisConfig::default(), Arc::new(TurmoilDial), env.clone());
    let directory = Arc::new(StoreDirectory::new(wired.store.clone()));
    Ports {
        env: env.clone(),
        owner: env.entropy(),
        telemetry: Telemetry::shared(),
        store: wired.store.clone(),
        ledger: Arc::new(RedisLedger::new(servers.clone(), directory.clone())),
        intents: wired.intents.clone(),
        drain: Arc::new(DrainedByForwarder),
        feed: wired.feed.clone(),
        delay: Arc::new(RedisDelayQueue::new(servers, directory)),
        provider: wired.provider.clone(),
    }
}

/// A simulation with database and broker, and this role on two hosts.
fn stage(
    seed: Seed,
    mounts: &Mounts,
    role: impl Fn(&Ports, &Wired, &watch::Receiver<bool>) + Clone + 'static,
) -> turmoil::Sim<'static> {
    let mut sim = turmoil::Builder::new()
        .rng_seed(seed.0)
        .simulation_duration(Duration::from_secs(300))
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(8))
        .build();
    let (database, broker) = (mounts.database.clone(), mounts.broker.clone());
    sim.host("database", move || {
        let mount = database.clone();
        async move {
            let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 1)).await?;
            Ok(serve(mount, env(seed, "database"), async || Ok(listener.accept().await?.0)).await?)
        }
    });
    sim.host("broker", move || {
        let mount = broker.clone();
        async move {
            let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 1)).await?;
            Ok(serve(mount, env(seed, "broker"), async || Ok(listener.accept().await?.0)).await?)
        }
    });
    let lives = Arc::new(Mutex::new(0));
    for name in ["role-0", "role-1"] {
        let (services, role, lives) = (mounts.services(), role.clone(), lives.clone());
        sim.host(name, move || {
            let life = {
                let mut lives = lives.lock().expect("no holder panics");
                *lives += 1;
                *lives
            };
            let env = env(seed, &format!("{name}/{life}"));
            let (services, role) = (services.clone(), role.clone());
            async move {
                let wired = Wired::connect(&env, Arc::new(TurmoilDial), &services);
                let (_stop, stopped) = watch::channel(false);
                role(&ports(&env, &wired), &wired, &stopped);
                std::future::pending::<()>().await;
                Ok(())
            }
        });
    }
    sim
}

/// The database's state before anything runs: a sale whose shard is open on a server.
fn open(mounts: &Mounts) -> ShardId {
    let shard = ShardId { sale: sale(), k: 0 };
    let product = doorbuster_core::ids::ProductId::parse("thing").expect("a short name");
    let sku = SkuId::parse("thing").expect("a short name");
    let new = NewSku { sku, product, name: "a thing".to_owned(), price_minor: 100, stock: 1_000 };
    apply(mounts, create());
    apply(mounts, Command::Sale(SaleCommand::AddSkus { sale: sale(), skus: vec![new] }));
    let row = mounts.database.look(|database| database.rows().shards[&shard].clone());
    let climb = |step| Command::Ladder(LadderCommand { shard, owner: None, step });
    apply(mounts, climb(LadderStep::BeginOpening(row.rung(), SERVER, Nonce(1))));
    apply(mounts, climb(LadderStep::FinishOpening(Rung { phase: Phase::Opening, epoch: row.epoch, nonce: Nonce(1) })));
    shard
}

fn apply(mounts: &Mounts, command: Command) {
    let now = Now { mono: Mono(0), wall: Wall(super::pipes::BEGINNING_MS) };
    let applied = mounts.database.act(now, |database: &mut Database, out| database.commit(now, &command, out));
    applied.unwrap_or_else(|refusal| panic!("{command:?} was refused: {refusal:?}"));
}

/// Steps a simulation until this holds, and lets something happen at some steps.
fn run(
    sim: &mut turmoil::Sim<'_>,
    mut at_step: impl FnMut(&mut turmoil::Sim<'_>, u64),
    mut holds: impl FnMut() -> bool,
) {
    for step in 0..200_000 {
        sim.step().expect("no host fails");
        at_step(sim, step);
        if holds() {
            return;
        }
    }
    panic!("it never comes to its end");
}

/// What a run of forwarders under trouble leaves: the seqs in the partition, and how long it took.
fn forward(seed: Seed) -> (Vec<u64>, Duration) {
    let mounts = Mounts::new(seed);
    let shard = open(&mounts);
    let log = Arc::new(Log::default());
    let forwards = {
        let log = log.clone();
        move |ports: &Ports, wired: &Wired, stop: &watch::Receiver<bool>| {
            roles::forwarder::start(ports, &wired.forwarding(log.clone()), stop);
        }
    };
    let mut sim = stage(seed, &mounts, forwards);
    let now = Now { mono: Mono(0), wall: Wall(super::pipes::BEGINNING_MS) };
    mounts.broker.act(now, |broker, _| {
        broker.conditions.strike(FaultKind::K2, 300);
        broker.conditions.strike(FaultKind::K3, 300);
    });
    let trouble = |sim: &mut turmoil::Sim<'_>, step: u64| match step {
        60 => sim.crash("role-0"),
        200 => sim.hold("role-1", "broker"),
        2_000 => sim.bounce("role-0"),
        4_000 => sim.release("role-1", "broker"),
        6_000 => sim.crash("broker"),
        6_500 => sim.bounce("broker"),
        _ => {}
    };
    run(&mut sim, trouble, || *log.acked.lock().expect("no holder panics") == Seq(ENTRIES));
    let partition = Partition::of_shard(shard, PARTITIONS);
    let told = mounts.broker.look(|broker| {
        let records = broker.log(TopicId::Intents, partition).expect("it has records").records();
        let seq = |payload: &Payload| match payload {
            Payload::Intent(Intent::Entry(of, entry)) if *of == shard => entry.seq.0,
            other => panic!("nothing else was forwarded: {other:?}"),
        };
        records.iter().map(|(_, payload)| seq(payload)).collect()
    });
    (told, sim.elapsed())
}

#[test]
fn forwarders_bring_every_entry_into_its_partition_in_order() {
    let (told, _) = forward(Seed(31));
    let mut reached = 0;
    for seq in told {
        assert!(seq <= reached + 1, "{seq} stands behind {reached}: entries are missing");
        reached = reached.max(seq);
    }
    assert_eq!(reached, ENTRIES);
}

#[test]
fn a_seed_is_a_run() {
    assert_eq!(forward(Seed(33)), forward(Seed(33)));
    assert_ne!(forward(Seed(33)), forward(Seed(34)));
}

/// What the transactions told.
fn owed(mounts: &Mounts) -> Vec<Event> {
    let noted = mounts.noted.lock().expect("no holder panics");
    let events = noted.iter().filter_map(|noted| match noted {
        Noted::Committed(commit) => Some(commit.decision.change.events.clone()),
        Noted::Probed(_) | Noted::Bitten(..) => None,
    });
    events.flatten().collect()
}

fn kept(mounts: &Mounts) -> Vec<Event> {
    let mut events = Vec::new();
    mounts.broker.look(|broker| {
        for (_, _, log) in broker.logs() {
            events.extend(log.records().iter().filter_map(|(_, payload)| match payload {
                Payload::Event(event) => Some(event.clone()),
                Payload::Intent(_) | Payload::Poison => None,
            }));
        }
    });
    events
}

#[test]
fn relays_bring_every_outbox_row_to_its_topic() {
    let mounts = Mounts::new(Seed(32));
    open(&mounts);
    let relays = |ports: &Ports, wired: &Wired, stop: &watch::Receiver<bool>| {
        roles::relay::start(ports, &wired.relaying(), stop);
    };
    let mut sim = stage(Seed(32), &mounts, relays);
    let top_up = |number: u64| {
        let key = doorbuster_core::ids::Key::parse(&format!("key-{number}")).expect("a short key");
        let sku = SkuId::parse("thing").expect("a short name");
        Command::Sale(SaleCommand::TopUp { sale: sale(), sku, quantity: 1 + number, key })
    };
    let trouble = |sim: &mut turmoil::Sim<'_>, step: u64| {
        if step % 200 == 100 && step < 8_000 {
            apply(&mounts, top_up(step));
        }
        match step {
            500 => sim.partition("role-0", "broker"),
            1_500 => sim.crash("role-1"),
            3_000 => sim.bounce("role-1"),
            5_000 => sim.repair("role-0", "broker"),
            5_500 => mounts.database.act(now(sim), |database, _| assert!(database.stream.reshape(false, 0))),
            6_000 => sim.crash("database"),
            6_200 => sim.bounce("database"),
            _ => {}
        }
    };
    let mut steps = 0;
    let is_relayed = || {
        steps += 1;
        steps > 8_000
            && mounts.database.look(|database| database.stream.unsent() == 0 && database.stream.only_leaves_are_open())
    };
    run(&mut sim, trouble, is_relayed);
    let (owed, kept) = (owed(&mounts), kept(&mounts));
    assert!(owed.len() > 40, "every top-up tells of itself");
    for event in &owed {
        assert!(kept.contains(event), "{event:?} was never published");
    }
    for event in &kept {
        assert!(owed.contains(event), "{event:?} comes of no transaction");
    }
}

fn now(sim: &turmoil::Sim<'_>) -> Now {
    let passed = sim.elapsed();
    let wall = Wall(super::pipes::BEGINNING_MS + passed.as_millis() as u64);
    Now { mono: Mono(passed.as_micros() as u64), wall }
}
