use crate::hosts::redis::Bytes;
use crate::hosts::redis::command::integer;

/// Words of one command; the server's own limit.
const WORDS_MAX: i64 = 1024 * 1024;

/// Bytes of one word; the server's own limit.
const WORD_BYTES_MAX: i64 = 512 * 1024 * 1024;

/// A length line that is longer than this is none; the server's own limit.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// Bytes that are no command. The connection closes: nothing behind them can be trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtocolError {
    /// The server's last words on the connection, without the leading minus.
    pub text: String,
}

/// Commands out of bytes that come in pieces.
#[derive(Clone, Debug, Default)]
pub struct RequestDecoder {
    buffer: Bytes,
    /// Where the undecoded bytes begin; what is before goes when a command is complete.
    start: usize,
}

impl RequestDecoder {
    /// Takes more bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next command, if all of it is here. Commands of no words are passed over, as on the server.
    ///
    /// # Errors
    /// The bytes are no command; inline commands, which no client library sends, count as none.
    pub fn decode(&mut self) -> Result<Option<Vec<Bytes>>, ProtocolError> {
        loop {
            let Some((words, end)) = frame(&self.buffer, self.start)? else { return Ok(None) };
            self.start = end;
            if !words.is_empty() {
                return Ok(Some(words));
            }
        }
    }
}

fn frame(buffer: &[u8], start: usize) -> Result<Option<(Vec<Bytes>, usize)>, ProtocolError> {
    let Some(first) = buffer.get(start) else { return Ok(None) };
    if *first != b'*' {
        return Err(expected('*', *first));
    }
    let Some((count, mut at)) = length(buffer, start + 1, "invalid multibulk length")? else { return Ok(None) };
    if count > WORDS_MAX {
        return Err(error("invalid multibulk length"));
    }
    let mut words = Vec::new();
    for _ in 0..count.max(0) {
        let Some((word, next)) = word(buffer, at)? else { return Ok(None) };
        words.push(word);
        at = next;
    }
    Ok(Some((words, at)))
}

fn word(buffer: &[u8], at: usize) -> Result<Option<(Bytes, usize)>, ProtocolError> {
    let Some(first) = buffer.get(at) else { return Ok(None) };
    if *first != b'$' {
        return Err(expected('$', *first));
    }
    let Some((size, at)) = length(buffer, at + 1, "invalid bulk length")? else { return Ok(None) };
    if size > WORD_BYTES_MAX {
        return Err(error("invalid bulk length"));
    }
    let size = usize::try_from(size).map_err(|_| error("invalid bulk length"))?;
    let Some(word) = buffer.get(at..at + size) else { return Ok(None) };
    if buffer.len() < at + size + 2 {
        return Ok(None);
    }
    if &buffer[at + size..at + size + 2] != b"\r\n" {
        // The real server skips these two bytes unseen. No client of ours may depend on that.
        return Err(error("expected the end of a bulk"));
    }
    Ok(Some((word.to_vec(), at + size + 2)))
}

fn length(buffer: &[u8], at: usize, wrong: &str) -> Result<Option<(i64, usize)>, ProtocolError> {
    let Some(end) = buffer[at..].iter().position(|byte| *byte == b'\r') else {
        let too_long = buffer.len() - at > LINE_BYTES_MAX;
        return if too_long { Err(error("too big mbulk count string")) } else { Ok(None) };
    };
    let number = integer(&buffer[at..at + end]).map_err(|_| error(wrong))?;
    match buffer.get(at + end + 1) {
        None => Ok(None),
        Some(b'\n') => Ok(Some((number, at + end + 2))),
        Some(_) => Err(error(wrong)),
    }
}

fn expected(wanted: char, got: u8) -> ProtocolError {
    error(&format!("expected '{wanted}', got '{}'", char::from(got)))
}

fn error(text: &str) -> ProtocolError {
    ProtocolError { text: format!("ERR Protocol error: {text}") }
}
