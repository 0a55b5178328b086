use crate::hosts::redis::Bytes;
use crate::hosts::redis::reply::Reply;

/// How deep a reply may be nested; no command of ours comes near.
const DEPTH_MAX: usize = 32;

/// Replies out of bytes that come in pieces: the client's end of the wire, for tests and tools.
#[derive(Clone, Debug, Default)]
pub struct ReplyDecoder {
    buffer: Bytes,
    start: usize,
}

impl ReplyDecoder {
    /// Takes more bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next reply, if all of it is here. Lists of pairs come as lists of lists: the wire cannot tell them apart.
    ///
    /// # Errors
    /// The bytes are no reply.
    pub fn decode(&mut self) -> Result<Option<Reply>, String> {
        let Some((reply, end)) = reply(&self.buffer, self.start, 0)? else { return Ok(None) };
        self.start = end;
        Ok(Some(reply))
    }
}

type Decoded<T> = Result<Option<(T, usize)>, String>;

fn reply(buffer: &[u8], at: usize, depth: usize) -> Decoded<Reply> {
    if depth > DEPTH_MAX {
        return Err("a reply is nested too deeply".to_owned());
    }
    let Some(kind) = buffer.get(at) else { return Ok(None) };
    let Some((line, at)) = line(buffer, at + 1)? else { return Ok(None) };
    let done = |reply| Ok(Some((reply, at)));
    match kind {
        b'+' => done(Reply::Status(line)),
        b'-' => done(Reply::Error(line)),
        b':' => done(Reply::Integer(number(&line)?)),
        b',' => done(Reply::Double(line.parse().map_err(|_| format!("no float: {line}"))?)),
        b'_' => done(Reply::Nil),
        b'$' if line == "-1" => done(Reply::Nil),
        b'*' if line == "-1" => done(Reply::NilArray),
        b'$' => bulk(buffer, at, size(&line)?).map(|found| found.map(|(bytes, at)| (Reply::Bulk(bytes), at))),
        b'=' => {
            let found = bulk(buffer, at, size(&line)?)?;
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes.get(4..).unwrap_or_default()).into_owned();
            Ok(found.map(|(bytes, at)| (Reply::Text(text(&bytes)), at)))
        }
        b'*' => items(buffer, at, size(&line)?, depth).map(|found| found.map(|(items, at)| (Reply::Array(items), at))),
        b'>' => items(buffer, at, size(&line)?, depth).map(|found| found.map(|(items, at)| (Reply::Push(items), at))),
        b'%' => {
            let found = items(buffer, at, size(&line)?.saturating_mul(2), depth)?;
            Ok(found.map(|(items, at)| (Reply::Map(paired(items)), at)))
        }
        _ => Err(format!("no reply begins with {}", char::from(*kind))),
    }
}

fn paired(items: Vec<Reply>) -> Vec<(Reply, Reply)> {
    let mut items = items.into_iter();
    std::iter::from_fn(|| Some((items.next()?, items.next()?))).collect()
}

fn items(buffer: &[u8], mut at: usize, count: usize, depth: usize) -> Decoded<Vec<Reply>> {
    let mut items = Vec::new();
    for _ in 0..count {
        let Some((item, next)) = reply(buffer, at, depth + 1)? else { return Ok(None) };
        items.push(item);
        at = next;
    }
    Ok(Some((items, at)))
}

fn bulk(buffer: &[u8], at: usize, size: usize) -> Decoded<Bytes> {
    let end = at.checked_add(size).ok_or("a string is too long")?;
    match buffer.get(end..end.saturating_add(2)) {
        None => Ok(None),
        Some(b"\r\n") => Ok(Some((buffer[at..end].to_vec(), end + 2))),
        Some(_) => Err("a string does not end where it says".to_owned()),
    }
}

fn line(buffer: &[u8], at: usize) -> Decoded<String> {
    let Some(end) = buffer[at..].windows(2).position(|pair| pair == b"\r\n") else { return Ok(None) };
    let text = String::from_utf8_lossy(&buffer[at..at + end]).into_owned();
    Ok(Some((text, at + end + 2)))
}

fn number(line: &str) -> Result<i64, String> {
    line.parse().map_err(|_| format!("no number: {line}"))
}

fn size(line: &str) -> Result<usize, String> {
    line.parse().map_err(|_| format!("no length: {line}"))
}
