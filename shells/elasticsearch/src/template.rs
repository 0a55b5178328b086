//! What an index of products is: its settings, its mapping, and the first generation.

use crate::answer::{Trouble, heard};
use crate::cluster::Cluster;
use crate::names::Generation;
use crate::standing::Standing;
use elasticsearch::indices::{IndicesCreateParts, IndicesPutIndexTemplateParts};
use serde_json::{Value, json};

/// Counts the mappings of all releases. A generation says of which it is: an index of an older one is to be built anew.
pub const FORMAT: u64 = 1;
/// Before templates that match more names.
const PRIORITY: u64 = 500;
/// Characters of a text that are kept as one word: as long as a product's longest text.
const WORD_MAX: usize = doorbuster_core::limits::TEXT_MAX;

/// Says what an index of products is, and makes the first one where there is none. Done twice, or by many at once, it is
/// done once.
///
/// # Errors
/// The servers cannot be asked now, or refuse; a repetition goes on where this one stopped.
pub async fn install(cluster: &Cluster) -> Result<(), Trouble> {
    put(cluster).await?;
    let standing = Standing::read(cluster).await?;
    if standing.reads.is_some() && standing.writes.is_some() {
        return Ok(());
    }
    let alias = json!({"is_write_index": true});
    let aliases = json!({cluster.names.reads(): alias, cluster.names.writes(): alias});
    let created = create(cluster, standing.unused(), aliases).await;
    // Somebody else may have been faster: then this one is refused, because an alias has one write index.
    let standing = Standing::read(cluster).await?;
    match standing.reads.is_some() && standing.writes.is_some() {
        true => Ok(()),
        false => created,
    }
}

async fn put(cluster: &Cluster) -> Result<(), Trouble> {
    // A generation names its settings and its mapping itself. The template keeps all others away: an index that came to be
    // by being written to would have neither, and would never be found.
    let body = json!({
        "index_patterns": [cluster.names.pattern()],
        "priority": PRIORITY,
        "allow_auto_create": false,
        "version": FORMAT,
        "template": {"settings": settings(cluster), "mappings": mappings()},
    });
    let wait = cluster.change_wait();
    let answer = heard(
        cluster
            .client
            .indices()
            .put_index_template(IndicesPutIndexTemplateParts::Name(cluster.names.reads()))
            .master_timeout(&wait)
            .request_timeout(cluster.change_time())
            .body(body)
            .send()
            .await,
    )
    .await;
    answer?.acknowledged().map(drop)
}

/// Makes a generation, with these aliases.
pub(crate) async fn create(cluster: &Cluster, generation: Generation, aliases: Value) -> Result<(), Trouble> {
    let wait = cluster.change_wait();
    let answer = heard(
        cluster
            .client
            .indices()
            .create(IndicesCreateParts::Index(&cluster.names.index(generation)))
            .master_timeout(&wait)
            .timeout(&wait)
            .request_timeout(cluster.change_time())
            .body(json!({"settings": settings(cluster), "mappings": mappings(), "aliases": aliases}))
            .send()
            .await,
    )
    .await;
    answer?.acknowledged().map(drop)
}

fn settings(cluster: &Cluster) -> Value {
    let config = &cluster.config;
    json!({
        "number_of_shards": config.shards,
        "number_of_replicas": config.replicas,
        "refresh_interval": format!("{}ms", config.refresh_ms),
    })
}

/// The fields of a document. One that is not named here is kept and cannot be searched for, so that a newer release's
/// documents are taken by an older one's index until it is built anew.
fn mappings() -> Value {
    let word = json!({"type": "keyword", "ignore_above": WORD_MAX});
    let kept = json!({"type": "keyword", "index": false, "doc_values": false});
    let number = json!({"type": "long"});
    json!({
        "dynamic": false,
        "_meta": {"format": FORMAT},
        "properties": {
            "product": word,
            "snapshot": number,
            "sales_7d": number,
            "name": {"type": "text", "fields": {"word": word}},
            "category": word,
            "image_url": kept,
            "version": number,
        },
    })
}
