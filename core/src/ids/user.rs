//! Who buys: a name with the hash that routes it.

use super::name::IdError;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use std::fmt;
use std::sync::Arc;

/// A buyer, as the token's subject names them.
///
/// Ordered by hash first: a comparison in a map of a million users reads one word, not a string.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId {
    hash: u64,
    name: Arc<str>,
}

impl UserId {
    /// Longest user name in bytes.
    pub const LENGTH_MAX: usize = 64;

    /// Parses a user name: 1 to 64 printable ASCII characters without spaces.
    pub fn parse(name: &str) -> Result<UserId, IdError> {
        let printable = name.bytes().all(|byte| byte.is_ascii_graphic());
        if name.is_empty() || name.len() > Self::LENGTH_MAX || !printable {
            return Err(IdError { kind: "user", expected: "1 to 64 printable ASCII characters without spaces" });
        }
        let digest = Sha256::digest(name.as_bytes());
        let first: [u8; 8] = digest[..8].try_into().expect("a SHA-256 digest has 32 bytes");
        Ok(UserId { hash: u64::from_be_bytes(first), name: Arc::from(name) })
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// First 8 bytes of SHA-256 of the name: as good as the name where two users in 2^64 may be taken for one.
    pub fn hash64(&self) -> u64 {
        self.hash
    }

    /// The shard of a sale with `shards` shards that serves this user: hash mod N, fixed for the sale's life.
    pub fn shard_of(&self, shards: u16) -> u16 {
        assert!(shards > 0, "a sale has at least one shard");
        (self.hash % u64::from(shards)) as u16
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name)
    }
}

impl Serialize for UserId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.name)
    }
}

impl<'de> Deserialize<'de> for UserId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl serde::de::Visitor<'_> for Text {
            type Value = UserId;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a user name of 1 to 64 printable ASCII characters")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<UserId, E> {
                UserId::parse(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}
