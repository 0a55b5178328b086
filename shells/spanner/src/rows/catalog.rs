//! Products, and SKUs in sales.

use super::{Cells, Misread, Table};
use crate::value::number;
use doorbuster_core::database::rows::{ProductRow, SkuRow};
use doorbuster_core::ids::{ProductId, SaleId, SkuId, Version};
use google_cloud_spanner::value::Value;

/// Products.
pub struct Products;

impl Table for Products {
    type Key = ProductId;
    type Row = ProductRow;
    const NAME: &'static str = "products";
    const COLUMNS: &'static [&'static str] = &["product", "name", "category", "image_url", "version"];
    const KEYS: usize = 1;

    fn key(key: &ProductId) -> Vec<Value> {
        vec![key.as_str().into()]
    }

    fn values(row: &ProductRow) -> Vec<Value> {
        let texts = [&row.name, &row.category, &row.image_url].map(|text| text.as_str().into());
        texts.into_iter().chain([number(row.version.0)]).collect()
    }

    fn parse(cells: &mut Cells<'_>) -> Result<(ProductId, ProductRow), Misread> {
        let id = cells.named()?;
        let (name, category, image_url) = (cells.text()?, cells.text()?, cells.text()?);
        Ok((id, ProductRow { id, name, category, image_url, version: Version(cells.number()?) }))
    }
}

/// SKUs in sales.
pub struct Skus;

impl Table for Skus {
    type Key = (SaleId, SkuId);
    type Row = SkuRow;
    const NAME: &'static str = "skus";
    const COLUMNS: &'static [&'static str] =
        &["sale", "sku", "product", "name", "price_minor", "total", "pool", "version"];
    const KEYS: usize = 2;

    fn key((sale, sku): &(SaleId, SkuId)) -> Vec<Value> {
        vec![sale.as_str().into(), sku.as_str().into()]
    }

    fn values(row: &SkuRow) -> Vec<Value> {
        vec![
            row.product.as_str().into(),
            row.name.as_str().into(),
            number(row.price_minor),
            number(row.total),
            number(row.pool),
            number(row.version.0),
        ]
    }

    fn parse(cells: &mut Cells<'_>) -> Result<((SaleId, SkuId), SkuRow), Misread> {
        let (sale, sku) = (cells.named()?, cells.named()?);
        let row = SkuRow {
            sale,
            sku,
            product: cells.named()?,
            name: cells.text()?,
            price_minor: cells.number()?,
            total: cells.number()?,
            pool: cells.number()?,
            version: Version(cells.number()?),
        };
        Ok(((sale, sku), row))
    }
}

#[cfg(test)]
mod tests {
    use super::super::assert_survives;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_product_survives_its_columns(
            name in "\\PC{0,40}", category in "\\PC{0,40}", image_url in "\\PC{0,40}", version: u64,
        ) {
            let id = ProductId::parse("Tea_1").unwrap();
            assert_survives::<Products>(id, ProductRow { id, name, category, image_url, version: Version(version) });
        }

        #[test]
        fn a_sku_survives_its_columns(name in "\\PC{0,40}", price_minor: u64, total: u64, pool: u64, version: u64) {
            let (sale, sku) = (SaleId::parse("demo").unwrap(), SkuId::parse("A.1").unwrap());
            let (product, version) = (ProductId::parse("Tea").unwrap(), Version(version));
            assert_survives::<Skus>((sale, sku), SkuRow { sale, sku, product, name, price_minor, total, pool, version });
        }
    }
}
