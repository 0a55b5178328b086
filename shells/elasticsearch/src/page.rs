//! A page of products, as a shop shows it.

use crate::answer::Trouble;
use crate::shown::{ElasticsearchShown, found};
use doorbuster_core::search::document::Document;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Products of one page: more than a screen shows, and a bounded answer.
pub const PAGE_MAX: usize = 100;

/// In which order products come. Every order ends with the product's id, so that no two are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sort {
    /// The most sold of the last seven days first.
    #[serde(rename = "sales_7d")]
    Sales7d,
    /// By name.
    Name,
}

/// Which products.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Words that are all in the name.
    pub words: Option<String>,
    /// Of this category only.
    pub category: Option<String>,
    /// In which order.
    pub sort: Sort,
    /// Where the page before ended; of the same order.
    pub after: Option<Cursor>,
    /// At most so many; at most [`PAGE_MAX`].
    pub limit: usize,
}

/// The last product of a page, by what it is sorted by. Products that change between two pages may be seen on both or on
/// none; all others are seen once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    sort: Sort,
    key: Key,
    product: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum Key {
    Number(u64),
    Text(String),
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// In their order.
    pub documents: Vec<Document>,
    /// Where the next page begins; `None` after the last.
    pub next: Option<Cursor>,
}

impl ElasticsearchShown {
    /// Products that have a row, page by page.
    ///
    /// # Errors
    /// The index cannot be asked now, or not all of it. A cursor of another order is refused.
    pub async fn page(&self, query: &Query) -> Result<Page, Trouble> {
        if query.after.as_ref().is_some_and(|after| after.sort != query.sort) {
            let reason = "the cursor is of another order".to_owned();
            return Err(Trouble::Refused { status: 400, kind: "cursor".to_owned(), reason });
        }
        let limit = query.limit.min(PAGE_MAX);
        let hits = self.search(body(query, limit)).await?;
        let last = hits.last().filter(|_| hits.len() == limit).map(|hit| hit["sort"].clone());
        let next = last.map(|sort| cursor(query.sort, sort)).transpose()?;
        let documents = hits.into_iter().map(found).collect::<Result<_, _>>()?;
        Ok(Page { documents, next })
    }
}

fn body(query: &Query, limit: usize) -> Value {
    let mut filter = vec![json!({"exists": {"field": "category"}})];
    if let Some(category) = &query.category {
        filter.push(json!({"term": {"category": category}}));
    }
    if let Some(words) = &query.words {
        filter.push(json!({"match": {"name": {"query": words, "operator": "and"}}}));
    }
    let first = match query.sort {
        Sort::Sales7d => json!({"sales_7d": "desc"}),
        Sort::Name => json!({"name.word": "asc"}),
    };
    let mut body = json!({
        "size": limit,
        "version": true,
        "track_total_hits": false,
        "query": {"bool": {"filter": filter}},
        "sort": [first, {"product": "asc"}],
    });
    if let Some(after) = &query.after {
        body["search_after"] = json!([after.key, after.product]);
    }
    body
}

fn cursor(sort: Sort, values: Value) -> Result<Cursor, Trouble> {
    let (key, product) = serde_json::from_value(values)
        .map_err(|error| Trouble::Unanswered(format!("a product without a place in its order: {error}")))?;
    Ok(Cursor { sort, key, product })
}
