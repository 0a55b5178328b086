//! The rows, as every store keeps them.

use crate::ids::{Epoch, Nonce, OrderId, PaymentId, ProductId, SaleId, Seq, ServerId, ShardId, SkuId, UserId, Version};
use crate::ledger::basket::{Basket, BodyHash};
use crate::ledger::page::Acceptance;
use crate::ledger::shard::Window;
use crate::order::status::Status;
use crate::time::Wall;
use serde::{Deserialize, Serialize};

/// A sale and its rules; what is fixed at creation is never changed by a command.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SaleRow {
    /// Which.
    pub id: SaleId,
    /// What people call it.
    pub title: String,
    /// When it sells.
    pub window: Window,
    /// Most live units of one user, over all SKUs.
    pub limit: u32,
    /// Pay window in milliseconds.
    pub hold_ms: u64,
    /// Slices of users; fixed at creation.
    pub shards: u16,
    /// What a 202 promises.
    pub ack: AckLevel,
    /// ISO 4217 code of every price of the sale.
    pub currency: Currency,
    /// What the operator wants.
    pub state: SaleState,
    /// Counts the changes of this row.
    pub version: Version,
}

/// The SKUs of a sale: apart from the sale's row, because every intake reads that one and few need this.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RangeRow {
    /// Sorted, without repetition; at most `SKUS_MAX`.
    pub skus: Vec<SkuId>,
}

/// What the operator wants of a sale; shards follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SaleState {
    /// Being prepared.
    Draft,
    /// Sells within its window.
    Open,
    /// Paused.
    Stopped,
    /// Over, for good.
    Closed,
}

/// When the reply to an acceptance may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AckLevel {
    /// When the shard's server has answered: a loss of that server may lose it, and the buyer is told.
    Redis,
    /// When a replica has it too: less likely, the same guarantee.
    Replica,
    /// When the durable log has it: a loss of the shard's server loses nothing.
    Log,
}

/// An ISO 4217 alphabetic code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency([u8; 3]);

impl Currency {
    /// Three capital letters; which of them exist is the provider's knowledge.
    pub fn parse(code: &str) -> Option<Currency> {
        let bytes: [u8; 3] = code.as_bytes().try_into().ok()?;
        bytes.iter().all(u8::is_ascii_uppercase).then_some(Currency(bytes))
    }

    /// The code.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("only capital letters are parsed")
    }
}

impl TryFrom<String> for Currency {
    type Error = String;
    fn try_from(code: String) -> Result<Currency, String> {
        Currency::parse(&code).ok_or_else(|| format!("{code} is not a currency: expected three capital letters"))
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> String {
        currency.as_str().to_owned()
    }
}

/// A product of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProductRow {
    /// Which.
    pub id: ProductId,
    /// What it is called.
    pub name: String,
    /// Where it is found.
    pub category: String,
    /// Its picture.
    pub image_url: String,
    /// Counts the changes of this row.
    pub version: Version,
}

/// One SKU in one sale: its price, and the stock that no shard has.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SkuRow {
    /// The sale.
    pub sale: SaleId,
    /// Which.
    pub sku: SkuId,
    /// Variant of which product.
    pub product: ProductId,
    /// What the variant is called.
    pub name: String,
    /// Price of one unit in minor units of the sale's currency.
    pub price_minor: u64,
    /// Units in the sale, ever given and not taken away.
    pub total: u64,
    /// Units not granted to any shard. I2: pool + what all shards have = total.
    pub pool: u64,
    /// Counts the changes of this row.
    pub version: Version,
}

/// One shard's place on the epoch ladder.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ShardRow {
    /// Which.
    pub id: ShardId,
    /// The epoch that is open, ending, or to be opened.
    pub epoch: Epoch,
    /// The rung.
    pub phase: Phase,
    /// Whose memory the epoch is.
    pub server: ServerId,
    /// Which loading of the epoch.
    pub nonce: Nonce,
    /// Last log entry of this epoch that is decided.
    pub cursor: Seq,
    /// An alarm: entries from here on are missing in the durable log and must be sent again.
    pub replay_from: Option<Seq>,
    /// Why the shard was last sealed; for people.
    pub reason: Option<SealReason>,
    /// Who runs the ladder.
    pub lease: Option<Lease>,
}

