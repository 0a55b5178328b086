//! Entries of a shard's log as its stream holds them.
//!
//! The id is `<epoch>-<seq>`. Two fields: `at`, the server's clock in milliseconds, and either `taken`, the accepted
//! wishes word for word, or `withdrawn`: quantity 8, SKU.

use crate::bytes::Reader;
use crate::record::decode_region;
use crate::value::{ReplyError, Value};
use doorbuster_core::ids::{Epoch, Seq, SkuId, UserId};
use doorbuster_core::ledger::entry::{Entry, EntryKind, Reserved};
use doorbuster_core::limits::BATCH_MAX;
use doorbuster_core::time::Wall;

/// An entry, and when it was written by the server's clock.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LogEntry {
    /// When.
    pub written_at: Wall,
    /// What.
    pub entry: Entry,
}

/// The id of an entry in its stream.
pub fn entry_id(epoch: Epoch, seq: Seq) -> String {
    format!("{}-{}", epoch.0, seq.0)
}

/// One entry as XRANGE and XREADGROUP answer it: its id, and its fields.
pub fn decode_entry(value: &Value) -> Result<LogEntry, ReplyError> {
    let [id, fields] = value.array()? else { return Err(ReplyError::Type("an entry of a stream")) };
    let (epoch, seq) = decode_id(id.text()?)?;
    let [at_name, at, kind_name, payload] = fields.array()? else {
        return Err(ReplyError::Type("the fields of an entry"));
    };
    if at_name.bytes()? != b"at" {
        return Err(ReplyError::Type("the time of an entry"));
    }
    let written_at = Wall(at.number()?);
    let kind = match kind_name.bytes()? {
        b"taken" => EntryKind::Reserved(decode_taken(written_at, payload.bytes()?)?),
        b"withdrawn" => decode_withdrawn(payload.bytes()?)?,
        name => return Err(ReplyError::meaning(String::from_utf8_lossy(name))),
    };
    Ok(LogEntry { written_at, entry: Entry { epoch, seq, kind } })
}

/// Epoch and seq of an entry's id.
pub fn decode_id(id: &str) -> Result<(Epoch, Seq), ReplyError> {
    let parts = id.split_once('-').and_then(|(epoch, seq)| Some((epoch.parse().ok()?, seq.parse().ok()?)));
    parts.map(|(epoch, seq)| (Epoch(epoch), Seq(seq))).ok_or_else(|| ReplyError::meaning(id))
}

fn decode_taken(reserved_at: Wall, bytes: &[u8]) -> Result<Vec<Reserved>, ReplyError> {
    let mut reader = Reader::new(bytes);
    let mut taken = Vec::new();
    while !reader.is_empty() {
        if taken.len() == BATCH_MAX {
            return Err(ReplyError::Surplus);
        }
        let length = reader.number(2)? as usize;
        let mut wish = Reader::new(reader.raw(length)?);
        let user = UserId::parse(wish.text()?).map_err(ReplyError::meaning)?;
        let (_, basket, id, body) = decode_region(&mut wish)?;
        wish.end()?;
        taken.push(Reserved { id, user, body, basket, reserved_at });
    }
    if taken.is_empty() { Err(ReplyError::Truncated) } else { Ok(taken) }
}

fn decode_withdrawn(bytes: &[u8]) -> Result<EntryKind, ReplyError> {
    let mut reader = Reader::new(bytes);
    let quantity = reader.number(8)?;
    let name = std::str::from_utf8(reader.raw(bytes.len() - 8)?).map_err(|_| ReplyError::Text)?;
    let sku = SkuId::parse(name).map_err(ReplyError::meaning)?;
    if quantity == 0 { Err(ReplyError::meaning(quantity)) } else { Ok(EntryKind::Withdrawn { sku, quantity }) }
}
