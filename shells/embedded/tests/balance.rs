//! Units go where the buyers are: a sale of four shards whose buyers all belong to one of them sells out.

use doorbuster_core::database::command::Command;
use doorbuster_core::database::rows::SaleState;
use doorbuster_core::database::tables::Reads;
use doorbuster_core::ids::{Key, OrderId, SkuId};
use doorbuster_core::ledger::reserve::ReserveRefusal;
use doorbuster_core::limits::GROUP_MAX;
use doorbuster_core::outcome::Outcome;
use doorbuster_core::sale::command::SaleCommand;
use doorbuster_embedded::data::DataDirectory;
use doorbuster_embedded::rows::{RowsFeed, RowsStore};
use doorbuster_embedded::server::{MemoryDelayQueue, ShardServer};
use doorbuster_runtime::contract::{NewWorld, World};
use doorbuster_runtime::drive::Stop;
use doorbuster_runtime::env::SystemEnv;
use doorbuster_runtime::ports::Unavailable;
use doorbuster_runtime::ports::admit::{Admission, Admit};
use doorbuster_runtime::ports::provider::Provider;
use doorbuster_runtime::ports::store::Store;
use doorbuster_runtime::roles::lane::Lanes;
use doorbuster_runtime::roles::{Ports, balancer, intake, keeper, settler};
use doorbuster_runtime::telemetry::{Metric, Telemetry};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

const SHARDS: u16 = 4;
const STOCK: u64 = 64;
/// Each of three shares of sixteen is halved five times, one grant follows each time; twice that, because a keeper that
/// is slow to take units back may be asked again.
const MOVES_MAX: u64 = 2 * 5 * (3 + 1);
/// Clicks after which the platform counts as stuck; between two of them a moment passes.
const CLICKS_MAX: usize = 6_000;
const MOMENT: Duration = Duration::from_millis(10);

/// Nobody pays in this test.
struct NoProvider;

#[async_trait::async_trait]
impl Provider for NoProvider {
    async fn charge(
        &self,
        _: &doorbuster_core::database::rows::PaymentRow,
        _: doorbuster_core::database::rows::Currency,
        _: Option<String>,
    ) -> Outcome<(), Unavailable> {
        Outcome::Refused(Unavailable("nobody pays".to_owned()))
    }

    async fn refund(&self, _: doorbuster_core::ids::PaymentId) -> Outcome<(), Unavailable> {
        Outcome::Refused(Unavailable("nobody pays".to_owned()))
    }
}

struct Shop {
    ports: Ports,
    rows: RowsStore,
    world: World,
    admit: Arc<dyn Admit>,
    clicks: usize,
}

impl Shop {
    async fn open(path: &Path, stop: &Stop) -> Shop {
        let (env, telemetry) = (SystemEnv::shared(), Telemetry::shared());
        let data = DataDirectory::open(path, &env).expect("a fresh directory opens");
        let rows = data.rows.clone();
        let (ledger, intents, _) = ShardServer::start(data.log, data.rows, env.clone(), telemetry.clone());
        let ports = Ports {
            env: env.clone(),
            owner: 1,
            telemetry: telemetry.clone(),
            store: Arc::new(rows.clone()),
            ledger: Arc::new(ledger),
            intents: Arc::new(intents.clone()),
            drain: Arc::new(intents),
            feed: Arc::new(RowsFeed::new(rows.clone())),
            delay: Arc::new(MemoryDelayQueue::new(env, telemetry)),
            provider: Arc::new(NoProvider),
        };
        let world = World { shards: SHARDS, ..World::named("balanced") };
        let new = NewWorld { shards: SHARDS, stock: STOCK, hold_ms: 3_600_000, ..NewWorld::default() };
        world.create(&rows, new).await;
        let open = SaleCommand::Enter { sale: world.sale, state: SaleState::Open };
        let opened = rows.apply(Command::Sale(open)).await;
        assert!(matches!(opened, Outcome::Done(_)), "the sale opens: {opened:?}");
        intake::start(&ports, stop);
        settler::start(&ports, stop, Arc::new(|_, _| {}));
        let balancers = balancer::start(&ports, keeper::follow(&ports, stop), stop);
        let admit = balancers.watch(Arc::new(Lanes::new(ports.clone(), stop.clone(), GROUP_MAX)));
        Shop { ports, rows, world, admit, clicks: 0 }
    }

    /// A click of the next buyer of the first shard.
    async fn click(&mut self) -> Admission {
        let key = Key::parse("key-1").expect("a key");
        loop {
            self.clicks += 1;
            let item = self.world.item(self.clicks, 1, &[(0, 1)]);
            let shard = OrderId::derive(self.world.sale, SHARDS, &item.user, &key).shard;
            if shard.k == 0 {
                return self.admit.reserve(shard, item).await;
            }
        }
    }

    async fn consumed(&self, k: u16) -> u64 {
        let place = (self.world.shard(k), SkuId::parse("sku-0").expect("a name"));
        let mut reads = Reads::default();
        reads.stock.insert(place);
        self.rows.read(reads).await.expect("the rows can be read").stock[&place].consumed
    }

    fn moves(&self) -> u64 {
        self.ports.telemetry.read(Metric::Moves)
    }
}

#[tokio::test]
async fn a_sale_whose_buyers_are_all_of_one_shard_sells_out_in_bounded_steps() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let (stopper, stop) = watch::channel(false);
    let mut shop = Shop::open(directory.path(), &stop).await;
    let mut sold = 0;
    for _ in 0..CLICKS_MAX {
        match shop.click().await {
            Admission::Accepted(_) => sold += 1,
            Admission::Refused(ReserveRefusal::SoldOut(_)) | Admission::NotReady => tokio::time::sleep(MOMENT).await,
            other => panic!("a click became {other:?}"),
        }
        if sold == STOCK {
            break;
        }
    }
    assert_eq!(sold, STOCK, "units stayed in shards without buyers, after {} moves", shop.moves());
    assert!(shop.moves() <= MOVES_MAX, "{} moves", shop.moves());
    let moves = shop.moves();
    while shop.consumed(0).await < STOCK {
        let refused = shop.click().await;
        assert!(matches!(refused, Admission::Refused(ReserveRefusal::SoldOut(_))), "more was sold than there is");
        tokio::time::sleep(MOMENT).await;
    }
    assert_eq!(shop.moves(), moves, "nothing is left to move");
    shop.world.check(shop.rows.snapshot().await.expect("a snapshot").as_ref()).await;
    stopper.send_replace(true);
}
