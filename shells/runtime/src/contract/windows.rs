//! The contract of what the sales windows and search read, together with the database that they read.

use super::world::{World, apply, certain, done};
use super::{Clock, Subject};
use crate::ports::Partition;
use crate::ports::store::Store;
use crate::ports::windows::Windows;
use doorbuster_core::database::command::{Command, Refusal};
use doorbuster_core::database::rows::ProductRow;
use doorbuster_core::database::tables::Reads;
use doorbuster_core::ids::{ProductId, SkuId, Version};
use doorbuster_core::inbox::Offset;
use doorbuster_core::limits::SALES_EMIT_DELAY_MS;
use doorbuster_core::outcome::Outcome;
use doorbuster_core::sale::command::SaleCommand;
use doorbuster_core::search::document::{Document, SnapshotTime};
use doorbuster_core::time::Wall;
use doorbuster_core::window::command::{SalesBatch, SalesCommand};
use doorbuster_core::window::hour::Hour;
use doorbuster_core::window::movement::{Movement, Sign};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

/// What writes rings and products, and what reads them.
pub struct StoreAndWindows {
    /// Writes.
    pub store: Arc<dyn Store>,
    /// Reads.
    pub windows: Arc<dyn Windows>,
}

/// Rings of the suite's first partition.
const RINGS: usize = 23;
/// Rings of one page.
const PAGE: usize = 5;
/// Changes of a product, and rounds in which two products are read while both are changed.
const CHANGES: u64 = 30;
/// By so much the version of a document may differ from the clock: it is the time of a snapshot in microseconds, and no
/// other unit comes as near to it.
const SKEW_MS: u64 = 24 * 3_600_000;

/// Holds reads of windows to [`Windows`]' contract. The subject begins without rings and products.
///
/// # Panics
/// With the sentence that was broken.
pub async fn windows_contract(make: impl AsyncFn() -> Subject<StoreAndWindows>) {
    let subject = make().await;
    let case = Case { port: &subject.port, clock: subject.clock.as_ref() };
    case.rings_come_in_the_order_of_their_skus_and_of_one_partition().await;
    case.documents_come_in_the_order_of_the_question().await;
    case.a_document_shows_what_was_last_told_of_all_its_skus().await;
    case.a_later_snapshot_has_no_lower_version_and_sees_every_change().await;
    case.documents_of_one_read_are_of_one_snapshot().await;
}

struct Case<'a> {
    port: &'a StoreAndWindows,
    clock: &'a dyn Clock,
}

fn product(name: &str) -> ProductId {
    ProductId::parse(name).expect("a suite names a product")
}

fn sku(name: &str) -> SkuId {
    SkuId::parse(name).expect("a suite names a SKU")
}

fn row(name: &str, title: &str) -> ProductRow {
    let (name, category) = (product(name), "things".to_owned());
    ProductRow { id: name, name: title.to_owned(), category, image_url: String::new(), version: Version(0) }
}

/// One unit sold by the first order of a buyer of this number.
fn movement(buyer: usize, of: (&str, &str), quantity: u32, paid_at: Wall) -> Movement {
    let world = World::named("windows");
    let order = world.order(&world.item(buyer, 1, &[(0, 1)]));
    Movement { sku: sku(of.0), order, sign: Sign::Paid, product: product(of.1), quantity, paid_at }
}

