//! What a real server says of bulks.

mod support;

use doorbuster_core::limits::INDEX_BULK_MAX;
use doorbuster_core::outcome::Outcome;
use doorbuster_core::rng::Rng;
use doorbuster_core::search::document::{Document, SnapshotTime};
use doorbuster_core::search::indexer::{PushedBack, Written};
use doorbuster_elasticsearch::standing::Standing;
use doorbuster_elasticsearch::template::install;
use doorbuster_runtime::ports::search::SearchIndex;
use support::{Index, document};

#[tokio::test]
async fn what_is_stored_is_shown_by_itself() {
    let Some(index) = Index::make("what_is_stored_is_shown_by_itself").await else { return };
    let lamp = document("lamp", 7);
    assert_eq!(index.write(vec![lamp.clone()]).await, [Written::Stored]);
    assert_eq!(index.stored("lamp").await, Some(lamp.clone()));
    index.comes_to_show(&lamp).await;
    assert_eq!(index.stored("chair").await, None);
}

#[tokio::test]
async fn a_stale_document_is_told_from_the_others_of_its_bulk() {
    let Some(index) = Index::make("a_stale_document_is_told_from_the_others_of_its_bulk").await else { return };
    index.write(vec![document("lamp", 7), document("chair", 7)]).await;
    let bulk = vec![document("lamp", 6), document("desk", 1), document("chair", 7), document("vase", 0)];
    let expected = [Written::Newer, Written::Stored, Written::Newer, Written::Stored];
    assert_eq!(index.write(bulk).await, expected);
    for (product, version) in [("lamp", 7), ("chair", 7), ("desk", 1), ("vase", 0)] {
        assert_eq!(index.stored(product).await, Some(document(product, version)));
    }
}

#[tokio::test]
async fn a_broken_document_costs_no_other_one() {
    let Some(index) = Index::make("a_broken_document_costs_no_other_one").await else { return };
    // Larger than any number of the index: the one in its field, the other in its version.
    let in_field = Document { sales_7d: u64::MAX, ..document("desk", 3) };
    let in_version = Document { version: SnapshotTime(u64::MAX), ..document("vase", 3) };
    let bulk = vec![document("lamp", 3), in_field.clone(), in_version.clone(), document("chair", 3)];
    let expected = [Written::Stored, Written::Rejected, Written::Rejected, Written::Stored];
    assert_eq!(index.write(bulk).await, expected);
    assert_eq!(index.stored("chair").await, Some(document("chair", 3)));
    assert_eq!((index.stored("desk").await, index.stored("vase").await), (None, None));
    assert_eq!(index.write(vec![in_version]).await, [Written::Rejected], "alone, too");
}

#[tokio::test]
async fn a_full_bulk_of_the_longest_products_is_taken() {
    let Some(index) = Index::make("a_full_bulk_of_the_longest_products_is_taken").await else { return };
    let longest = |number: usize| {
        let mut document = document(&format!("product-{number}"), 5);
        let row = document.row.as_mut().expect("it has a row");
        // Four bytes each, and one long word.
        row.name = "\u{1f6cd}".repeat(doorbuster_core::limits::TEXT_MAX);
        row.category = "\"".repeat(doorbuster_core::limits::TEXT_MAX);
        row.image_url = row.category.clone();
        document
    };
    let bulk: Vec<Document> = (0..INDEX_BULK_MAX).map(longest).collect();
    assert_eq!(index.write(bulk).await, vec![Written::Stored; INDEX_BULK_MAX]);
    assert_eq!(index.stored("product-127").await, Some(longest(127)));
}