/// A rung of the epoch ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Phase {
    /// Nothing is loaded; the epoch before is decided to its end.
    Sealed,
    /// A server is being loaded.
    Opening,
    /// It sells.
    Open,
    /// Its log is being drained; a seal will end it.
    Sealing,
    /// The sale is over; nothing is given to this shard again.
    Closed,
}

/// Why an epoch was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SealReason {
    /// The server that the row names does not answer, or answers with another memory.
    ServerLost,
    /// A loader died half-way.
    LoaderLost,
    /// The sale is over.
    SaleClosed,
    /// An operator asked for it.
    Operator,
    /// An entry would have taken a unit that the shard does not have (I1), or broken a user's quota.
    LedgerBroken,
    /// The shard's counters did not add up (I4, I5).
    CountersBroken,
    /// An entry of a later epoch than the row's: cannot be.
    EpochFromNowhere,
}

/// Who may work on something, until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Lease {
    /// Drawn by the worker at its start.
    pub owner: u64,
    /// By the database's clock.
    pub until: Wall,
}

/// Units of one SKU that one shard has. I1: consumed <= granted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StockRow {
    /// Units given to the shard.
    pub granted: u64,
    /// I3: units of orders that hold one.
    pub consumed: u64,
    /// Grants so far.
    pub grant_seq: u64,
}

/// Live units of one user in one sale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct QuotaRow {
    /// Units of the user's orders that hold one.
    pub live: u32,
}

/// One order; the same id as its reservation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OrderRow {
    /// Which.
    pub id: OrderId,
    /// Whose.
    pub user: UserId,
    /// What was reserved; absent when the buyer abandoned it before anything arrived.
    pub origin: Option<Origin>,
    /// Sum of the lines in minor units of the sale's currency, at the prices of the time of the order.
    pub amount_minor: u64,
    /// Where it stands.
    pub status: Status,
    /// Counts the changes of this row.
    pub version: Version,
    /// When the pay window ends.
    pub expires_at: Wall,
    /// When it was written.
    pub created_at: Wall,
    /// The payment that made it PAID.
    pub payment: Option<PaymentId>,
    /// When it became PAID, by the database's clock in that transaction: the hour in which its units were sold.
    pub paid_at: Option<Wall>,
}

/// The admitted reservation that an order stems from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Origin {
    /// What.
    pub basket: Basket,
    /// Fingerprint of the request.
    pub body: BodyHash,
    /// Where and when it was accepted.
    pub acceptance: Acceptance,
}

/// One payment at a provider.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PaymentRow {
    /// Which; also the provider's idempotency key.
    pub id: PaymentId,
    /// The order that it pays; a late payment may move to another.
    pub order: OrderId,
    /// Who pays.
    pub user: UserId,
    /// How much, in minor units of the sale's currency.
    pub amount_minor: u64,
    /// Where it stands.
    pub status: PaymentStatus,
    /// When it began.
    pub started_at: Wall,
    /// Counts the changes of this row.
    pub version: Version,
}

/// One top-up that was done, under its key in its sale: what a repetition is answered with.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TopUpRow {
    /// Of which SKU.
    pub sku: SkuId,
    /// Units that were added.
    pub quantity: u64,
    /// Units of the SKU in the sale right after it.
    pub total: u64,
    /// When, by the database's clock.
    pub done_at: Wall,
}

/// Where a payment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PaymentStatus {
    /// The provider works on it.
    Started,
    /// The provider said no; nothing was taken from the buyer.
    Declined,
    /// It made its order PAID.
    Paid,
    /// The money came after the order had ended: a new reservation is tried, else it goes back.
    Late,
    /// The money must go back.
    RefundDue,
    /// The money went back.
    Refunded,
}

impl OrderRow {
    /// Units that the order holds in the database (I3), per line; empty when it holds none.
    pub fn held_lines(&self) -> &[crate::ledger::basket::Line] {
        match &self.origin {
            Some(origin) if self.status.holds_units() => origin.basket.lines(),
            Some(_) | None => &[],
        }
    }
}
