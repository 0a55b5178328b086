//! Late payments over the real rows: an unread row is not an absent one, and money that has found its place wants no
//! other.

mod support;

use async_trait::async_trait;
use doorbuster_core::database::command::{Command, Refusal, Reply};
use doorbuster_core::database::rows::{Currency, PaymentRow, PaymentStatus, SaleState};
use doorbuster_core::database::tables::{Reads, Rows};
use doorbuster_core::ids::{Key, OrderId, PaymentId, ReservationId, ShardId};
use doorbuster_core::ledger::reserve::ReserveItem;
use doorbuster_core::order::command::OrderCommand;
use doorbuster_core::order::status::{Ending, Status};
use doorbuster_core::outcome::Outcome;
use doorbuster_core::payment::command::{PaymentCommand, Verdict};
use doorbuster_core::sale::command::SaleCommand;
use doorbuster_core::time::Wall;
use doorbuster_embedded::rows::RowsStore;
use doorbuster_runtime::contract::NewWorld;
use doorbuster_runtime::env::SystemEnv;
use doorbuster_runtime::ports::Unavailable;
use doorbuster_runtime::ports::admit::{Admission, Admit};
use doorbuster_runtime::ports::provider::Provider;
use doorbuster_runtime::ports::store::{Due, Snapshot, Store};
use doorbuster_runtime::roles::{Ports, payment as worker};
use doorbuster_runtime::telemetry::Telemetry;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{mpsc, watch};

/// Reads that fail before the store is well again: the first one is the worker's first.
const FAILURES: usize = 3;

/// The rows, behind a line that drops reads of one order.
struct Unreliable {
    rows: RowsStore,
    order: OrderId,
    failed: AtomicUsize,
    told: mpsc::UnboundedSender<Command>,
}

#[async_trait]
impl Store for Unreliable {
    async fn apply(&self, command: Command) -> Outcome<Reply, Refusal> {
        let outcome = self.rows.apply(command.clone()).await;
        self.told.send(command).unwrap();
        outcome
    }

    async fn read(&self, reads: Reads) -> Result<Rows, Unavailable> {
        if reads.orders.contains(&self.order) && self.failed.fetch_add(1, Ordering::SeqCst) < FAILURES {
            return Err(Unavailable("the line is down".to_owned()));
        }
        self.rows.read(reads).await
    }

    async fn snapshot(&self) -> Result<Arc<dyn Snapshot>, Unavailable> {
        self.rows.snapshot().await
    }

    async fn due(
        &self,
        shard: ShardId,
        before: Wall,
        after: Option<Due>,
        limit: usize,
    ) -> Result<Vec<Due>, Unavailable> {
        self.rows.due(shard, before, after, limit).await
    }
}

/// A shard that does not sell, and counts who asks it.
#[derive(Default)]
struct NotSelling(AtomicUsize);

#[async_trait]
impl Admit for NotSelling {
    async fn reserve(&self, _: ShardId, _: ReserveItem) -> Admission {
        self.0.fetch_add(1, Ordering::SeqCst);
        Admission::NotReady
    }
}

/// The provider is never asked for anything.
struct Idle;

#[async_trait]
impl Provider for Idle {
    async fn charge(&self, _: &PaymentRow, _: Currency, _: Option<String>) -> Outcome<(), Unavailable> {
        Outcome::Unknown
    }

    async fn refund(&self, _: PaymentId) -> Outcome<(), Unavailable> {
        Outcome::Unknown
    }
}

async fn done(rows: &RowsStore, command: Command) {
    let outcome = rows.apply(command).await;
    assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
}

