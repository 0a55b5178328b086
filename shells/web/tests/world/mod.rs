//! A platform of one thread behind the real HTTP server: rows and shards are core's own models, so an answer is what
//! core decides; faults are switched on by name.
#![allow(dead_code, reason = "each test binary uses its own part of the world")]

pub mod client;
pub mod ports;

use client::Client;
use doorbuster_core::database::command::{Command, Refusal, Reply};
use doorbuster_core::database::decide::{decide, reads};
use doorbuster_core::database::event::Event;
use doorbuster_core::database::rows::{Phase, ShardRow};
use doorbuster_core::database::tables::{Rows, View};
use doorbuster_core::ids::{Nonce, SaleId, ServerId, ShardId, UserId};
use doorbuster_core::intake::IntakeBatch;
use doorbuster_core::ledger::entry::{Entry, Intent};
use doorbuster_core::ledger::epoch::{LadderCommand, LadderStep, chunks, load_head};
use doorbuster_core::ledger::shard::Shard;
use doorbuster_core::time::{Mono, Now, Wall};
use doorbuster_embedded::server::MemorySharedCache;
use doorbuster_runtime::env::{Env, SharedEnv};
use doorbuster_runtime::ports::admit::Admission;
use doorbuster_runtime::roles::cache::{self, Behind};
use doorbuster_runtime::telemetry::Telemetry;
use doorbuster_web::api::{Api, Light, LiveVerdict, Ports, Secrets, Settings, Shared};
use doorbuster_web::token::{Caller, Role};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

/// 2026-01-01T00:00:00Z.
pub const START: Wall = Wall(1_767_225_600_000);
pub const WEBHOOK_SECRET: &[u8] = b"webhook secret";
const SERVER: ServerId = ServerId(7);

/// What is broken now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    StoreUnavailable,
    StoreUnknown,
    LedgerSilent,
    ProviderUnavailable,
    ProviderUnknown,
    /// A handler of ours panics.
    StorePanics,
    /// The store never answers.
    StoreHangs,
}

#[derive(Default)]
pub struct State {
    pub rows: Rows,
    pub shards: BTreeMap<ShardId, Shard>,
    pub log: Vec<(ShardId, Entry)>,
    pub events: Vec<Event>,
    pub faults: BTreeSet<Fault>,
    pub scripted: Option<Admission>,
    pub charges: Vec<(String, Option<String>)>,
    pub asked: u64,
    /// Reads in which a product was asked for.
    pub product_reads: u64,
}

/// Clocks that stand until they are moved.
#[derive(Default)]
pub struct StillEnv {
    passed_ms: AtomicU64,
    /// How far the wall clock is behind what has passed.
    behind_ms: AtomicU64,
}

impl Env for StillEnv {
    fn now(&self) -> Now {
        let (passed, behind) = (self.passed_ms.load(Ordering::Relaxed), self.behind_ms.load(Ordering::Relaxed));
        Now { mono: Mono(1_000_000 + passed * 1000), wall: START.after_ms(passed - behind) }
    }

    fn entropy(&self) -> u64 {
        7
    }
}

pub struct World {
    pub state: Mutex<State>,
    pub env: StillEnv,
    /// Lets a hanging store go on.
    pub release: Notify,
}

impl World {
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub fn pass_ms(&self, millis: u64) {
        self.env.passed_ms.fetch_add(millis, Ordering::Relaxed);
    }

    /// The wall clock is so far behind what has passed.
    pub fn stand_back_ms(&self, millis: u64) {
        self.env.behind_ms.store(millis, Ordering::Relaxed);
    }

    pub fn break_now(&self, fault: Fault) {
        self.state().faults.insert(fault);
    }

    pub fn mend(&self) {
        self.state().faults.clear();
    }

    pub fn script(&self, admission: Admission) {
        self.state().scripted = Some(admission);
    }

