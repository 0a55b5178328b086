//! A document as the index has it.

use doorbuster_core::database::rows::ProductRow;
use doorbuster_core::ids::{ProductId, Version};
use doorbuster_core::search::document::{Document, SnapshotTime};
use serde::{Deserialize, Serialize};

/// The fields; the mapping names the same ones. A reader passes over fields of a later release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stored {
    product: ProductId,
    /// The document's version again: versions cannot be searched for.
    pub snapshot: u64,
    sales_7d: u64,
    /// All of it is missing where the product has no row.
    #[serde(flatten)]
    row: Option<Row>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Row {
    name: String,
    category: String,
    image_url: String,
    version: u64,
}

impl From<Document> for Stored {
    fn from(document: Document) -> Stored {
        let row = document.row.map(|row| Row {
            name: row.name,
            category: row.category,
            image_url: row.image_url,
            version: row.version.0,
        });
        let (product, snapshot) = (document.product, document.version.0);
        Stored { product, snapshot, sales_7d: document.sales_7d, row }
    }
}

impl Stored {
    /// The document, under the version that the index keeps beside it.
    pub fn into_document(self, version: u64) -> Document {
        let id = self.product;
        let row = self.row.map(|row| ProductRow {
            id,
            name: row.name,
            category: row.category,
            image_url: row.image_url,
            version: Version(row.version),
        });
        Document { product: id, version: SnapshotTime(version), row, sales_7d: self.sales_7d }
    }
}
