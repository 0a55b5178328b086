//! Keys as bytes: a table's tag, then the parts in the order in which scans want them.
//!
//! A name is ended by a zero byte, which no name contains, so that the order of keys is the order of names.

use crate::rows::outbox::TopicCode;
use doorbuster_core::database::event::Topic;
use doorbuster_core::ids::{OrderId, PaymentId, ProductId, ReservationId, SaleId, ShardId, SkuId, UserId};
use doorbuster_core::inbox::Partition;
use doorbuster_core::time::Wall;
use doorbuster_core::window::movement::{MovementId, Sign};
use doorbuster_runtime::ports::store::Due;

/// One byte per table, never reused.
#[derive(Clone, Copy)]
#[repr(u8)]
pub enum Table {
    Meta = 0,
    Sales = 1,
    Ranges = 2,
    Products = 3,
    Skus = 4,
    Shards = 5,
    Stock = 6,
    Orders = 7,
    Quotas = 8,
    Payments = 9,
    Due = 10,
    Offsets = 11,
    DeadLetters = 12,
    Commits = 13,
    Ticks = 14,
    TopUps = 15,
    SalesRings = 16,
    SalesCursors = 17,
    Counted = 18,
    Expiries = 19,
}

/// A key in the making.
struct Key(Vec<u8>);

impl Key {
    fn of(table: Table) -> Key {
        let mut bytes = Vec::with_capacity(64);
        bytes.push(table as u8);
        Key(bytes)
    }

    fn name(mut self, name: &str) -> Key {
        self.0.extend_from_slice(name.as_bytes());
        self.0.push(0);
        self
    }

    fn bytes(mut self, bytes: &[u8]) -> Key {
        self.0.extend_from_slice(bytes);
        self
    }

    fn shard(self, shard: ShardId) -> Key {
        self.name(shard.sale.as_str()).bytes(&shard.k.to_be_bytes())
    }
}

/// Which format the rows are in.
pub fn format() -> Vec<u8> {
    Key::of(Table::Meta).0
}

/// The number of the last group of commits. The outbox has it too: its topics' codes end far below.
pub fn commits() -> Vec<u8> {
    Key::of(Table::Commits).0
}

/// All ticks of the belt.
pub fn ticks() -> Vec<u8> {
    Key::of(Table::Ticks).0
}

/// One tick of the belt.
pub fn tick(number: u64) -> Vec<u8> {
    Key::of(Table::Ticks).bytes(&number.to_be_bytes()).0
}

/// Which tick a key is.
pub fn parse_tick(key: &[u8]) -> Option<u64> {
    let tail = key.strip_prefix(ticks().as_slice())?;
    Some(u64::from_be_bytes(tail.try_into().ok()?))
}

pub fn sale(sale: &SaleId) -> Vec<u8> {
    Key::of(Table::Sales).name(sale.as_str()).0
}

pub fn range(sale: &SaleId) -> Vec<u8> {
    Key::of(Table::Ranges).name(sale.as_str()).0
}

pub fn product(product: &ProductId) -> Vec<u8> {
    Key::of(Table::Products).name(product.as_str()).0
}

pub fn sku((sale, sku): &(SaleId, SkuId)) -> Vec<u8> {
    Key::of(Table::Skus).name(sale.as_str()).name(sku.as_str()).0
}

pub fn shard(shard: &ShardId) -> Vec<u8> {
    Key::of(Table::Shards).shard(*shard).0
}

pub fn stock((shard, sku): &(ShardId, SkuId)) -> Vec<u8> {
    Key::of(Table::Stock).shard(*shard).name(sku.as_str()).0
}

pub fn order(order: &OrderId) -> Vec<u8> {
    Key::of(Table::Orders).shard(order.shard).bytes(&order.reservation.0).0
}

pub fn quota((shard, user): &(ShardId, UserId)) -> Vec<u8> {
    Key::of(Table::Quotas).shard(*shard).name(user.as_str()).0
}

