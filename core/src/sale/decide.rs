//! The operator's decisions.

use super::articles;
use super::command::{NewSale, SaleCommand};
use crate::database::command::{Refusal, Reply};
use crate::database::draft::Draft;
use crate::database::event::Event;
use crate::database::rows::{Phase, RangeRow, SaleRow, SaleState, ShardRow, SkuRow, TopUpRow};
use crate::database::tables::{Reads, View};
use crate::ids::{Epoch, Key, Nonce, SaleId, Seq, ServerId, ShardId, SkuId, Version};
use crate::ledger::stock;
use crate::limits::{HOLD_MS_MAX, HOLD_MS_MIN, SHARDS_MAX, STOCK_MAX};

/// The rows that `command` needs.
pub fn reads(command: &SaleCommand, view: &View) -> Reads {
    let mut reads = Reads::default();
    match command {
        SaleCommand::Create(new) => {
            reads.sales.insert(new.id);
        }
        SaleCommand::Enter { sale, .. } => {
            reads.sales.insert(*sale);
            reads.ranges.insert(*sale);
        }
        SaleCommand::AddSkus { sale, skus } => articles::want(&mut reads, view, *sale, skus),
        SaleCommand::Import { sale, products, skus } => {
            articles::want(&mut reads, view, *sale, skus);
            reads.products.extend(products.iter().map(|product| product.id));
        }
        SaleCommand::TopUp { sale, sku, key, .. } => {
            reads.top_ups.insert((*sale, *key));
            want_stock(&mut reads, view, *sale, [*sku].into_iter());
        }
        SaleCommand::Distribute { sale, sku } => want_stock(&mut reads, view, *sale, [*sku].into_iter()),
        SaleCommand::Grant { shard, sku, .. } => {
            reads.sales.insert(shard.sale);
            reads.skus.insert((shard.sale, *sku));
            reads.shards.insert(*shard);
            reads.stock.insert((*shard, *sku));
        }
        SaleCommand::PutProducts(products) => reads.products.extend(products.iter().map(|product| product.id)),
        SaleCommand::ChangeProduct { product, .. } => drop(reads.products.insert(product.id)),
    }
    reads
}

/// The rows of these SKUs in every shard of the sale.
pub fn want_stock(reads: &mut Reads, view: &View, sale: SaleId, skus: impl Iterator<Item = SkuId> + Clone) {
    reads.sales.insert(sale);
    reads.skus.extend(skus.clone().map(|sku| (sale, sku)));
    let Some(row) = view.rows.sales.get(&sale) else { return };
    for k in 0..row.shards {
        let shard = ShardId { sale, k };
        reads.shards.insert(shard);
        reads.stock.extend(skus.clone().map(|sku| (shard, sku)));
    }
}

/// Decides `command`.
pub fn decide(draft: &mut Draft<'_>, command: &SaleCommand) -> Result<Reply, Refusal> {
    match command {
        SaleCommand::Create(new) => create(draft, new),
        SaleCommand::AddSkus { sale, skus } => articles::add_skus(draft, *sale, skus),
        SaleCommand::Import { sale, products, skus } => articles::import(draft, *sale, products, skus),
        SaleCommand::Enter { sale, state } => enter(draft, *sale, *state),
        SaleCommand::TopUp { sale, sku, quantity, key } => top_up(draft, *sale, *sku, *quantity, *key),
        SaleCommand::Distribute { sale, sku } => {
            let row = articles::selling(draft, *sale)?;
            known_sku(draft, *sale, *sku)?;
            stock::distribute(draft, *sale, *sku, row.shards);
            Ok(Reply::Done)
        }
        SaleCommand::Grant { shard, sku, quantity, after } => grant(draft, *shard, *sku, *quantity, *after),
        SaleCommand::PutProducts(products) => articles::put_products(draft, products),
        SaleCommand::ChangeProduct { product, expected } => articles::change_product(draft, product, *expected),
    }
}

fn create(draft: &mut Draft<'_>, new: &NewSale) -> Result<Reply, Refusal> {
    check_rules(new)?;
    let row = SaleRow {
        id: new.id,
        title: new.title.clone(),
        window: new.window,
        limit: new.limit,
        hold_ms: new.hold_ms,
        shards: new.shards,
        ack: new.ack,
        currency: new.currency,
        state: SaleState::Draft,
        version: Version(1),
    };
    if let Some(existing) = draft.sale(&new.id) {
        let same = SaleRow { state: row.state, version: row.version, ..existing.clone() } == row;
        let conflict = Refusal::SaleConflict("a sale of this id exists with other rules");
        return if same { Ok(Reply::Sale(existing.clone())) } else { Err(conflict) };
    }
    draft.put_sale(new.id, row.clone());
    draft.put_range(new.id, RangeRow::default());
    for k in 0..new.shards {
        let id = ShardId { sale: new.id, k };
        draft.put_shard(id, new_shard(id));
    }
    draft.emit(Event::SaleChanged { sale: new.id, version: row.version });
    Ok(Reply::Sale(row))
}

