//! The contract of the search index.

use super::Subject;
use super::world::certain;
use crate::ports::search::SearchIndex;
use async_trait::async_trait;
use doorbuster_core::database::rows::ProductRow;
use doorbuster_core::ids::{ProductId, Version};
use doorbuster_core::search::document::{Document, SnapshotTime};
use doorbuster_core::search::indexer::Written;
use std::sync::Arc;

/// Answers in a row that store nothing after which an index counts as broken.
const TRIES_MAX: usize = 50;
/// What is stored is shown within so many looks, [`LOOK_MS`] apart: a refresh takes a second by default.
const LOOKS_MAX: usize = 120;
/// Milliseconds between two looks.
const LOOK_MS: u64 = 500;

/// What a search finds, for a suite that cannot search.
#[async_trait]
pub trait Shown: Send + Sync {
    /// The document of a product, if it is shown.
    async fn shown(&self, product: ProductId) -> Option<Document>;
}

/// An index and what is found in it.
pub struct SearchAndShown {
    /// As it is written.
    pub search: Arc<dyn SearchIndex>,
    /// As it is read.
    pub shown: Arc<dyn Shown>,
}

/// Holds a search index to [`SearchIndex`]'s contract.
///
/// # Panics
/// With the sentence that was broken.
pub async fn search_contract(make: impl AsyncFn() -> Subject<SearchAndShown>) {
    let subject = make().await;
    let case = Case(&subject);
    case.what_is_stored_is_shown().await;
    case.an_older_document_never_replaces_a_newer_one().await;
    case.a_bulk_has_an_answer_for_each_of_its_documents().await;
    case.a_product_without_a_row_is_shown_as_such().await;
}

struct Case<'a>(&'a Subject<SearchAndShown>);

fn document(name: &str, version: u64, sales_7d: u64) -> Document {
    let product = ProductId::parse(name).expect("a suite names a product");
    let row = ProductRow {
        id: product,
        name: format!("{name} at {version}"),
        category: "things".to_owned(),
        image_url: String::new(),
        version: Version(version),
    };
    Document { product, version: SnapshotTime(version), row: Some(row), sales_7d }
}

impl Case<'_> {
    /// Writes until every document has an answer that is not to be tried again; the last one of each.
    async fn write(&self, documents: Vec<Document>) -> Vec<Written> {
        let mut answers: Vec<Option<Written>> = vec![None; documents.len()];
        for _ in 0..TRIES_MAX {
            let open: Vec<usize> = (0..documents.len()).filter(|place| answers[*place].is_none()).collect();
            if open.is_empty() {
                break;
            }
            let bulk: Vec<Document> = open.iter().map(|place| documents[*place].clone()).collect();
            // A whole bulk that was pushed back is written again after a pause.
            let Ok(written) = certain(async || self.0.port.search.write(bulk.clone()).await).await else {
                self.0.clock.pass_ms(LOOK_MS).await;
                continue;
            };
            assert_eq!(written.len(), bulk.len(), "one answer per document");
            for (place, written) in open.into_iter().zip(written) {
                answers[place] = Some(written).filter(|written| *written != Written::Failed);
            }
        }
        answers.into_iter().map(|answer| answer.expect("the index takes nothing")).collect()
    }

    async fn is_stored(&self, document: Document) {
        let written = self.write(vec![document]).await;
        // `Newer`: a try before whose answer is not known has stored it.
        assert!(matches!(written[..], [Written::Stored | Written::Newer]), "a new version is stored, not {written:?}");
    }

    /// Waits until the product is shown under this version, and sees that nothing goes back on the way.
    async fn comes_to_show(&self, expected: &Document) {
        let mut last = SnapshotTime::default();
        for _ in 0..LOOKS_MAX {
            let found = self.0.port.shown.shown(expected.product).await;
            let version = found.as_ref().map_or_else(SnapshotTime::default, |found| found.version);
            assert!(version >= last, "what is shown never goes back");
            last = version;
            if found.as_ref() == Some(expected) {
                return;
            }
            self.0.clock.pass_ms(LOOK_MS).await;
        }
        panic!("what is stored is shown: {:?} is not", expected.product);
    }

    async fn what_is_stored_is_shown(&self) {
        let lamp = document("lamp", 10, 3);
        self.is_stored(lamp.clone()).await;
        self.comes_to_show(&lamp).await;
        let later = document("lamp", 11, 4);
        self.is_stored(later.clone()).await;
        self.comes_to_show(&later).await;
    }

    async fn an_older_document_never_replaces_a_newer_one(&self) {
        let newest = document("chair", 20, 7);
        self.is_stored(newest.clone()).await;
        assert_eq!(self.write(vec![document("chair", 19, 1)]).await, [Written::Newer], "an older one comes late");
        assert_eq!(self.write(vec![document("chair", 20, 1)]).await, [Written::Newer], "one version is written once");
        self.comes_to_show(&newest).await;
        self.0.clock.pass_ms(LOOK_MS * LOOKS_MAX as u64).await;
        assert_eq!(self.0.port.shown.shown(newest.product).await, Some(newest), "nothing replaces it afterwards");
    }

    async fn a_bulk_has_an_answer_for_each_of_its_documents(&self) {
        self.is_stored(document("many-3", 9, 1)).await;
        let bulk: Vec<Document> = (0..20).map(|number| document(&format!("many-{number}"), 5, number)).collect();
        let written = self.write(bulk.clone()).await;
        assert_eq!(written[3], Written::Newer, "answers come in the order of the documents");
        for document in bulk.iter().filter(|document| document.product.to_string() != "many-3") {
            self.comes_to_show(document).await;
        }
    }

    async fn a_product_without_a_row_is_shown_as_such(&self) {
        let gone = Document { row: None, ..document("vase", 30, 2) };
        self.is_stored(gone.clone()).await;
        self.comes_to_show(&gone).await;
    }
}
