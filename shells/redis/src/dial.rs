//! How a server is reached: the one place that knows a network.

use async_trait::async_trait;
use std::fmt;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// Where a server listens: a host's name or number, and a port.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(Arc<str>);

impl Address {
    /// Parses `host:port`.
    pub fn parse(text: &str) -> Option<Address> {
        let (host, port) = text.rsplit_once(':')?;
        let valid = !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0);
        valid.then(|| Address(text.into()))
    }

    /// As it was parsed.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its host.
    pub fn host(&self) -> &str {
        self.0.rsplit_once(':').expect("only host:port is parsed").0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A stream of bytes both ways.
pub trait ByteStream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> ByteStream for S {}

/// Opens streams to servers.
///
/// Contract: it may fail or wait for ever; whoever dials gives it a time and drops it then. A stream may end at any
/// byte. Two streams may lead to two servers, where a name moves from one to another.
#[async_trait]
pub trait Dial: Send + Sync + 'static {
    /// Opens one.
    ///
    /// # Errors
    /// The server cannot be reached; nothing was sent.
    async fn dial(&self, server: &Address) -> io::Result<Box<dyn ByteStream>>;
}

/// Dials by TCP, without encryption: for networks that are private or encrypt by themselves.
#[derive(Clone, Copy, Debug)]
pub struct TcpDial;

#[async_trait]
impl Dial for TcpDial {
    async fn dial(&self, server: &Address) -> io::Result<Box<dyn ByteStream>> {
        let stream = TcpStream::connect(server.as_str()).await?;
        // A call is one small message that somebody waits for.
        stream.set_nodelay(true)?;
        Ok(Box::new(stream))
    }
}