/// A new shard stands on the ladder as if an epoch had just ended: it is opened like any other.
fn new_shard(id: ShardId) -> ShardRow {
    ShardRow {
        id,
        epoch: Epoch(1),
        phase: Phase::Sealed,
        server: ServerId(0),
        nonce: Nonce(0),
        cursor: Seq(0),
        replay_from: None,
        reason: None,
        lease: None,
    }
}

fn check_rules(new: &NewSale) -> Result<(), Refusal> {
    let invalid = |what: String| Err(Refusal::Invalid(what));
    if new.window.starts_at >= new.window.ends_at {
        return invalid("ends_at must be later than starts_at".to_owned());
    }
    if new.limit == 0 {
        return invalid("limit_per_user must be at least 1".to_owned());
    }
    if !(HOLD_MS_MIN..=HOLD_MS_MAX).contains(&new.hold_ms) {
        return invalid(format!("hold must be {} to {} seconds", HOLD_MS_MIN / 1000, HOLD_MS_MAX / 1000));
    }
    if new.shards == 0 || new.shards > SHARDS_MAX {
        return invalid(format!("shards must be 1 to {SHARDS_MAX}"));
    }
    articles::check_text("title", &new.title)
}

fn enter(draft: &mut Draft<'_>, sale: SaleId, state: SaleState) -> Result<Reply, Refusal> {
    let mut row = draft.sale(&sale).cloned().ok_or(Refusal::NoSale)?;
    if row.state == state {
        return Ok(Reply::Sale(row));
    }
    match (row.state, state) {
        (SaleState::Closed, _) => return Err(Refusal::SaleConflict("the sale is closed, for good")),
        (_, SaleState::Draft) => return Err(Refusal::SaleConflict("a sale does not become a draft again")),
        (SaleState::Draft, SaleState::Stopped) => return Err(Refusal::SaleConflict("the sale is not open")),
        (SaleState::Draft, SaleState::Open) if draft.range(&sale).is_none_or(|range| range.skus.is_empty()) => {
            return Err(Refusal::SaleConflict("the sale has no SKU"));
        }
        (SaleState::Draft | SaleState::Open | SaleState::Stopped, _) => {}
    }
    row.state = state;
    row.version = row.version.next();
    draft.put_sale(sale, row.clone());
    draft.emit(Event::SaleChanged { sale, version: row.version });
    Ok(Reply::Sale(row))
}

fn top_up(draft: &mut Draft<'_>, sale: SaleId, sku: SkuId, quantity: u64, key: Key) -> Result<Reply, Refusal> {
    // Before everything that may have changed since: a repetition deserves its first answer.
    if let Some(done) = draft.top_up(&(sale, key)) {
        let same = done.sku == sku && done.quantity == quantity;
        return if same { Ok(Reply::Done) } else { Err(Refusal::KeyReused) };
    }
    let row = articles::selling(draft, sale)?;
    let total = known_sku(draft, sale, sku)?.total;
    if quantity == 0 || quantity > STOCK_MAX - total {
        return Err(Refusal::Invalid(format!("quantity must be 1 to {}", STOCK_MAX - total)));
    }
    stock::add(draft, sale, sku, quantity);
    stock::distribute(draft, sale, sku, row.shards);
    let done = TopUpRow { sku, quantity, total: total + quantity, done_at: draft.at };
    draft.put_top_up((sale, key), done);
    Ok(Reply::Done)
}

fn grant(draft: &mut Draft<'_>, shard: ShardId, sku: SkuId, quantity: u64, after: u64) -> Result<Reply, Refusal> {
    articles::selling(draft, shard.sale)?;
    known_sku(draft, shard.sale, sku)?;
    if draft.shard(&shard).is_none_or(|row| row.phase == Phase::Closed) {
        return Err(Refusal::SaleConflict("the shard is closed, or there is none"));
    }
    if draft.stock(&(shard, sku)).map_or(0, |row| row.grant_seq) != after {
        return Err(Refusal::SaleConflict("the shard was given units since it was looked at"));
    }
    stock::grant(draft, shard, sku, quantity).map_err(|_| Refusal::SaleConflict("the pool has fewer units"))?;
    Ok(Reply::Done)
}

fn known_sku(draft: &Draft<'_>, sale: SaleId, sku: SkuId) -> Result<SkuRow, Refusal> {
    draft.sku(&(sale, sku)).cloned().ok_or(Refusal::NoSku)
}
