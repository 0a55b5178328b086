//! What a shop's page finds.

mod support;

use doorbuster_core::search::document::Document;
use doorbuster_core::search::indexer::Written;
use doorbuster_elasticsearch::page::{Page, Query, Sort};
use support::{Index, document};

const PRODUCTS: u64 = 25;

/// Products of which several have sold as much, and one that has no row.
async fn filled(test: &str) -> Option<Index> {
    let index = Index::make(test).await?;
    let product = |number: u64| {
        let mut document = Document { sales_7d: number / 4, ..document(&format!("product-{number:02}"), 5) };
        let row = document.row.as_mut().expect("it has a row");
        row.name = format!("Lamp {}", 99 - number);
        row.category = if number.is_multiple_of(2) { "even" } else { "odd" }.to_owned();
        document
    };
    let mut bulk: Vec<Document> = (0..PRODUCTS).map(product).collect();
    bulk.push(Document { row: None, sales_7d: 100, ..document("vase", 5) });
    let last = bulk[0].clone();
    assert!(index.write(bulk).await.iter().all(|written| *written == Written::Stored));
    index.comes_to_show(&last).await;
    Some(index)
}

fn query(sort: Sort) -> Query {
    Query { words: None, category: None, sort, after: None, limit: 7 }
}

async fn page(index: &Index, query: &Query) -> Page {
    index.shown.page(query).await.expect("the index can be searched")
}

/// All pages, each as far as it goes.
async fn all(index: &Index, mut query: Query) -> Vec<Document> {
    let mut found = Vec::new();
    loop {
        let page = page(index, &query).await;
        found.extend(page.documents);
        query.after = match page.next {
            // As a cursor travels through a browser.
            Some(next) => serde_json::from_str(&serde_json::to_string(&next).expect("JSON")).expect("the same"),
            None => return found,
        };
    }
}

#[tokio::test]
async fn pages_follow_each_other_in_every_order() {
    let Some(index) = filled("pages_follow_each_other_in_every_order").await else { return };
    let ids = |found: Vec<Document>| found.into_iter().map(|found| found.product.to_string()).collect::<Vec<_>>();
    let mut expected: Vec<u64> = (0..PRODUCTS).collect();
    let named = |numbers: &[u64]| numbers.iter().map(|number| format!("product-{number:02}")).collect::<Vec<_>>();
    expected.sort_by_key(|number| (std::cmp::Reverse(number / 4), *number));
    assert_eq!(ids(all(&index, query(Sort::Sales7d)).await), named(&expected), "as many sold: by product");
    expected.sort_by_key(|number| std::cmp::Reverse(*number));
    assert_eq!(ids(all(&index, query(Sort::Name)).await), named(&expected));
}

#[tokio::test]
async fn words_and_categories_leave_out_the_others() {
    let Some(index) = filled("words_and_categories_leave_out_the_others").await else { return };
    let odd = Query { category: Some("odd".to_owned()), limit: 100, ..query(Sort::Name) };
    assert_eq!(all(&index, odd).await.len() as u64, PRODUCTS / 2);
    let words = |words: &str| Query { words: Some(words.to_owned()), ..query(Sort::Name) };
    let found = page(&index, &words("lamp 90")).await;
    assert_eq!((found.documents.len(), found.next), (1, None), "all words, in any case of letters");
    assert_eq!(found.documents[0], index.stored("product-09").await.expect("it is stored"));
    assert_eq!(page(&index, &words("chair")).await, Page { documents: Vec::new(), next: None });
    for (own, other) in [(Sort::Name, Sort::Sales7d), (Sort::Sales7d, Sort::Name)] {
        let mixed = Query { after: page(&index, &query(own)).await.next, ..query(other) };
        assert!(index.shown.page(&mixed).await.is_err(), "a cursor belongs to one order");
    }
}