/// Money that came after its order had ended; what was reserved for it.
async fn late_money(rows: &RowsStore, payment: PaymentId) -> ReserveItem {
    let world = support::world();
    world.create(rows, NewWorld::default()).await;
    let first = world.item(0, 0, &[(0, 1)]);
    let order = world.order(&first);
    world.take_in(rows, Wall(5), &[(1, vec![first.clone()])]).await;
    done(rows, Command::Payment(PaymentCommand::Start { payment, order, user: first.user.clone() })).await;
    done(rows, Command::Order(OrderCommand::Cancel { order, user: None, ending: Ending::Operator })).await;
    done(rows, Command::Payment(PaymentCommand::Settle { payment, verdict: Verdict::Succeeded })).await;
    first
}

/// Late money whose new reservation has become an order, in a sale that was closed since; the new order.
async fn prepared(rows: &RowsStore, payment: PaymentId) -> OrderId {
    let world = support::world();
    let first = late_money(rows, payment).await;
    let id = ReservationId::derive(world.sale, &first.user, &Key::of_late_payment(payment));
    let again = ReserveItem { id, ..first };
    world.take_in(rows, Wall(6), &[(2, vec![again.clone()])]).await;
    done(rows, Command::Sale(SaleCommand::Enter { sale: world.sale, state: SaleState::Closed })).await;
    world.order(&again)
}

fn ports(embedded: &support::Embedded, store: Unreliable) -> Ports {
    Ports {
        env: SystemEnv::shared(),
        owner: 1,
        telemetry: Telemetry::shared(),
        store: Arc::new(store),
        ledger: Arc::new(embedded.ledger.clone()),
        intents: Arc::new(embedded.intents.clone()),
        drain: Arc::new(embedded.intents.clone()),
        feed: Arc::new(embedded.feed.clone()),
        delay: Arc::new(embedded.delay.clone()),
        provider: Arc::new(Idle),
    }
}

#[tokio::test]
async fn a_late_payment_whose_order_cannot_be_read_is_not_given_up() {
    let directory = tempfile::tempdir().unwrap();
    let embedded = support::embed(directory.path(), 1);
    let payment = PaymentId::parse("late-money").unwrap();
    let order = prepared(&embedded.rows, payment).await;
    let (told, mut commands) = mpsc::unbounded_channel();
    let store = Unreliable { rows: embedded.rows.clone(), order, failed: AtomicUsize::new(0), told };
    let (stop, stopped) = watch::channel(false);
    worker::start(&ports(&embedded, store), Arc::new(NotSelling::default()), &stopped);
    let first = commands.recv().await.unwrap();
    assert_eq!(first, Command::Payment(PaymentCommand::PayLate { payment, order }), "the money has an order");
    stop.send_replace(true);
    let reads = Reads { orders: [order].into(), payments: [payment].into(), ..Reads::default() };
    let rows = embedded.rows.read(reads).await.unwrap();
    assert_eq!((rows.payments[&payment].status, rows.orders[&order].status), (PaymentStatus::Paid, Status::Paid));
}

#[tokio::test]
async fn a_late_payment_that_went_back_takes_no_unit_when_it_is_told_again() {
    let directory = tempfile::tempdir().unwrap();
    let embedded = support::embed(directory.path(), 1);
    let payment = PaymentId::parse("late-money").unwrap();
    let order = support::world().order(&late_money(&embedded.rows, payment).await);
    done(&embedded.rows, Command::Payment(PaymentCommand::GiveUpLate { payment })).await;
    let (told, mut commands) = mpsc::unbounded_channel();
    let store = Unreliable { rows: embedded.rows.clone(), order, failed: AtomicUsize::new(FAILURES), told };
    let (stop, stopped) = watch::channel(false);
    let shard = Arc::new(NotSelling::default());
    worker::start(&ports(&embedded, store), shard.clone(), &stopped);
    let first = commands.recv().await.unwrap();
    assert_eq!(first, Command::Payment(PaymentCommand::GiveUpLate { payment }), "it has been given up already");
    stop.send_replace(true);
    assert_eq!(shard.0.load(Ordering::SeqCst), 0, "nobody would pay for that unit");
}
