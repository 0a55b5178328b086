//! Big-endian fields, as the scripts pack and unpack them.

use crate::value::ReplyError;

/// Writes fields one behind the other.
#[derive(Default)]
pub struct Writer(pub Vec<u8>);

/// Reads them back; a peer's bytes may end anywhere.
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl Writer {
    /// The last `width` bytes of a number that fits into them: ours do, so one that does not is our own bug.
    pub fn number(&mut self, value: u64, width: usize) -> &mut Writer {
        assert!(width == 8 || value >> (8 * width) == 0, "{value} does not fit into {width} bytes");
        self.raw(&value.to_be_bytes()[8 - width..])
    }

    pub fn raw(&mut self, bytes: &[u8]) -> &mut Writer {
        self.0.extend_from_slice(bytes);
        self
    }

    /// A text of at most 255 bytes behind its length.
    pub fn text(&mut self, text: &str) -> &mut Writer {
        self.number(text.len() as u64, 1).raw(text.as_bytes())
    }
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub fn raw(&mut self, length: usize) -> Result<&'a [u8], ReplyError> {
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(ReplyError::Truncated)?;
        self.rest = rest;
        Ok(bytes)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], ReplyError> {
        self.raw(N)?.try_into().map_err(|_| ReplyError::Truncated)
    }

    pub fn number(&mut self, width: usize) -> Result<u64, ReplyError> {
        Ok(self.raw(width)?.iter().fold(0, |value, byte| (value << 8) | u64::from(*byte)))
    }

    pub fn byte(&mut self) -> Result<u8, ReplyError> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    /// A text behind its length.
    pub fn text(&mut self) -> Result<&'a str, ReplyError> {
        let length = usize::from(self.byte()?);
        std::str::from_utf8(self.raw(length)?).map_err(|_| ReplyError::Text)
    }

    pub fn end(&self) -> Result<(), ReplyError> {
        if self.rest.is_empty() { Ok(()) } else { Err(ReplyError::Surplus) }
    }
}
