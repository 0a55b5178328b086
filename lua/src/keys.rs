//! The names under which a server keeps things.

use doorbuster_core::ids::ProductId;

/// The keys of one shard; all of them in one hash tag, so that they live on one master of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardKeys {
    /// HASH: the head of the memory, and one counter per SKU.
    pub memory: String,
    /// HASH: user to page.
    pub users: String,
    /// STREAM: the log.
    pub log: String,
    /// ZSET: order to due time.
    pub ready: String,
    /// ZSET: order to the end of its lease.
    pub processing: String,
    /// HASH: order to version, token and later wish.
    pub owner: String,
}

impl ShardKeys {
    /// Of the tag that the shard's row names, without braces.
    pub fn tagged(tag: &str) -> ShardKeys {
        assert!(!tag.is_empty() && !tag.contains(['{', '}']), "a tag is what stands between the braces");
        let key = |name: &str| format!("{{{tag}}}:{name}");
        ShardKeys {
            memory: key("m"),
            users: key("u"),
            log: key("x"),
            ready: key("ready"),
            processing: key("processing"),
            owner: key("owner"),
        }
    }
}

/// STRING: a product or its floor in the shared cache.
pub fn cache_key(product: ProductId) -> String {
    format!("cache:{product}")
}

/// STRING: the theoretical arrival time of one limited name.
pub fn rate_key(name: &str) -> String {
    format!("rate:{name}")
}
