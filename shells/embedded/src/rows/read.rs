//! Reading typed rows, from the newest state or from a snapshot.

use super::key;
use doorbuster_core::database::tables::{Reads, Rows};
use fjall::{Keyspace, Readable};
use serde::de::DeserializeOwned;
use thiserror::Error;

/// A row could not be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The store failed.
    #[error("the rows cannot be read: {0}")]
    Store(#[from] fjall::Error),
    /// A row's bytes are not a row.
    #[error("a row of the store does not parse ({0}): the data directory is damaged or of another version")]
    Row(#[from] postcard::Error),
}

/// The rows with these keys that exist.
pub fn rows(source: &impl Readable, keyspace: &Keyspace, reads: &Reads) -> Result<Rows, ReadError> {
    let mut rows = Rows::default();
    macro_rules! read {
        ($($table:ident: $encode:path,)*) => {
            $(for wanted in &reads.$table {
                if let Some(row) = one(source, keyspace, &$encode(wanted))? {
                    rows.$table.insert(wanted.clone(), row);
                }
            })*
        };
    }
    read! {
        sales: key::sale,
        ranges: key::range,
        products: key::product,
        skus: key::sku,
        shards: key::shard,
        stock: key::stock,
        orders: key::order,
        quotas: key::quota,
        payments: key::payment,
        top_ups: key::top_up,
        sales_rings: key::sales_ring,
        sales_cursors: key::sales_cursor,
        counted: key::counted,
    }
    Ok(rows)
}

/// One value, if it is there.
pub fn one<T: DeserializeOwned>(
    source: &impl Readable,
    keyspace: &Keyspace,
    key: &[u8],
) -> Result<Option<T>, ReadError> {
    match source.get(keyspace, key)? {
        Some(bytes) => Ok(Some(postcard::from_bytes(&bytes)?)),
        None => Ok(None),
    }
}

/// Values in the order of their keys from `from` on, while the key begins with `prefix`; at most `limit`.
pub fn scan<T: DeserializeOwned>(
    source: &impl Readable,
    keyspace: &Keyspace,
    prefix: &[u8],
    from: Vec<u8>,
    limit: usize,
) -> Result<Vec<(Vec<u8>, T)>, ReadError> {
    let mut found = Vec::new();
    for guard in source.range(keyspace, from..) {
        let (key, value) = guard.into_inner()?;
        if !key.starts_with(prefix) || found.len() == limit {
            break;
        }
        found.push((key.to_vec(), postcard::from_bytes(&value)?));
    }
    Ok(found)
}
