//! What a server answers, before it is understood.

use std::fmt;

/// One reply of the protocol, as far as the scripts and the dumps use it; a simple string is the same as a bulk string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Nothing there.
    Nil,
    /// A number.
    Integer(i64),
    /// A string of bytes.
    Bytes(Vec<u8>),
    /// Several replies.
    Array(Vec<Value>),
    /// An error, with its code in front.
    Error(String),
}

/// A reply that is not one of the documented ones. Whether its call was applied is unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplyError {
    /// It ends too early.
    Truncated,
    /// It goes on behind its end.
    Surplus,
    /// A text that is no text.
    Text,
    /// A letter, a name or a number that means nothing.
    Meaning(String),
    /// Another type of reply than was expected.
    Type(&'static str),
    /// The server's own error: READONLY, OOM, LOADING, NOSCRIPT and the like.
    Server(String),
}

impl fmt::Display for ReplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReplyError::Truncated => f.write_str("the reply ends too early"),
            ReplyError::Surplus => f.write_str("the reply goes on behind its end"),
            ReplyError::Text => f.write_str("a text in the reply is not one"),
            ReplyError::Meaning(what) => write!(f, "{what} means nothing in this reply"),
            ReplyError::Type(expected) => write!(f, "the reply is not {expected}"),
            ReplyError::Server(error) => write!(f, "the server answered {error}"),
        }
    }
}

impl std::error::Error for ReplyError {}

impl ReplyError {
    pub(crate) fn meaning(what: impl fmt::Debug) -> ReplyError {
        ReplyError::Meaning(format!("{what:?}"))
    }
}

impl Value {
    /// Whether the script found another server or another memory than its caller believes in.
    pub fn is_fenced(&self) -> bool {
        matches!(self, Value::Error(error) if error.split(' ').next() == Some("FENCED"))
    }

    /// Its bytes.
    pub fn bytes(&self) -> Result<&[u8], ReplyError> {
        match self {
            Value::Bytes(bytes) => Ok(bytes),
            Value::Error(error) => Err(ReplyError::Server(error.clone())),
            Value::Nil | Value::Integer(_) | Value::Array(_) => Err(ReplyError::Type("a string")),
        }
    }

    /// Its parts.
    pub fn array(&self) -> Result<&[Value], ReplyError> {
        match self {
            Value::Array(values) => Ok(values),
            Value::Error(error) => Err(ReplyError::Server(error.clone())),
            Value::Nil | Value::Integer(_) | Value::Bytes(_) => Err(ReplyError::Type("an array")),
        }
    }

    /// Its bytes as text.
    pub fn text(&self) -> Result<&str, ReplyError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| ReplyError::Text)
    }

    /// Its text as a number.
    pub fn number<N: std::str::FromStr>(&self) -> Result<N, ReplyError> {
        let text = self.text()?;
        text.parse().map_err(|_| ReplyError::meaning(text))
    }

    /// Its parts two by two, as a hash or a sorted set with scores answers.
    pub fn pairs(&self) -> Result<impl Iterator<Item = (&Value, &Value)>, ReplyError> {
        let values = self.array()?;
        if !values.len().is_multiple_of(2) {
            return Err(ReplyError::Truncated);
        }
        Ok(values.chunks_exact(2).map(|pair| (&pair[0], &pair[1])))
    }
}
