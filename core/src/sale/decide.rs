//! The operator's decisions.

use super::command::{NewSale, NewSku, SaleCommand};
use crate::database::command::{Refusal, Reply};
use crate::database::draft::Draft;
use crate::database::event::Event;
use crate::database::rows::{Phase, ProductRow, RangeRow, SaleRow, SaleState, ShardRow, SkuRow};
use crate::database::tables::{Reads, View};
use crate::ids::{Epoch, Nonce, SaleId, Seq, ServerId, ShardId, SkuId, Version};
use crate::ledger::stock;
use crate::limits::{
    HOLD_MS_MAX, HOLD_MS_MIN, PRICE_MINOR_MAX, SHARDS_MAX, SKUS_MAX, STOCK_MAX, STOCK_ROWS_MAX, TEXT_MAX,
};

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
        SaleCommand::AddSkus { sale, skus } => {
            reads.ranges.insert(*sale);
            want_stock(&mut reads, view, *sale, skus.iter().map(|new| new.sku));
        }
        SaleCommand::TopUp { sale, sku, .. } | SaleCommand::Distribute { sale, sku } => {
            want_stock(&mut reads, view, *sale, [*sku].into_iter());
        }
        SaleCommand::PutProducts(products) => reads.products.extend(products.iter().map(|product| product.id)),
    }
    reads
}

fn want_stock(reads: &mut Reads, view: &View, sale: SaleId, skus: impl Iterator<Item = SkuId> + Clone) {
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
        SaleCommand::AddSkus { sale, skus } => add_skus(draft, *sale, skus),
        SaleCommand::Enter { sale, state } => enter(draft, *sale, *state),
        SaleCommand::TopUp { sale, sku, quantity } => top_up(draft, *sale, *sku, *quantity),
        SaleCommand::Distribute { sale, sku } => {
            let row = selling(draft, *sale)?;
            known_sku(draft, *sale, *sku)?;
            stock::distribute(draft, *sale, *sku, row.shards);
            Ok(Reply::Done)
        }
        SaleCommand::PutProducts(products) => put_products(draft, products),
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
    check_text("title", &new.title)
}

fn check_text(what: &str, text: &str) -> Result<(), Refusal> {
    if text.is_empty() || text.len() > TEXT_MAX {
        return Err(Refusal::Invalid(format!("{what} must have 1 to {TEXT_MAX} bytes")));
    }
    Ok(())
}

fn add_skus(draft: &mut Draft<'_>, sale: SaleId, skus: &[NewSku]) -> Result<Reply, Refusal> {
    let row = selling(draft, sale)?;
    let mut range = draft.range(&sale).cloned().unwrap_or_default();
    let mut added = 0;
    for new in skus {
        check_sku(new)?;
        if let Some(existing) = draft.sku(&(sale, new.sku)) {
            let same = existing.product == new.product && existing.price_minor == new.price_minor;
            if !same {
                return Err(Refusal::Invalid(format!("{} is in the sale with another product or price", new.sku)));
            }
            continue;
        }
        added += 1;
        range.skus.push(new.sku);
        draft.put_sku((sale, new.sku), new_sku(sale, new));
        stock::distribute(draft, sale, new.sku, row.shards);
        draft.emit(Event::CatalogChanged { product: new.product, version: Version(1) });
    }
    if range.skus.len() > SKUS_MAX || range.skus.len() * usize::from(row.shards) > STOCK_ROWS_MAX {
        let bounds = format!("a sale has at most {SKUS_MAX} SKUs, and SKUs times shards at most {STOCK_ROWS_MAX}");
        return Err(Refusal::Invalid(bounds));
    }
    range.skus.sort_unstable();
    draft.put_range(sale, range);
    Ok(Reply::Count(added))
}

fn check_sku(new: &NewSku) -> Result<(), Refusal> {
    check_text("name", &new.name)?;
    if new.price_minor > PRICE_MINOR_MAX {
        return Err(Refusal::Invalid(format!("price_minor of {} is above {PRICE_MINOR_MAX}", new.sku)));
    }
    if new.stock > STOCK_MAX {
        return Err(Refusal::Invalid(format!("stock of {} is above {STOCK_MAX}", new.sku)));
    }
    Ok(())
}

fn new_sku(sale: SaleId, new: &NewSku) -> SkuRow {
    SkuRow {
        sale,
        sku: new.sku,
        product: new.product,
        name: new.name.clone(),
        price_minor: new.price_minor,
        total: new.stock,
        pool: new.stock,
        version: Version(1),
    }
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

fn top_up(draft: &mut Draft<'_>, sale: SaleId, sku: SkuId, quantity: u64) -> Result<Reply, Refusal> {
    let row = selling(draft, sale)?;
    let total = known_sku(draft, sale, sku)?.total;
    if quantity == 0 || quantity > STOCK_MAX - total {
        return Err(Refusal::Invalid(format!("quantity must be 1 to {}", STOCK_MAX - total)));
    }
    stock::add(draft, sale, sku, quantity);
    stock::distribute(draft, sale, sku, row.shards);
    Ok(Reply::Done)
}

fn selling(draft: &Draft<'_>, sale: SaleId) -> Result<SaleRow, Refusal> {
    let row = draft.sale(&sale).ok_or(Refusal::NoSale)?;
    if row.state == SaleState::Closed {
        return Err(Refusal::SaleConflict("the sale is closed, for good"));
    }
    Ok(row.clone())
}

fn known_sku(draft: &Draft<'_>, sale: SaleId, sku: SkuId) -> Result<SkuRow, Refusal> {
    draft.sku(&(sale, sku)).cloned().ok_or(Refusal::NoSku)
}

fn put_products(draft: &mut Draft<'_>, products: &[ProductRow]) -> Result<Reply, Refusal> {
    for product in products {
        check_text("name", &product.name)?;
        let version = draft.product(&product.id).map_or(Version(1), |row| row.version.next());
        draft.put_product(product.id, ProductRow { version, ..product.clone() });
        draft.emit(Event::CatalogChanged { product: product.id, version });
    }
    Ok(Reply::Count(products.len()))
}
