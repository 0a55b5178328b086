//! The shared cache as bytes: a floor is its version 8; a product is its version 8, the time of its fill 8, the value.
//!
//! A reader asks the server for its TIME first and for the key then: a fill that follows names that time.

use crate::bytes::Reader;
use crate::value::{ReplyError, Value};
use doorbuster_core::cache::shared::{Document, FillRefusal, Floored};
use doorbuster_core::ids::Version;
use doorbuster_core::time::Wall;

/// What GET answers.
pub fn decode_document(value: &Value) -> Result<Option<Document>, ReplyError> {
    if *value == Value::Nil {
        return Ok(None);
    }
    let bytes = value.bytes()?;
    let mut reader = Reader::new(bytes);
    let version = Version(reader.number(8)?);
    if reader.is_empty() {
        return Ok(Some(Document::Floor { version }));
    }
    let filled_at = Wall(reader.number(8)?);
    Ok(Some(Document::Filled { version, value: bytes[16..].into(), filled_at }))
}

/// What TIME answers, in milliseconds.
pub fn decode_time(value: &Value) -> Result<Wall, ReplyError> {
    let [seconds, micros] = value.array()? else { return Err(ReplyError::Type("a time")) };
    let (seconds, micros): (u64, u64) = (seconds.number()?, micros.number()?);
    let millis = seconds.checked_mul(1000).and_then(|millis| millis.checked_add(micros / 1000));
    millis.map(Wall).ok_or_else(|| ReplyError::meaning(seconds))
}

pub(crate) fn decode_fill(bytes: &[u8]) -> Result<(Wall, Result<(), FillRefusal>), ReplyError> {
    let mut reader = Reader::new(bytes);
    let now = Wall(reader.number(8)?);
    let verdict = match reader.byte()? {
        b'D' => Ok(()),
        b'L' => Err(FillRefusal::Late),
        b'N' => Err(FillRefusal::Newer(Version(reader.number(8)?))),
        letter => return Err(ReplyError::meaning(char::from(letter))),
    };
    reader.end()?;
    Ok((now, verdict))
}

pub(crate) fn decode_floor(bytes: &[u8]) -> Result<(Wall, Floored), ReplyError> {
    let mut reader = Reader::new(bytes);
    let now = Wall(reader.number(8)?);
    let floored = match reader.byte()? {
        b'W' => Floored::Written,
        b'K' => Floored::Known,
        letter => return Err(ReplyError::meaning(char::from(letter))),
    };
    reader.end()?;
    Ok((now, floored))
}