    pub fn apply(&self, command: &Command) -> Result<Reply, Refusal> {
        let at = self.env.now().wall;
        let mut state = self.state();
        let mut view = View::default();
        loop {
            let wanted = reads(command, &view);
            if wanted.is_empty() {
                break;
            }
            let rows = state.rows.select(&wanted);
            view.absorb(wanted, rows);
        }
        let decision = decide(&view, command, at)?;
        for event in &decision.change.events {
            state.settle(event);
            state.events.push(event.clone());
        }
        decision.change.write_to(&mut state.rows);
        Ok(decision.reply)
    }

    /// Intake: everything in the log becomes rows.
    pub fn drain(&self) {
        let log = std::mem::take(&mut self.state().log);
        for (shard, entry) in log {
            let batch = IntakeBatch { shard, intents: vec![Intent::Entry(shard, entry)] };
            self.apply(&Command::Intake(batch)).expect("intake refuses nothing");
        }
    }

    /// Keeper: every shard of the sale that can be opened is loaded and opened.
    pub fn open_shards(&self, sale: SaleId) {
        let shards: Vec<ShardRow> =
            self.state().rows.shards.values().filter(|row| row.id.sale == sale).cloned().collect();
        for row in shards.into_iter().filter(|row| row.phase == Phase::Sealed) {
            self.climb(row.id, LadderStep::BeginOpening(row.rung(), SERVER, Nonce(row.epoch.0)));
            let opening = self.state().rows.shards[&row.id].clone();
            self.load(&opening);
            self.climb(row.id, LadderStep::FinishOpening(opening.rung()));
        }
    }

    /// Ends the epoch as if its whole log had been decided and its seal had come.
    pub fn end_epoch(&self, shard: ShardId) {
        let row = self.state().rows.shards[&shard].clone();
        let intents = vec![Intent::Seal(shard, row.epoch)];
        self.apply(&Command::Intake(IntakeBatch { shard, intents })).expect("intake refuses nothing");
    }

    fn load(&self, row: &ShardRow) {
        let mut state = self.state();
        let sale = state.rows.sales[&row.id.sale].clone();
        let of_shard = state.rows.stock.iter().filter(|((shard, _), _)| *shard == row.id);
        let stock: Vec<_> = of_shard.map(|((_, sku), stock)| (*sku, *stock)).collect();
        let orders: Vec<_> = state.rows.orders.values().filter(|order| order.id.shard == row.id).cloned().collect();
        let loads: Vec<_> = chunks(load_head(&sale, &stock), orders.iter()).collect();
        let shard = state.shards.entry(row.id).or_insert_with(|| Shard::empty(SERVER));
        for chunk in &loads {
            shard.load(row.fence(), chunk).expect("a load of one process");
        }
        let paused = sale.state != doorbuster_core::database::rows::SaleState::Open;
        shard.open(row.fence(), loads.len() as u32, paused).expect("a whole load");
    }

    fn climb(&self, shard: ShardId, step: LadderStep) {
        self.apply(&Command::Ladder(LadderCommand { shard, owner: None, step })).expect("one keeper");
    }
}

impl State {
    fn settle(&mut self, event: &Event) {
        match event {
            Event::Settled { shard, epoch, user, id } => {
                if let Some(memory) = self.shards.get_mut(shard) {
                    memory.settle(*epoch, user, *id);
                }
            }
            Event::Granted { shard, epoch, sku, quantity, grant_seq } => {
                if let Some(memory) = self.shards.get_mut(shard) {
                    memory.grant(*epoch, *sku, *quantity, *grant_seq);
                }
            }
            Event::OrderChanged(_)
            | Event::TimeoutDue { .. }
            | Event::ReservationLost { .. }
            | Event::PaymentLate { .. }
            | Event::RefundDue { .. }
            | Event::SaleChanged { .. }
            | Event::CatalogChanged { .. }
            | Event::SalesMoved(_)
            | Event::SalesAdvanced { .. } => {}
        }
    }
}

