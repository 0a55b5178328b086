//! What an operator may ask of a sale or of the catalogue.

use crate::database::rows::{AckLevel, Currency, ProductRow, SaleState};
use crate::ids::{Key, ProductId, SaleId, ShardId, SkuId, Version};
use crate::ledger::shard::Window;
use serde::{Deserialize, Serialize};

/// One change of a sale or of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SaleCommand {
    /// Creates a sale as a draft; repeating it with the same rules is harmless.
    Create(NewSale),
    /// Adds SKUs to a sale that is not closed, whole or not at all; one that exists with the same values is passed over.
    AddSkus {
        /// Which sale.
        sale: SaleId,
        /// What to add; at most `SKUS_MAX`.
        skus: Vec<NewSku>,
    },
    /// Adds SKUs as `AddSkus` does and writes products, all in one transaction; what is there already is passed over.
    Import {
        /// Which sale.
        sale: SaleId,
        /// Products; at most `IMPORT_ROWS_MAX`. The version in each is ignored, the store counts.
        products: Vec<ProductRow>,
        /// SKUs; at most `IMPORT_ROWS_MAX`.
        skus: Vec<NewSku>,
    },
    /// Opens, stops, resumes or closes.
    Enter {
        /// Which sale.
        sale: SaleId,
        /// Its next state.
        state: SaleState,
    },
    /// Adds units and gives them to the shards, once under each key: units that were added cannot be told from units
    /// that were added twice, so a repetition must be known as one.
    TopUp {
        /// Which sale.
        sale: SaleId,
        /// Which SKU.
        sku: SkuId,
        /// How many; at least 1.
        quantity: u64,
        /// The operator's, of scope sale. Under a known one nothing is added again, in every state of the sale; a known
        /// one with another SKU or quantity is refused as `KeyReused`.
        key: Key,
    },
    /// Gives what is in the pool to the shards.
    Distribute {
        /// Which sale.
        sale: SaleId,
        /// Which SKU.
        sku: SkuId,
    },
    /// Gives units of the pool to one shard, if it was given none since it was looked at.
    Grant {
        /// Which shard.
        shard: ShardId,
        /// Which SKU.
        sku: SkuId,
        /// How many; at least 1, at most what the pool has.
        quantity: u64,
        /// The last grant that was seen in the shard's row.
        after: u64,
    },
    /// Writes products; the version in each is ignored, the store counts.
    PutProducts(Vec<ProductRow>),
    /// Writes a product that is there, if nobody has written it since it was looked at.
    ChangeProduct {
        /// As it is to be; the version in it is ignored, the store counts.
        product: ProductRow,
        /// The version that was looked at.
        expected: Version,
    },
}

/// The rules of a sale, fixed at its creation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NewSale {
    /// Which.
    pub id: SaleId,
    /// What people call it.
    pub title: String,
    /// When it sells.
    pub window: Window,
    /// Most live units of one user.
    pub limit: u32,
    /// Pay window in milliseconds.
    pub hold_ms: u64,
    /// Slices of users.
    pub shards: u16,
    /// What a 202 promises.
    pub ack: AckLevel,
    /// Of all prices.
    pub currency: Currency,
}

/// A SKU to be sold.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NewSku {
    /// Which.
    pub sku: SkuId,
    /// Variant of which product.
    pub product: ProductId,
    /// What the variant is called.
    pub name: String,
    /// Price of one unit in minor units.
    pub price_minor: u64,
    /// Units to begin with.
    pub stock: u64,
}
