//! A rebuild as bytes: the counters of a memory to be, and records by user.
//!
//! ```text
//! stock   per SKU: length of SKU 1, SKU, available 8, live 8, granted 8, number of the last grant 8
//! records per record: length of user 1, user, length of record 2, record
//! ```

use crate::bytes::{Reader, Writer};
use crate::record::encode_record;
use crate::value::ReplyError;
use doorbuster_core::ids::{SkuId, UserId};
use doorbuster_core::ledger::load::{LoadRefusal, LoadedStock};
use doorbuster_core::ledger::page::Record;
use doorbuster_core::ledger::shard::Counter;
use doorbuster_core::limits::{LOAD_CHUNK_MAX, SKUS_MAX};

/// Records of users as one argument; at most `LOAD_CHUNK_MAX`.
pub fn encode_records(records: &[(UserId, Record)]) -> Vec<u8> {
    assert!(records.len() <= LOAD_CHUNK_MAX, "a chunk is bounded");
    let mut out = Writer::default();
    for (user, record) in records {
        out.text(user.as_str());
        let begin = out.0.len();
        out.number(0, 2);
        encode_record(record, &mut out);
        let length = u16::try_from(out.0.len() - begin - 2).expect("eight lines fit");
        out.0[begin..begin + 2].copy_from_slice(&length.to_be_bytes());
    }
    out.0
}

/// The counters that a memory begins with; the records of the load will raise `live`.
pub fn encode_stock(stock: &[(SkuId, LoadedStock)]) -> Vec<u8> {
    assert!(stock.len() <= SKUS_MAX, "a sale's SKUs are bounded");
    let mut out = Writer::default();
    for (sku, row) in stock {
        let available = row.granted.checked_sub(row.consumed).expect("I1 holds in the rows");
        out.text(sku.as_str());
        out.number(available, 8).number(0, 8).number(row.granted, 8).number(row.grant_seq, 8);
    }
    out.0
}

/// A counter as the memory holds it. A negative one is a broken ledger, and an error here.
pub fn decode_counter(bytes: &[u8]) -> Result<Counter, ReplyError> {
    let mut reader = Reader::new(bytes);
    let mut part = || {
        let value = reader.number(8)?;
        // The scripts count in signed numbers, so that a unit too many shows as what it is.
        if value > i64::MAX as u64 { Err(ReplyError::meaning(value as i64)) } else { Ok(value) }
    };
    let counter = Counter { available: part()?, live: part()?, granted: part()?, grant_seq: part()? };
    reader.end()?;
    Ok(counter)
}

/// The answer of `load` and of `open`.
pub fn decode_verdict(word: &[u8]) -> Result<Result<(), LoadRefusal>, ReplyError> {
    Ok(match word {
        b"OK" => Ok(()),
        b"WRONG_SERVER" => Err(LoadRefusal::WrongServer),
        b"TAKEN" => Err(LoadRefusal::Taken),
        b"INCOMPLETE" => Err(LoadRefusal::Incomplete),
        b"UNBALANCED" => Err(LoadRefusal::Unbalanced),
        b"SEALED" => Err(LoadRefusal::Sealed),
        word => return Err(ReplyError::meaning(String::from_utf8_lossy(word))),
    })
}
