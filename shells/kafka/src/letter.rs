//! One record as it stands in a topic: bytes, headers and place.

use rdkafka::message::{BorrowedMessage, Header, Headers, Message, OwnedHeaders};

/// A record with everything that a reader is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// The topic's name in the cluster.
    pub topic: String,
    /// The partition.
    pub partition: u32,
    /// Its place there.
    pub offset: u64,
    /// Milliseconds since 1970, by its producer or by the broker, as the topic says.
    pub timestamp_ms: Option<i64>,
    /// The key's bytes.
    pub key: Option<Vec<u8>>,
    /// The value's bytes.
    pub value: Option<Vec<u8>>,
    /// Headers in their order; a name may stand twice.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Letter {
    /// Copies a record out of the client's memory.
    pub fn copied(message: &BorrowedMessage<'_>) -> Letter {
        let header = |header: Header<'_, &[u8]>| (header.key.to_owned(), header.value.map(<[u8]>::to_vec));
        Letter {
            topic: message.topic().to_owned(),
            partition: place(message.partition().into()) as u32,
            offset: place(message.offset()),
            timestamp_ms: message.timestamp().to_millis(),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers: message.headers().map(|headers| headers.iter().map(header).collect()).unwrap_or_default(),
        }
    }

    /// The text of the last header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().rev().find(|(key, _)| key == name)?;
        std::str::from_utf8(found.1.as_deref()?).ok()
    }
}

/// Headers as the client wants them.
pub(crate) fn headers<'a>(of: impl IntoIterator<Item = (&'a str, Option<&'a [u8]>)>) -> OwnedHeaders {
    of.into_iter().fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value }))
}

/// A number that the library gives as signed; it is negative only where there is none, which a record never has.
pub(crate) fn place(number: i64) -> u64 {
    u64::try_from(number).expect("a record has a place")
}
