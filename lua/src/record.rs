//! Lines, records and pages as bytes: what `u` holds, what a load carries, and what an entry of the log shares with them.
//!
//! ```text
//! line     quantity 2, length of SKU 1, SKU
//! region   count of lines 1, lines, id 16, fingerprint of the body 16
//! accepted epoch 4, seq 6, reserved_at 6 (milliseconds)
//! record   accepted, region; the high bit of the count of lines tells an ended record
//! page     per record, oldest first: length 2, record
//! ```

use crate::bytes::{Reader, Writer};
use crate::value::ReplyError;
use doorbuster_core::ids::{Epoch, ReservationId, Seq, SkuId};
use doorbuster_core::ledger::basket::{Basket, BodyHash, Line};
use doorbuster_core::ledger::page::{Acceptance, Record, RecordState};
use doorbuster_core::limits::{KEYS_MAX, LINES_MAX};
use doorbuster_core::time::Wall;

/// Set in the count of lines of a record that has ended.
const ENDED: u8 = 0x80;

/// The page of one user: its records, oldest first.
pub fn decode_page(bytes: &[u8]) -> Result<Vec<Record>, ReplyError> {
    let mut reader = Reader::new(bytes);
    let mut records = Vec::with_capacity(1);
    while !reader.is_empty() {
        if records.len() == KEYS_MAX {
            return Err(ReplyError::Surplus);
        }
        let length = reader.number(2)? as usize;
        records.push(decode_record(reader.raw(length)?)?);
    }
    Ok(records)
}

/// One record, without its length.
pub(crate) fn encode_record(record: &Record, out: &mut Writer) {
    let Acceptance { epoch, seq, reserved_at } = record.acceptance;
    out.number(epoch.0, 4).number(seq.0, 6).number(reserved_at.0, 6);
    encode_region(record.state, &record.basket, record.id, record.body, out);
}

pub(crate) fn decode_record(bytes: &[u8]) -> Result<Record, ReplyError> {
    let mut reader = Reader::new(bytes);
    let acceptance = decode_acceptance(&mut reader)?;
    let (state, basket, id, body) = decode_region(&mut reader)?;
    reader.end()?;
    Ok(Record { id, body, basket, state, acceptance })
}

pub(crate) fn decode_acceptance(reader: &mut Reader<'_>) -> Result<Acceptance, ReplyError> {
    let (epoch, seq) = (Epoch(reader.number(4)?), Seq(reader.number(6)?));
    Ok(Acceptance { epoch, seq, reserved_at: Wall(reader.number(6)?) })
}

pub(crate) fn encode_region(state: RecordState, basket: &Basket, id: ReservationId, body: BodyHash, out: &mut Writer) {
    let lines = basket.lines();
    let ended = match state {
        RecordState::Live => 0,
        RecordState::Ended => ENDED,
    };
    out.number(lines.len() as u64 | u64::from(ended), 1);
    for line in lines {
        out.number(u64::from(line.quantity), 2).text(line.sku.as_str());
    }
    out.raw(&id.0).raw(&body.0);
}

pub(crate) fn decode_region(
    reader: &mut Reader<'_>,
) -> Result<(RecordState, Basket, ReservationId, BodyHash), ReplyError> {
    let count = reader.byte()?;
    let state = if count & ENDED == 0 { RecordState::Live } else { RecordState::Ended };
    let count = usize::from(count & !ENDED);
    if count > LINES_MAX {
        return Err(ReplyError::Meaning(format!("a basket of {count} lines")));
    }
    let mut lines = Vec::with_capacity(count);
    for _ in 0..count {
        let quantity = reader.number(2)? as u32;
        lines.push(Line { sku: decode_sku(reader)?, quantity });
    }
    let basket = Basket::parse(&lines).map_err(ReplyError::meaning)?;
    Ok((state, basket, ReservationId(reader.array()?), BodyHash(reader.array()?)))
}

pub(crate) fn decode_sku(reader: &mut Reader<'_>) -> Result<SkuId, ReplyError> {
    SkuId::parse(reader.text()?).map_err(ReplyError::meaning)
}