impl Case<'_> {
    /// Counts a batch, once.
    async fn count(&self, partition: Partition, begin: u64, movements: Vec<Movement>) {
        let (expected, next) = (Offset(begin), Offset(begin + movements.len() as u64));
        let batch = SalesBatch { partition, expected, next, movements };
        match apply(self.port.store.as_ref(), Command::Sales(SalesCommand::Count(batch))).await {
            Ok(_) => {}
            // A try before whose answer is not known may have counted it.
            Err(Refusal::StaleOffset) => assert_eq!(self.counted(partition).await, next, "nobody else counts"),
            Err(refusal) => panic!("a batch was refused: {refusal:?}"),
        }
    }

    async fn counted(&self, partition: Partition) -> Offset {
        let reads = Reads { sales_cursors: [partition].into(), ..Reads::default() };
        let rows = self.port.store.read(reads).await.expect("the store can be read");
        rows.sales_cursors.get(&partition).copied().unwrap_or_default().next
    }

    async fn put(&self, rows: Vec<ProductRow>) {
        done(self.port.store.as_ref(), Command::Sale(SaleCommand::PutProducts(rows))).await;
    }

    async fn rings(&self, partition: Partition, after: Option<SkuId>, limit: usize) -> Vec<SkuId> {
        let read = certain::<_, Infallible>(async || match self.port.windows.rings(partition, after, limit).await {
            Ok(rings) => Outcome::Done(rings),
            Err(_) => Outcome::Unknown,
        });
        let Ok(rings) = read.await;
        rings
    }

    async fn documents(&self, names: &[&str]) -> Vec<Document> {
        let products: Vec<ProductId> = names.iter().map(|name| product(name)).collect();
        let read = certain::<_, Infallible>(async || match self.port.windows.documents(products.clone()).await {
            Ok(documents) => Outcome::Done(documents),
            Err(_) => Outcome::Unknown,
        });
        let Ok(documents) = read.await;
        let of: Vec<ProductId> = documents.iter().map(|document| document.product).collect();
        assert_eq!(of, products, "one document per product, in the order of the question");
        let versions: Vec<SnapshotTime> = documents.iter().map(|document| document.version).collect();
        assert!(versions.windows(2).all(|pair| pair[0] == pair[1]), "one read is of one snapshot: {versions:?}");
        documents
    }

    async fn document(&self, name: &str) -> Document {
        self.documents(&[name]).await.remove(0)
    }

    async fn rings_come_in_the_order_of_their_skus_and_of_one_partition(&self) {
        let (own, other) = (Partition(0), Partition(1));
        assert_eq!(self.rings(own, None, PAGE).await, [], "a new database has no ring");
        let paid_at = self.clock.now().await;
        let names: Vec<String> = (0..RINGS).map(|number| format!("ring-{number:02}")).collect();
        // Not in their order.
        let sold = names.iter().rev().enumerate();
        let movements = sold.map(|(buyer, name)| movement(buyer, (name, "ringed"), 1, paid_at)).collect();
        self.count(own, 0, movements).await;
        let beside = ["ring-03-beside", "ring-99"];
        let movements = beside.iter().enumerate().map(|(buyer, name)| movement(buyer, (name, "ringed"), 1, paid_at));
        self.count(other, 0, movements.collect()).await;
        let expected: Vec<SkuId> = names.iter().map(|name| sku(name)).collect();
        let mut found: Vec<SkuId> = Vec::new();
        loop {
            let page = self.rings(own, found.last().copied(), PAGE).await;
            let left = expected.len() - found.len();
            assert_eq!(page.len(), left.min(PAGE), "a page is full while rings are left");
            if page.is_empty() {
                break;
            }
            found.extend(page);
        }
        assert_eq!(found, expected, "every ring of the partition that was counted before, in order, and no other's");
        assert_eq!(self.rings(other, None, PAGE).await, beside.map(sku));
        assert_eq!(self.rings(own, Some(sku("ring-10-or-so")), 1).await, [sku("ring-11")], "behind any SKU");
    }

    async fn documents_come_in_the_order_of_the_question(&self) {
        assert_eq!(self.documents(&[]).await, []);
        self.put(vec![row("chair", "a chair"), row("lamp", "a lamp")]).await;
        let documents = self.documents(&["lamp", "nobody-made-it", "chair"]).await;
        let names: Vec<Option<&str>> =
            documents.iter().map(|document| document.row.as_ref().map(|row| row.name.as_str())).collect();
        assert_eq!(names, [Some("a lamp"), None, Some("a chair")], "a product without a row is shown as such");
        assert!(documents.iter().all(|document| document.sales_7d == 0), "nothing was told of any window");
        let shown_ms = documents[0].version.0 / 1_000;
        let apart = shown_ms.abs_diff(self.clock.now().await.0);
        assert!(
            apart <= SKEW_MS,
            "a version is the time of its snapshot in microseconds, not {:?}",
            documents[0].version
        );
    }

    async fn a_document_shows_what_was_last_told_of_all_its_skus(&self) {
        let hour = Hour::of(self.clock.now().await.before_ms(SALES_EMIT_DELAY_MS));
        let paid_at = Hour(hour.0 - 1).start();
        let sold = [("desk-oak", "desk", 3), ("desk-pine", "desk", 4), ("stool", "stool", 5), ("desk-ash", "desk", 6)];
        let sold = sold.iter().enumerate();
        let movements = sold.map(|(buyer, (sku, product, units))| movement(buyer, (sku, product), *units, paid_at));
        self.count(Partition(2), 0, movements.collect()).await;
        assert_eq!(self.document("desk").await.sales_7d, 0, "what is counted is not shown before it is told");
        // Of one SKU of the desk nothing is told.
        let skus = ["desk-oak", "desk-pine", "stool"].map(sku).to_vec();
        done(self.port.store.as_ref(), Command::Sales(SalesCommand::Emit { hour, skus })).await;
        let documents = self.documents(&["desk", "stool"]).await;
        let sales: Vec<u64> = documents.iter().map(|document| document.sales_7d).collect();
        assert_eq!(sales, [7, 5], "the sum of what was told of a product's SKUs, and of no other's");
        assert!(documents.iter().all(|document| document.row.is_none()), "sales of a product that has no row");
    }

    async fn a_later_snapshot_has_no_lower_version_and_sees_every_change(&self) {
        let mut before = self.document("vase").await;
        for number in 1..=CHANGES {
            let title = format!("vase {number}");
            self.put(vec![row("vase", &title)]).await;
            let after = self.document("vase").await;
            let shown = after.row.as_ref().map(|row| row.name.as_str());
            assert_eq!(shown, Some(title.as_str()), "a read sees every transaction that was done before it");
            assert!(after.version > before.version, "what shows something else has another version, and a higher one");
            before = after;
        }
    }

    async fn documents_of_one_read_are_of_one_snapshot(&self) {
        let names = ["twin-a", "twin-b"];
        let twins = |number: u64| names.iter().map(|name| row(name, &format!("twins {number}"))).collect();
        let (mut seen, mut last) = (BTreeMap::new(), SnapshotTime::default());
        for round in 0..CHANGES {
            let writing = async {
                self.put(twins(2 * round)).await;
                self.put(twins(2 * round + 1)).await;
            };
            let (documents, ()) = tokio::join!(self.documents(&names), writing);
            let [first, second] = &documents[..] else { panic!("two were asked for") };
            let title = |document: &Document| document.row.as_ref().map(|row| row.name.clone());
            assert_eq!(title(first), title(second), "both were changed in one transaction");
            // A change that was repeated has counted the version twice.
            let counted = first.row.as_ref().map_or(0, |row| row.version.0);
            assert!(counted >= 2 * round, "a read sees every transaction that was done before it");
            assert!(first.version >= last, "a later snapshot has no lower version");
            last = first.version;
            let known = seen.entry(last).or_insert_with(|| documents.clone());
            assert_eq!(known, &documents, "two snapshots of one version show the same");
        }
    }
}