pub fn payment(payment: &PaymentId) -> Vec<u8> {
    Key::of(Table::Payments).name(payment.as_str()).0
}

pub fn top_up((sale, key): &(SaleId, doorbuster_core::ids::Key)) -> Vec<u8> {
    Key::of(Table::TopUps).name(sale.as_str()).name(key.as_str()).0
}

pub fn sales_ring(sku: &SkuId) -> Vec<u8> {
    Key::of(Table::SalesRings).name(sku.as_str()).0
}

pub fn sales_cursor(partition: &Partition) -> Vec<u8> {
    Key::of(Table::SalesCursors).bytes(&partition.0.to_be_bytes()).0
}

pub fn counted((sku, order, sign): &MovementId) -> Vec<u8> {
    let code = match sign {
        Sign::Paid => 0,
        Sign::Refunded => 1,
    };
    let key = Key::of(Table::Counted).name(sku.as_str()).shard(order.shard);
    key.bytes(&order.reservation.0).bytes(&[code]).0
}

/// A row that expires, by time; `row` is its key.
pub fn expiry(at: Wall, row: &[u8]) -> Vec<u8> {
    Key::of(Table::Expiries).bytes(&at.0.to_be_bytes()).bytes(row).0
}

/// What has expired by this time: the end of the keys' range.
pub fn expired_by(at: Wall) -> Vec<u8> {
    Key::of(Table::Expiries).bytes(&at.0.to_be_bytes()).0
}

/// The key of the row that a key of the expiries names.
pub fn expiring(key: &[u8]) -> Option<&[u8]> {
    key.get(9..)
}

/// Everything of a table.
pub fn all(table: Table) -> Vec<u8> {
    Key::of(table).0
}

/// Everything of a shard in a table whose keys begin with the shard.
pub fn of_shard(table: Table, shard: ShardId) -> Vec<u8> {
    Key::of(table).shard(shard).0
}

/// The index of unpaid orders: by shard, then by time.
pub fn due(shard: ShardId, expires_at: Wall, reservation: ReservationId) -> Vec<u8> {
    Key::of(Table::Due).shard(shard).bytes(&expires_at.0.to_be_bytes()).bytes(&reservation.0).0
}

/// The first key of a shard's due orders at or after this time.
pub fn due_from(shard: ShardId, expires_at: Wall) -> Vec<u8> {
    Key::of(Table::Due).shard(shard).bytes(&expires_at.0.to_be_bytes()).0
}

/// What a key of the due index says, the version aside.
pub fn parse_due(shard: ShardId, key: &[u8]) -> Option<(Wall, OrderId)> {
    let tail = key.strip_prefix(of_shard(Table::Due, shard).as_slice())?;
    let (time, reservation) = tail.split_first_chunk::<8>()?;
    let reservation = ReservationId(reservation.try_into().ok()?);
    Some((Wall(u64::from_be_bytes(*time)), OrderId { shard, reservation }))
}

/// The key right behind this one in the due index.
pub fn after_due(due_order: Due) -> Vec<u8> {
    let mut key = due(due_order.order.shard, due_order.expires_at, due_order.order.reservation);
    key.push(0);
    key
}

/// How far a group has come in a topic.
pub fn offset(group: &str, topic: Topic) -> Vec<u8> {
    Key::of(Table::Offsets).name(group).bytes(&[topic.code()]).0
}

/// How far intake has come in the log.
pub fn intents_offset() -> Vec<u8> {
    Key::of(Table::Offsets).name("intents").0
}

/// A record of the log that is no intent, by its position.
pub fn dead_letter(position: u64) -> Vec<u8> {
    Key::of(Table::DeadLetters).bytes(&position.to_be_bytes()).0
}

/// A batch of outbox events of one topic, by the offset of its first event.
pub fn outbox(topic: Topic, first: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(9);
    key.push(topic.code());
    key.extend_from_slice(&first.to_be_bytes());
    key
}
