//! One frame: a header, the beginning of its value in words, and as many bytes as the value weighs.
//!
//! Nobody reads the words but whoever watches the network: they make a run's lines readable, and its hash one of what was
//! said.

use std::fmt::{self, Debug, Write};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// What a header says: which way, which call, which value, how many bytes follow.
const FACTS_BYTES: usize = 1 + 8 + 8 + 4;
/// Bytes of a header. Each carries half of one of its facts' bytes and no character, so that a line of a run shows the
/// words alone.
pub const HEADER_BYTES: usize = 2 * FACTS_BYTES;
/// Set in every byte of a header.
const MARK: u8 = 0x80;
/// Longest body: a page of records is far below it; what announces more is no frame.
pub const WEIGHT_MAX: u32 = 1 << 20;
/// Bytes of words: a reader wants the beginning.
pub const TEXT_MAX: usize = 240;
/// Bytes of a body that are read or written at once.
const PORTION_BYTES: usize = 8 * 1024;

/// Which way a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the client.
    Ask,
    /// Back to it.
    Answer,
}

/// One frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Which way.
    pub way: Way,
    /// The client's number of the call.
    pub call: u64,
    /// The number under which the value is kept.
    pub value: u64,
    /// Bytes that follow the header.
    pub weight: u32,
}

impl Frame {
    fn header(&self) -> [u8; HEADER_BYTES] {
        let way = match self.way {
            Way::Ask => 1,
            Way::Answer => 2,
        };
        let numbers = self.call.to_be_bytes().into_iter().chain(self.value.to_be_bytes());
        let facts = [way].into_iter().chain(numbers).chain(self.weight.to_be_bytes());
        let mut bytes = [0; HEADER_BYTES];
        for (pair, fact) in bytes.chunks_exact_mut(2).zip(facts) {
            pair.copy_from_slice(&[MARK | (fact >> 4), MARK | (fact & 0x0f)]);
        }
        bytes
    }

    fn parse(bytes: &[u8; HEADER_BYTES]) -> io::Result<Frame> {
        if bytes.iter().any(|byte| byte & !0x0f != MARK) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut facts = [0; FACTS_BYTES];
        for (fact, pair) in facts.iter_mut().zip(bytes.chunks_exact(2)) {
            *fact = ((pair[0] & 0x0f) << 4) | (pair[1] & 0x0f);
        }
        let number = |at: usize| u64::from_be_bytes(facts[at..at + 8].try_into().expect("eight bytes"));
        let weight = u32::from_be_bytes(facts[17..].try_into().expect("four bytes"));
        let way = match facts[0] {
            1 => Way::Ask,
            2 => Way::Answer,
            _ => return Err(io::ErrorKind::InvalidData.into()),
        };
        if weight > WEIGHT_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(Frame { way, call: number(1), value: number(9), weight })
    }

    /// Writes it, with these words; with `cut`, its header in two parts of which the first has so many bytes: two segments,
    /// between which a connection may break.
    ///
    /// # Errors
    /// The stream is broken; part of the frame may have left.
    pub async fn write(
        &self,
        stream: &mut (impl AsyncWrite + Unpin),
        text: &[u8],
        cut: Option<usize>,
    ) -> io::Result<()> {
        let (mut bytes, weight) = (self.header().to_vec(), self.weight as usize);
        bytes.extend_from_slice(&text[..text.len().min(weight)]);
        // A small frame leaves at once: each write is a segment of its own.
        bytes.resize(HEADER_BYTES + weight.min(PORTION_BYTES), 0);
        let (first, second) = bytes.split_at(cut.unwrap_or(0).min(HEADER_BYTES));
        for part in [first, second].into_iter().filter(|part| !part.is_empty()) {
            stream.write_all(part).await?;
        }
        let (body, mut left) = ([0; PORTION_BYTES], weight.saturating_sub(PORTION_BYTES));
        while left > 0 {
            let portion = left.min(PORTION_BYTES);
            stream.write_all(&body[..portion]).await?;
            left -= portion;
        }
        stream.flush().await
    }

    /// Writes a part of it and no more, which is how a connection ends in the middle of a frame.
    ///
    /// # Errors
    /// The stream is broken already.
    pub async fn write_torn(&self, stream: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        stream.write_all(&self.header()[..HEADER_BYTES / 2]).await?;
        stream.flush().await
    }

    /// Reads the next one.
    ///
    /// # Errors
    /// The stream ended, in the middle of a frame or between two, or what it carries is no frame.
    pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Frame> {
        let mut header = [0; HEADER_BYTES];
        stream.read_exact(&mut header).await?;
        let frame = Frame::parse(&header)?;
        let (mut body, mut left) = ([0; PORTION_BYTES], frame.weight as usize);
        while left > 0 {
            let portion = left.min(PORTION_BYTES);
            stream.read_exact(&mut body[..portion]).await?;
            left -= portion;
        }
        Ok(frame)
    }
}

/// The beginning of a value in words; what lies behind it is not even made.
pub fn text_of(value: &impl Debug) -> Vec<u8> {
    let mut text = Text(Vec::with_capacity(TEXT_MAX));
    // It fails when it is full.
    let _ = write!(text, "{value:?}");
    text.0
}

struct Text(Vec<u8>);

impl Write for Text {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        let room = TEXT_MAX - self.0.len();
        self.0.extend_from_slice(&part.as_bytes()[..part.len().min(room)]);
        if part.len() < room { Ok(()) } else { Err(fmt::Error) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_the_beginning_of_a_value() {
        assert_eq!(text_of(&Some(7)), b"Some(7)");
        assert_eq!(text_of(&"x".repeat(1_000)).len(), TEXT_MAX);
    }

    #[tokio::test]
    async fn a_frame_is_read_as_it_was_written() {
        let (mut near, mut far) = tokio::io::duplex(64 * 1024);
        for (weight, cut) in [(0, None), (5, Some(3)), (20_000, Some(HEADER_BYTES))] {
            let frame = Frame { way: Way::Answer, call: 7, value: u64::MAX, weight };
            frame.write(&mut near, b"in words", cut).await.expect("there is room");
            assert_eq!(Frame::read(&mut far).await.expect("it is whole"), frame);
        }
    }

    #[tokio::test]
    async fn what_is_no_frame_is_refused() {
        let too_heavy = Frame { way: Way::Ask, call: 1, value: 1, weight: WEIGHT_MAX + 1 }.header();
        let mut no_way = Frame { way: Way::Ask, call: 1, value: 1, weight: 0 }.header();
        no_way[1] = MARK | 7;
        for bytes in [&[9; HEADER_BYTES][..], &too_heavy, &no_way, &[MARK; 5]] {
            assert!(Frame::read(&mut &bytes[..]).await.is_err(), "{bytes:?}");
        }
    }
}
