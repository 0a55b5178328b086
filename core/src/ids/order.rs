//! Ids that route themselves: an order's id names its sale and shard.

use super::name::{IdError, Key, SaleId};
use super::user::UserId;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;

/// One slice of a sale's users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ShardId {
    /// The sale.
    pub sale: SaleId,
    /// Which slice, from 0.
    pub k: u16,
}

/// What a reservation and its order share inside their shard: derived from (sale, user, key), never drawn.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReservationId(pub [u8; 16]);

/// An order's id as the world sees it: `{sale}.{k}.{base32 of the reservation id}`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderId {
    /// Where it lives.
    pub shard: ShardId,
    /// Which one there.
    pub reservation: ReservationId,
}

/// RFC 4648 base32, lower case, without padding: safe in URLs, in file names and when read aloud.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// 16 bytes are 128 bits are 26 digits of 5 bits, two bits of the last one being zero.
const DIGITS: usize = 26;

impl ReservationId {
    /// First 16 bytes of SHA-256 over (sale, user, key), each ended by a zero byte that none of them can contain.
    pub fn derive(sale: SaleId, user: &UserId, key: &Key) -> ReservationId {
        let mut hash = Sha256::new();
        for part in [sale.as_str(), user.as_str(), key.as_str()] {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        let digest = hash.finalize();
        ReservationId(digest[..16].try_into().expect("a SHA-256 digest has 32 bytes"))
    }

    fn parse(text: &str) -> Option<ReservationId> {
        if text.len() != DIGITS {
            return None;
        }
        let mut bits: u128 = 0;
        for (index, byte) in text.bytes().enumerate() {
            let digit = ALPHABET.iter().position(|letter| *letter == byte)? as u128;
            if index + 1 == DIGITS {
                if digit & 0b11 != 0 {
                    return None;
                }
                bits = (bits << 3) | (digit >> 2);
            } else {
                bits = (bits << 5) | digit;
            }
        }
        Some(ReservationId(bits.to_be_bytes()))
    }
}

impl fmt::Display for ReservationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = u128::from_be_bytes(self.0);
        let mut text = [0; DIGITS];
        for (index, letter) in text.iter_mut().enumerate() {
            let digit = if index + 1 == DIGITS { bits << 2 } else { bits >> (123 - 5 * index) };
            *letter = ALPHABET[(digit & 31) as usize];
        }
        f.write_str(std::str::from_utf8(&text).expect("the alphabet is ASCII"))
    }
}

impl fmt::Debug for ReservationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ReservationId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<ReservationId, IdError> {
        ReservationId::parse(text).ok_or(IdError { kind: "reservation id", expected: "26 base32 digits" })
    }
}

impl Serialize for ReservationId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { self.0.serialize(serializer) }
    }
}

impl<'de> Deserialize<'de> for ReservationId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            text.parse().map_err(serde::de::Error::custom)
        } else {
            Ok(ReservationId(<[u8; 16]>::deserialize(deserializer)?))
        }
    }
}

impl OrderId {
    /// The id of the order that this click makes, on the shard that serves this user.
    pub fn derive(sale: SaleId, shards: u16, user: &UserId, key: &Key) -> OrderId {
        let shard = ShardId { sale, k: user.shard_of(shards) };
        OrderId { shard, reservation: ReservationId::derive(sale, user, key) }
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.sale, self.k)
    }
}

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.shard, self.reservation)
    }
}

impl fmt::Debug for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for OrderId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<OrderId, IdError> {
        let error = IdError { kind: "order id", expected: "{sale}.{shard}.{26 base32 digits}" };
        let mut parts = text.split('.');
        let (Some(sale), Some(k), Some(digits), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err(error);
        };
        let sale = SaleId::parse(sale).map_err(|_| error)?;
        // One spelling per id: a leading zero or plus would make two names of one order.
        let number: u16 = k.parse().map_err(|_| error)?;
        if number.to_string() != k {
            return Err(error);
        }
        let reservation = ReservationId::parse(digits).ok_or(error)?;
        Ok(OrderId { shard: ShardId { sale, k: number }, reservation })
    }
}

impl Serialize for OrderId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            (self.shard, self.reservation).serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for OrderId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            text.parse().map_err(serde::de::Error::custom)
        } else {
            let (shard, reservation) = <(ShardId, ReservationId)>::deserialize(deserializer)?;
            Ok(OrderId { shard, reservation })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_order_id_survives_its_text(bytes: [u8; 16], k in 0u16..256) {
            let shard = ShardId { sale: SaleId::parse("demo").unwrap(), k };
            let id = OrderId { shard, reservation: ReservationId(bytes) };
            prop_assert_eq!(id.to_string().parse::<OrderId>().unwrap(), id);
        }
    }

    #[test]
    fn an_order_id_has_one_spelling() {
        let sale = SaleId::parse("demo").unwrap();
        let id = OrderId::derive(sale, 1, &UserId::parse("ann").unwrap(), &Key::parse("k").unwrap());
        let text = id.to_string();
        assert!(text.replacen(".0.", ".00.", 1).parse::<OrderId>().is_err());
        assert!(text.to_uppercase().parse::<OrderId>().is_err());
        assert!(format!("{text}.x").parse::<OrderId>().is_err());
    }

    #[test]
    fn user_and_key_do_not_run_into_each_other() {
        let sale = SaleId::parse("demo").unwrap();
        let one = ReservationId::derive(sale, &UserId::parse("ab").unwrap(), &Key::parse("c").unwrap());
        let other = ReservationId::derive(sale, &UserId::parse("a").unwrap(), &Key::parse("bc").unwrap());
        assert_ne!(one, other);
    }
}
