//! One product as search shows it.

use crate::database::rows::ProductRow;
use crate::ids::ProductId;
use crate::window::rows::SalesRingRow;

/// The time of the snapshot that a document was read in, in microseconds since the Unix epoch. Two snapshots of one time
/// show the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotTime(pub u64);

/// A whole document.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Document {
    /// Which product.
    pub product: ProductId,
    /// Its version in the index, which takes no lower one.
    pub version: SnapshotTime,
    /// The product's row, if it has one.
    pub row: Option<ProductRow>,
    /// The sum over its SKUs of what was last told of their windows.
    pub sales_7d: u64,
}

impl Document {
    /// The document of a product from its rows; rings of other products are passed over.
    pub fn of<'a>(
        product: ProductId,
        version: SnapshotTime,
        row: Option<&ProductRow>,
        rings: impl IntoIterator<Item = &'a SalesRingRow>,
    ) -> Document {
        let own = rings.into_iter().filter(|ring| ring.product == product);
        let sales_7d = own.map(|ring| ring.emitted).sum();
        Document { product, version, row: row.cloned(), sales_7d }
    }
}
