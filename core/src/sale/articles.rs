//! What a sale sells: SKUs and products, added one by one or by a whole file.

use super::command::NewSku;
use super::decide::want_stock;
use crate::database::command::{Refusal, Reply};
use crate::database::draft::Draft;
use crate::database::event::Event;
use crate::database::rows::{ProductRow, SaleRow, SaleState, SkuRow};
use crate::database::tables::{Reads, View};
use crate::ids::{ProductId, SaleId, Version};
use crate::ledger::stock;
use crate::limits::{IMPORT_ROWS_MAX, PRICE_MINOR_MAX, SKUS_MAX, STOCK_MAX, STOCK_ROWS_MAX, TEXT_MAX};
use std::collections::BTreeSet;

/// The rows that adding these SKUs needs. More of them than a sale may have are refused unread.
pub fn want(reads: &mut Reads, view: &View, sale: SaleId, skus: &[NewSku]) {
    reads.sales.insert(sale);
    reads.ranges.insert(sale);
    reads.products.extend(skus.iter().take(SKUS_MAX).map(|new| new.product));
    if view.rows.sales.get(&sale).is_some_and(|row| !exceeds(skus.len(), row.shards)) {
        want_stock(reads, view, sale, skus.iter().map(|new| new.sku));
    }
}

fn exceeds(skus: usize, shards: u16) -> bool {
    skus > SKUS_MAX || skus * usize::from(shards) > STOCK_ROWS_MAX
}

fn too_many() -> Refusal {
    Refusal::Invalid(format!("a sale has at most {SKUS_MAX} SKUs, and SKUs times shards at most {STOCK_ROWS_MAX}"))
}

/// Adds SKUs, whole or not at all.
pub fn add_skus(draft: &mut Draft<'_>, sale: SaleId, skus: &[NewSku]) -> Result<Reply, Refusal> {
    let row = selling(draft, sale)?;
    if exceeds(skus.len(), row.shards) {
        return Err(too_many());
    }
    let mut range = draft.range(&sale).cloned().unwrap_or_default();
    let mut added = 0;
    let mut products = BTreeSet::new();
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
        products.insert(new.product);
    }
    if exceeds(range.skus.len(), row.shards) {
        return Err(too_many());
    }
    range.skus.sort_unstable();
    draft.put_range(sale, range);
    products.into_iter().for_each(|product| touch_product(draft, product));
    Ok(Reply::Count(added))
}

/// One of its SKUs was written: what shows a product shows them too, so it counts as a change of the product. A product
/// without a row has version 0, and nothing that anybody keeps is older.
fn touch_product(draft: &mut Draft<'_>, product: ProductId) {
    let mut version = Version(0);
    if let Some(row) = draft.product(&product).cloned() {
        version = row.version.next();
        draft.put_product(product, ProductRow { version, ..row });
    }
    draft.emit(Event::CatalogChanged { product, version });
}

/// Writes the rows of one file, whole or not at all: a refusal drops the draft. What is as the file says stays untouched,
/// so that the same file may be sent again.
pub fn import(draft: &mut Draft<'_>, sale: SaleId, products: &[ProductRow], skus: &[NewSku]) -> Result<Reply, Refusal> {
    if products.len() > IMPORT_ROWS_MAX || skus.len() > IMPORT_ROWS_MAX {
        return Err(Refusal::Invalid(format!("an import has at most {IMPORT_ROWS_MAX} rows")));
    }
    let added = add_skus(draft, sale, skus)?;
    for product in products {
        let known = draft.product(&product.id);
        let same = known.is_some_and(|row| ProductRow { version: row.version, ..product.clone() } == *row);
        if !same {
            put_product(draft, product)?;
        }
    }
    Ok(added)
}

/// The sale, unless it is over.
pub fn selling(draft: &Draft<'_>, sale: SaleId) -> Result<SaleRow, Refusal> {
    let row = draft.sale(&sale).ok_or(Refusal::NoSale)?;
    if row.state == SaleState::Closed {
        return Err(Refusal::SaleConflict("the sale is closed, for good"));
    }
    Ok(row.clone())
}

/// Whether a text that must not be empty has a length that is allowed.
pub fn check_text(what: &str, text: &str) -> Result<(), Refusal> {
    if text.is_empty() || text.len() > TEXT_MAX {
        return Err(Refusal::Invalid(format!("{what} must have 1 to {TEXT_MAX} bytes")));
    }
    Ok(())
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

/// Writes products.
pub fn put_products(draft: &mut Draft<'_>, products: &[ProductRow]) -> Result<Reply, Refusal> {
    for product in products {
        put_product(draft, product)?;
    }
    Ok(Reply::Count(products.len()))
}

/// Writes a product that has this version. One without a row has none, and version 0 stands for it.
pub fn change_product(draft: &mut Draft<'_>, product: &ProductRow, expected: Version) -> Result<Reply, Refusal> {
    let version = draft.product(&product.id).map_or(Version(0), |row| row.version);
    if version != expected {
        return Err(Refusal::StaleVersion(version));
    }
    put_product(draft, product)?;
    Ok(Reply::Count(1))
}

fn put_product(draft: &mut Draft<'_>, product: &ProductRow) -> Result<(), Refusal> {
    check_text("name", &product.name)?;
    for (what, text) in [("category", &product.category), ("image_url", &product.image_url)] {
        if text.len() > TEXT_MAX {
            return Err(Refusal::Invalid(format!("{what} must have at most {TEXT_MAX} bytes")));
        }
    }
    let version = draft.product(&product.id).map_or(Version(1), |row| row.version.next());
    draft.put_product(product.id, ProductRow { version, ..product.clone() });
    draft.emit(Event::CatalogChanged { product: product.id, version });
    Ok(())
}
