//! One bulk of whole documents, and its answers taken apart.

use crate::answer::{Answer, heard};
use crate::cluster::Cluster;
use doorbuster_core::outcome::Outcome;
use doorbuster_core::search::indexer::{PushedBack, Written};
use elasticsearch::params::VersionType;
use elasticsearch::{BulkOperation, BulkParts};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A document on its way.
pub(crate) struct Whole<S> {
    pub id: String,
    pub version: i64,
    pub source: S,
}

/// Where a bulk goes.
#[derive(Clone, Copy)]
pub(crate) enum Target<'a> {
    /// Wherever the alias leads when the bulk is there; a name that is no alias is refused.
    Alias(&'a str),
    /// One index, which must be there.
    Index(&'a str),
}

/// What an answer says of one document; fields that are not asked for are left out.
#[derive(Debug, Deserialize)]
struct Item {
    index: Told,
}

#[derive(Debug, Deserialize)]
struct Told {
    status: u16,
    error: Option<Reason>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Reason {
    r#type: String,
    reason: String,
}

/// Writes them, each unless one of the same or a higher version is there; answers in their order.
pub(crate) async fn write<S: Serialize>(
    cluster: &Cluster,
    target: Target<'_>,
    documents: Vec<Whole<S>>,
) -> Outcome<Vec<Written>, PushedBack> {
    let count = documents.len();
    let operations: Vec<BulkOperation<S>> = documents.into_iter().map(operation).collect();
    let (name, require_alias) = match target {
        Target::Alias(name) => (name, true),
        Target::Index(name) => (name, false),
    };
    let answer = heard(
        cluster
            .client
            .bulk(BulkParts::Index(name))
            .require_alias(require_alias)
            .timeout(&format!("{}ms", cluster.config.primary_ms))
            .request_timeout(Duration::from_millis(cluster.config.bulk_ms))
            .filter_path(&["error", "items.*.status", "items.*.error.type", "items.*.error.reason"])
            .body(operations)
            .send()
            .await,
    )
    .await;
    match answer {
        Ok(answer) => answered(&answer, count),
        Err(trouble) => {
            tracing::warn!(%trouble, index = name, "a bulk came to nothing");
            match trouble {
                crate::Trouble::Unreached(_) => Outcome::Refused(PushedBack),
                // Taken or not, whole or in part, now or later.
                crate::Trouble::Unanswered(_) | crate::Trouble::Refused { .. } => Outcome::Unknown,
            }
        }
    }
}

fn operation<S: Serialize>(document: Whole<S>) -> BulkOperation<S> {
    BulkOperation::index(document.source)
        .id(document.id)
        .version(document.version)
        .version_type(VersionType::External)
        .into()
}

fn answered(answer: &Answer, count: usize) -> Outcome<Vec<Written>, PushedBack> {
    if answer.status == 200 {
        return taken_apart(answer, count);
    }
    tracing::warn!(trouble = %answer.refusal(), "a bulk was not taken apart");
    match answer.status {
        // Too many requests, no right to ask, no such path, too large: said before the first document is looked at.
        401 | 403 | 404 | 413 | 429 => Outcome::Refused(PushedBack),
        // A bulk is read while it is done: what fails on the way may have been taken up to there. And something in
        // between may have answered for a server that goes on.
        _ => Outcome::Unknown,
    }
}

fn taken_apart(answer: &Answer, count: usize) -> Outcome<Vec<Written>, PushedBack> {
    match Vec::<Item>::deserialize(&answer.body["items"]) {
        Ok(items) if items.len() == count => {
            report(&items);
            Outcome::Done(items.iter().map(|item| written(&item.index)).collect())
        }
        Ok(_) | Err(_) => {
            tracing::error!("an answer to {count} documents is none: {}", answer.body);
            Outcome::Unknown
        }
    }
}

fn written(told: &Told) -> Written {
    let kind = told.error.as_ref().map_or("", |error| &error.r#type);
    match (told.status, kind) {
        (200 | 201, _) => Written::Stored,
        (409, "version_conflict_engine_exception") => Written::Newer,
        // The document itself. Any other bad request is about the index, such as an alias that leads nowhere: were that
        // told as final, the change would never be shown.
        (400, "document_parsing_exception" | "mapper_parsing_exception" | "strict_dynamic_mapping_exception") => {
            Written::Rejected
        }
        // Pushed back, blocked while the index is replaced, no primary: written again, whatever became of it.
        _ => Written::Failed,
    }
}

/// One line a bulk: a server in trouble says the same of every document.
fn report(items: &[Item]) {
    let unusual = |item: &&Item| matches!(written(&item.index), Written::Failed | Written::Rejected);
    let count = items.iter().filter(unusual).count();
    if let Some(first) = items.iter().find(unusual) {
        let reason = first.index.error.as_ref().map_or("", |error| &error.reason);
        tracing::warn!(count, status = first.index.status, reason, "documents were not stored");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(status: u16, kind: &str) -> Written {
        written(&Told { status, error: Some(Reason { r#type: kind.to_owned(), reason: String::new() }) })
    }

    #[test]
    fn every_status_of_a_document_has_its_meaning() {
        assert_eq!(written(&Told { status: 200, error: None }), Written::Stored);
        assert_eq!(of(409, "version_conflict_engine_exception"), Written::Newer);
        assert_eq!(of(400, "document_parsing_exception"), Written::Rejected);
        assert_eq!(of(400, "illegal_argument_exception"), Written::Failed, "an alias without an index to write to");
        assert_eq!(of(403, "cluster_block_exception"), Written::Failed);
        assert_eq!(of(429, "es_rejected_execution_exception"), Written::Failed);
        assert_eq!(of(503, "unavailable_shards_exception"), Written::Failed);
    }

    #[test]
    fn an_answer_that_is_not_one_per_document_says_nothing() {
        let answer = |body| Answer { status: 200, body };
        let one = json!({"items": [{"index": {"status": 201}}]});
        assert_eq!(answered(&answer(one.clone()), 1), Outcome::Done(vec![Written::Stored]));
        assert_eq!(answered(&answer(one), 2), Outcome::Unknown);
        assert_eq!(answered(&answer(json!({"items": [{"index": {}}]})), 1), Outcome::Unknown);
        assert_eq!(answered(&answer(serde_json::Value::Null), 1), Outcome::Unknown);
    }

    #[test]
    fn a_whole_answer_says_whether_anything_can_have_been_taken() {
        let of = |status| answered(&Answer { status, body: serde_json::Value::Null }, 1);
        assert!([401, 403, 413, 429].into_iter().all(|status| of(status) == Outcome::Refused(PushedBack)));
        assert!([400, 408, 500, 502, 503, 504].into_iter().all(|status| of(status) == Outcome::Unknown));
    }
}