/// A served world.
pub struct Served {
    pub world: Arc<World>,
    /// What all edges over this world share.
    pub shared: MemorySharedCache,
    pub api: Shared,
    pub address: SocketAddr,
    pub telemetry: Arc<Telemetry>,
    pub stop: watch::Sender<bool>,
    pub server: JoinHandle<()>,
}

impl Served {
    pub async fn start(settings: Settings) -> Served {
        let world = Arc::new(World { state: Mutex::default(), env: StillEnv::default(), release: Notify::new() });
        let shared = MemorySharedCache::new(Arc::new(ports::SharedStill(world.clone())));
        Served::over(world, shared, settings).await
    }

    /// One more edge over the same world.
    pub async fn beside(&self) -> Served {
        Served::over(self.world.clone(), self.shared.clone(), Settings::default()).await
    }

    async fn over(world: Arc<World>, shared: MemorySharedCache, settings: Settings) -> Served {
        let env: SharedEnv = Arc::new(ports::SharedStill(world.clone()));
        let (stop, stopped) = watch::channel(false);
        let behind = Behind { env: env.clone(), store: world.clone(), shared: Arc::new(shared.clone()) };
        let telemetry = Telemetry::shared();
        let verdict = LiveVerdict { id: "I1", state: Light::Green, detail: "0 <= 0".into(), checked_at: Mono(0) };
        let ports = Ports {
            store: world.clone(),
            ledger: world.clone(),
            admit: world.clone(),
            provider: world.clone(),
            products: cache::start(behind, &stopped),
            env,
            telemetry: telemetry.clone(),
            verdicts: Some(watch::channel(vec![verdict]).1),
            depths: None,
        };
        let secrets =
            Secrets { tokens: b"token".to_vec(), receipts: b"receipt".to_vec(), webhooks: WEBHOOK_SECRET.to_vec() };
        let api = Api::shared(ports, secrets, settings);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = doorbuster_runtime::drive::spawn(doorbuster_web::serve_on(listener, api.clone(), stopped));
        Served { world, shared, api, address, telemetry, stop, server }
    }

    /// With rates that no test reaches, and the simulated provider's field.
    pub async fn easy() -> Served {
        Served::start(Settings { dev: true, clicks_per_second: 100_000, clicks_burst: 100_000 }).await
    }

    pub fn token(&self, user: &str, role: Role) -> String {
        let caller = Caller { user: UserId::parse(user).unwrap(), role };
        self.api.tokens().issue(&caller, START.after_ms(3_600_000))
    }

    pub fn anybody(&self) -> Client {
        Client::new(self.address, None)
    }

    pub fn buyer(&self, user: &str) -> Client {
        Client::new(self.address, Some(self.token(user, Role::Buyer)))
    }

    pub fn admin(&self) -> Client {
        Client::new(self.address, Some(self.token("root", Role::Admin)))
    }

    /// A sale that sells `a` and `b`, opened.
    pub async fn sale(&self, id: &str, stock: u64) -> SaleId {
        self.draft(id, stock).await;
        self.admin().post(&format!("/admin/v1/sales/{id}/open"), &json!({})).await.expect(202);
        let sale = SaleId::parse(id).unwrap();
        self.world.open_shards(sale);
        sale
    }

    /// The same, not opened.
    pub async fn draft(&self, id: &str, stock: u64) {
        self.admin().post("/admin/v1/sales", &new_sale(id, stock)).await.expect(201);
    }
}

pub fn new_sale(id: &str, stock: u64) -> Value {
    let sku = |name: &str| json!({"sku": name, "product": "p", "name": name, "price_minor": 500, "currency": "EUR", "stock": stock});
    json!({
        "sale": id, "starts_at": "2025-12-31T23:59:59Z", "ends_at": "2026-01-02T00:00:00Z", "limit_per_user": 2,
        "hold_seconds": 30, "skus": [sku("a"), sku("b")],
    })
}

pub fn wish(sku: &str, quantity: u32) -> Value {
    json!({"lines": [{"sku": sku, "quantity": quantity}]})
}
