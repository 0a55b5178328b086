//! Rows of the sales windows on disk: they survive a restart, a spent ring leaves, and old marks leave by themselves.

mod support;

use doorbuster_core::database::command::{Command, Reply};
use doorbuster_core::database::tables::{Reads, Rows};
use doorbuster_core::ids::{OrderId, ProductId, ReservationId, SaleId, ShardId, SkuId};
use doorbuster_core::inbox::{Offset, Partition};
use doorbuster_core::limits::{COUNTED_TTL_MS, SALES_HOURS};
use doorbuster_core::outcome::Outcome;
use doorbuster_core::time::Wall;
use doorbuster_core::window::command::{SalesBatch, SalesCommand};
use doorbuster_core::window::hour::{HOUR_MS, Hour};
use doorbuster_core::window::movement::{Movement, Sign};
use doorbuster_runtime::contract::Clock;
use doorbuster_runtime::env::Env;
use doorbuster_runtime::ports::store::Store;

fn sku() -> SkuId {
    SkuId::parse("lamp-red").unwrap()
}

fn paid(number: u64, at: Wall) -> Movement {
    let shard = ShardId { sale: SaleId::parse("demo").unwrap(), k: 3 };
    let order = OrderId { shard, reservation: ReservationId(u128::from(number).to_be_bytes()) };
    let product = ProductId::parse("lamp").unwrap();
    Movement { sku: sku(), order, sign: Sign::Paid, product, quantity: 2, paid_at: at }
}

fn count(number: u64, movement: Movement) -> Command {
    let (expected, next) = (Offset(number), Offset(number + 1));
    let batch = SalesBatch { partition: Partition(0), expected, next, movements: vec![movement] };
    Command::Sales(SalesCommand::Count(batch))
}

async fn read(own: &support::Embedded, marks: &[Movement]) -> Rows {
    let mut reads = Reads::default();
    reads.sales_rings.insert(sku());
    reads.sales_cursors.insert(Partition(0));
    reads.counted.extend(marks.iter().map(Movement::id));
    own.rows.read(reads).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn rings_cursors_and_marks_are_kept_and_leave_in_their_time() {
    let directory = tempfile::tempdir().unwrap();
    let own = support::embed(directory.path(), 1);
    let first = paid(1, Env::now(&*own.env).wall);
    assert!(matches!(own.rows.apply(count(0, first)).await, Outcome::Done(Reply::Sales(_))));
    let before = read(&own, &[first]).await;
    assert_eq!((before.sales_rings.len(), before.counted.len()), (1, 1));
    assert_eq!(before.sales_cursors[&Partition(0)].next, Offset(1));
    drop(own);

    let own = support::embed(directory.path(), 2);
    assert_eq!(read(&own, &[first]).await, before, "a restart changes nothing");
    own.env.pass_ms(COUNTED_TTL_MS + HOUR_MS).await;
    let emit = SalesCommand::Emit { hour: Hour(0), skus: vec![sku()] };
    assert_eq!(own.rows.apply(Command::Sales(emit)).await, Outcome::Done(Reply::Count(1)));
    const { assert!(COUNTED_TTL_MS > (SALES_HOURS + 1) * HOUR_MS) };
    assert!(read(&own, &[first]).await.sales_rings.is_empty(), "a ring that shows nothing any more is taken away");
    assert_eq!(read(&own, &[first]).await.counted.len(), 1, "nothing was counted since the mark expired");

    let second = paid(2, Env::now(&*own.env).wall);
    assert!(matches!(own.rows.apply(count(1, second)).await, Outcome::Done(Reply::Sales(_))));
    let marks = read(&own, &[first, second]).await.counted;
    assert_eq!(marks.into_keys().collect::<Vec<_>>(), [second.id()], "a new mark takes an expired one along");
}