#[tokio::test]
async fn indexers_in_any_order_end_at_the_newest() {
    let Some(index) = Index::make("indexers_in_any_order_end_at_the_newest").await else { return };
    let other = index.again(|_| {});
    let mut rng = Rng::seeded(4);
    for round in 0..12 {
        let products: Vec<String> = (0..6).map(|number| format!("product-{round}-{number}")).collect();
        // Each has some versions in any order and doubled, of which the first one takes some and the second one others.
        let mut bulks: Vec<Vec<Document>> = Vec::new();
        for _ in 0..8 {
            let version = 1 + rng.below(9);
            bulks.push(products.iter().map(|product| document(product, version + rng.below(3))).collect());
        }
        let (first, second) = bulks.split_at(4);
        let write = async |index: &Index, bulks: &[Vec<Document>]| {
            for bulk in bulks {
                index.write(bulk.clone()).await;
            }
        };
        tokio::join!(write(&index, first), write(&other, second));
        for (number, product) in products.iter().enumerate() {
            let newest = bulks.iter().map(|bulk| &bulk[number]).max_by_key(|document| document.version);
            assert_eq!(index.stored(product).await.as_ref(), newest, "round {round}");
        }
    }
}

#[tokio::test]
async fn an_index_that_is_made_twice_or_by_many_is_made_once() {
    let Some(index) = Index::bare("an_index_that_is_made_twice_or_by_many_is_made_once") else { return };
    let (second, third) = (index.again(|_| {}), index.again(|_| {}));
    let made = tokio::join!(install(&index.cluster), install(&second.cluster), install(&third.cluster));
    assert_eq!(made, (Ok(()), Ok(()), Ok(())));
    index.write(vec![document("lamp", 7)]).await;
    install(&index.cluster).await.expect("an index that is there stays");
    assert_eq!(index.stored("lamp").await, Some(document("lamp", 7)));
    let standing = Standing::read(&index.cluster).await.expect("the server answers");
    assert_eq!((standing.generations.len(), standing.reads), (1, standing.writes));
}

#[tokio::test]
async fn nothing_is_made_by_being_written_to() {
    let Some(index) = Index::bare("nothing_is_made_by_being_written_to") else { return };
    assert_eq!(index.write(vec![document("lamp", 7)]).await, [Written::Failed], "it may be made later");
    install(&index.cluster).await.expect("an index can be made");
    let answer = index.ask("POST", &format!("/{}-9/_doc/lamp", index.cluster.names().reads()), "{}");
    assert!(answer.contains("forbids index auto creation"), "{answer}");
    assert_eq!(index.write(vec![document("lamp", 7)]).await, [Written::Stored]);
}

#[tokio::test]
async fn a_blocked_index_is_tried_again_and_an_alias_without_an_index_too() {
    let Some(index) = Index::make("a_blocked_index_is_tried_again_and_an_alias_without_an_index_too").await else {
        return;
    };
    let reads = index.cluster.names().reads();
    let set = |blocked: bool| {
        let body = format!("{{\"index.blocks.write\": {blocked}}}");
        assert!(index.ask("PUT", &format!("/{reads}-1/_settings"), &body).starts_with("HTTP/1.1 200"));
    };
    set(true);
    assert_eq!(index.write(vec![document("lamp", 1), document("chair", 1)]).await, [Written::Failed; 2]);
    set(false);
    assert_eq!(index.write(vec![document("lamp", 1)]).await, [Written::Stored]);
    let alias = format!("{{\"index\": \"{reads}-1\", \"alias\": \"{reads}-write\", \"is_write_index\": false}}");
    let body = format!("{{\"actions\": [{{\"add\": {alias}}}]}}");
    assert!(index.ask("POST", "/_aliases", &body).starts_with("HTTP/1.1 200"));
    // One index is written without being named as such; with two of them none is.
    assert!(index.ask("PUT", &format!("/{reads}-2"), "").starts_with("HTTP/1.1 200"));
    assert!(index.ask("POST", "/_aliases", &body.replace("-1\"", "-2\"")).starts_with("HTTP/1.1 200"));
    assert_eq!(index.write(vec![document("lamp", 2)]).await, [Written::Failed], "not the document's fault");
}

#[tokio::test]
async fn a_server_that_nobody_reaches_has_taken_nothing() {
    let Some(index) = Index::bare("a_server_that_nobody_reaches_has_taken_nothing") else { return };
    // Bound and let go: nobody listens there now.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let nobody = index.again(|config| config.urls = vec![format!("http://{address}")]);
    assert_eq!(nobody.search.write(vec![document("lamp", 1)]).await, Outcome::Refused(PushedBack));
}
