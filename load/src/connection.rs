//! One keep-alive HTTP/1.1 connection as a raw socket: request bytes in, the parsed head and body of the answer out.
//!
//! A client library would do more than is needed and cost more than the server under test; answers are read with
//! `httparse`, and only bodies with a Content-Length are understood, which is what the platform sends on these routes.

use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// No answer on these routes is longer; a longer one is malformed and not a reason to fill the memory.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Enough for every header that the platform and a proxy before it send.
const HEADERS_MAX: usize = 48;

/// First pause before connecting again; doubled up to `BACKOFF_MAX`.
const BACKOFF_MIN: Duration = Duration::from_millis(10);
const BACKOFF_MAX: Duration = Duration::from_millis(500);

/// Why there is no answer. The request may have been carried out all the same.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The server closed the connection.
    #[error("connection closed")]
    Closed,
    /// The socket failed.
    #[error("connection broken: {0}")]
    Failed(io::ErrorKind),
    /// No answer in time.
    #[error("timeout")]
    TimedOut,
    /// The bytes are no HTTP answer.
    #[error("malformed answer: {0}")]
    Malformed(&'static str),
}

/// One answer; it borrows the connection's buffer.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    /// HTTP status.
    pub status: u16,
    /// Retry-After, in seconds.
    pub retry_after_seconds: Option<u64>,
    /// The body.
    pub body: &'a [u8],
}

/// An open connection.
struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// The server announced that it closes after the last answer; the buffer is still borrowed by that answer.
    closes: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    retry_after_seconds: Option<u64>,
    body: Range<usize>,
    closes: bool,
}

/// A connection to one address that is made again, with backoff, after it broke.
pub struct Link {
    address: SocketAddr,
    connection: Option<Connection>,
    backoff: Duration,
}

impl Link {
    /// A link that is not connected yet.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self { address, connection: None, backoff: BACKOFF_MIN }
    }

    /// Connects if there is no connection, with backoff until `deadline`; false when the deadline came first.
    pub async fn ready(&mut self, deadline: Instant) -> bool {
        if self.connection.as_ref().is_some_and(|connection| connection.closes) {
            self.connection = None;
        }
        while self.connection.is_none() {
            let now = Instant::now();
            if now >= deadline {
                return false;
            }
            // A connect to a loopback address is answered at once or not at all.
            let attempt = tokio::time::timeout(Duration::from_secs(2), TcpStream::connect(self.address)).await;
            if let Ok(Ok(stream)) = attempt {
                let _ = stream.set_nodelay(true);
                self.connection = Some(Connection { stream, buffer: Vec::with_capacity(2048), closes: false });
                self.backoff = BACKOFF_MIN;
            } else {
                tokio::time::sleep(self.backoff.min(deadline - now)).await;
                self.backoff = (self.backoff * 2).min(BACKOFF_MAX);
            }
        }
        true
    }

    /// Writes one request and reads its answer.
    ///
    /// # Errors
    /// After any error the connection is dropped, because a late answer to this request would be taken for the next one's.
    pub async fn exchange(&mut self, request: &[u8], deadline: Instant) -> Result<Reply<'_>, Broken> {
        let Some(mut connection) = self.connection.take() else { return Err(Broken::Closed) };
        let head = match tokio::time::timeout_at(deadline.into(), connection.exchange(request)).await {
            Ok(head) => head?,
            Err(_) => return Err(Broken::TimedOut),
        };
        connection.closes = head.closes;
        let connection = self.connection.insert(connection);
        Ok(reply(&connection.buffer, &head))
    }
}

fn reply<'a>(buffer: &'a [u8], head: &Head) -> Reply<'a> {
    Reply { status: head.status, retry_after_seconds: head.retry_after_seconds, body: &buffer[head.body.clone()] }
}

impl Connection {
    async fn exchange(&mut self, request: &[u8]) -> Result<Head, Broken> {
        self.buffer.clear();
        self.stream.write_all(request).await.map_err(|error| Broken::Failed(error.kind()))?;
        loop {
            let read = self.stream.read_buf(&mut self.buffer).await.map_err(|error| Broken::Failed(error.kind()))?;
            if read == 0 {
                return Err(Broken::Closed);
            }
            match parse_head(&self.buffer)? {
                Some(head) if head.body.end == self.buffer.len() => return Ok(head),
                Some(head) if head.body.end < self.buffer.len() => {
                    return Err(Broken::Malformed("bytes after the answer"));
                }
                Some(_) | None => {}
            }
            if self.buffer.len() > ANSWER_BYTES_MAX {
                return Err(Broken::Malformed("longer than 1 MiB"));
            }
        }
    }
}

/// The head of an answer, or `None` while it is not whole.
fn parse_head(bytes: &[u8]) -> Result<Option<Head>, Broken> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(start) = response.parse(bytes).map_err(|_| Broken::Malformed("not an HTTP head"))?
    else {
        return Ok(None);
    };
    let status = response.code.ok_or(Broken::Malformed("no status"))?;
    let mut head = Head { status, retry_after_seconds: None, body: start..start, closes: false };
    for header in response.headers.iter() {
        // The length is compared first: most headers are told apart without looking at their letters.
        match header.name.len() {
            14 if header.name.eq_ignore_ascii_case("content-length") => {
                let length = number(header.value).ok_or(Broken::Malformed("content-length is no number"))?;
                let length = usize::try_from(length).ok().filter(|length| *length <= ANSWER_BYTES_MAX);
                head.body = start..start + length.ok_or(Broken::Malformed("longer than 1 MiB"))?;
            }
            11 if header.name.eq_ignore_ascii_case("retry-after") => head.retry_after_seconds = number(header.value),
            10 if header.name.eq_ignore_ascii_case("connection") => {
                head.closes = header.value.eq_ignore_ascii_case(b"close")
            }
            17 if header.name.eq_ignore_ascii_case("transfer-encoding") => {
                return Err(Broken::Malformed("no content-length"));
            }
            _ => {}
        }
    }
    Ok(Some(head))
}

fn number(bytes: &[u8]) -> Option<u64> {
    std::str::from_utf8(bytes).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_answer_is_understood() {
        let bytes =
            b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\ncontent-length: 2\r\nConnection: close\r\n\r\n{}";
        let head = parse_head(bytes).expect("well formed").expect("whole");
        assert_eq!((head.status, head.retry_after_seconds, head.closes), (503, Some(2), true));
        assert_eq!(&bytes[head.body], b"{}");
    }

    #[test]
    fn half_a_head_is_not_an_answer_and_garbage_is_an_error() {
        assert_eq!(parse_head(b"HTTP/1.1 202 Acc").expect("so far well formed"), None);
        assert!(parse_head(b"SSH-2.0-OpenSSH\r\n\r\n").is_err());
        assert!(parse_head(b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n").is_err());
    }
}
