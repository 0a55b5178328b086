//! Short ASCII names, stored inline: copied, compared and hashed without a heap.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use std::fmt;
use std::str::FromStr;

/// Why a text is not an id: which kind it was to be, and what that kind takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdError {
    /// The kind of id, as the user knows it.
    pub kind: &'static str,
    /// What a valid one looks like.
    pub expected: &'static str,
}

impl fmt::Display for IdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a {}: expected {}", self.kind, self.expected)
    }
}

impl std::error::Error for IdError {}

/// Defines one id type: its name, its capacity in bytes, the bytes it takes, and how that is said.
macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $capacity:literal, $kind:literal, $allowed:expr, $expected:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type([u8; $capacity]);

        impl $type {
            /// Parses it; refused when empty, too long, or with another character.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                let bytes = text.as_bytes();
                let allowed: fn(u8) -> bool = $allowed;
                if bytes.is_empty() || bytes.len() > $capacity || !bytes.iter().all(|byte| allowed(*byte)) {
                    return Err(IdError { kind: $kind, expected: $expected });
                }
                let mut inline = [0; $capacity];
                inline[..bytes.len()].copy_from_slice(bytes);
                Ok(Self(inline))
            }

            /// The text that was parsed.
            pub fn as_str(&self) -> &str {
                let length = self.0.iter().position(|byte| *byte == 0).unwrap_or($capacity);
                std::str::from_utf8(&self.0[..length]).expect("only ASCII is parsed into a name")
            }
        }

        impl FromStr for $type {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::parse(text)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl serde::de::Visitor<'_> for Text {
                    type Value = $type;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expected)
                    }
                    fn visit_str<E: Error>(self, text: &str) -> Result<$type, E> {
                        $type::parse(text).map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Text)
            }
        }
    };
}

fn is_sale_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'
}

fn is_article_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

name!(
    /// A sale.
    SaleId, 32, "sale id", is_sale_byte, "1 to 32 of a-z, 0-9 and -"
);
name!(
    /// A stock-keeping unit: what a line of a basket names.
    SkuId, 32, "SKU", is_article_byte, "1 to 32 of A-Z, a-z, 0-9, '-', '_' and '.'"
);
name!(
    /// A product, of which SKUs are the variants.
    ProductId, 32, "product id", is_article_byte, "1 to 32 of A-Z, a-z, 0-9, '-', '_' and '.'"
);
name!(
    /// A payment at a provider.
    PaymentId, 64, "payment id", is_article_byte, "1 to 64 of A-Z, a-z, 0-9, '-', '_' and '.'"
);
name!(
    /// A buyer's idempotency key, of scope (sale, user).
    Key, 64, "Idempotency-Key", |byte| byte.is_ascii_graphic(), "1 to 64 printable ASCII characters without spaces"
);

impl Key {
    /// Keys with this beginning belong to the late-payment rule and are refused from outside.
    pub const RESERVED_PREFIX: &'static str = "late:";

    /// The key under which a late payment reserves again; derived, so that a retry is recognised.
    pub fn of_late_payment(payment: PaymentId) -> Key {
        // A payment id may fill the whole key: its tail is the part that differs.
        let room = 64 - Self::RESERVED_PREFIX.len();
        let text = payment.as_str();
        let tail = &text[text.len().saturating_sub(room)..];
        Key::parse(&format!("{}{tail}", Self::RESERVED_PREFIX)).expect("a payment id is printable ASCII")
    }

    /// Whether outside callers may not use it.
    pub fn is_reserved(&self) -> bool {
        self.as_str().starts_with(Self::RESERVED_PREFIX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_refused_with_what_was_expected() {
        assert_eq!(SaleId::parse("demo-1").unwrap().as_str(), "demo-1");
        assert!(SaleId::parse("").is_err());
        assert!(SaleId::parse("Demo").unwrap_err().to_string().contains("a-z"));
        assert!(SaleId::parse(&"x".repeat(33)).is_err());
        assert!(Key::parse("with space").is_err());
        assert!(SkuId::parse("naïve").is_err());
    }

    #[test]
    fn a_name_survives_json_and_sorts_like_its_text() {
        let key: Key = serde_json::from_str("\"click-1\"").unwrap();
        assert_eq!(serde_json::to_string(&key).unwrap(), "\"click-1\"");
        assert!(SkuId::parse("a").unwrap() < SkuId::parse("a1").unwrap());
        assert!(serde_json::from_str::<SaleId>("\"UP\"").is_err());
    }

    #[test]
    fn a_late_payment_has_a_reserved_key_even_for_the_longest_id() {
        let key = Key::of_late_payment(PaymentId::parse(&"p".repeat(64)).unwrap());
        assert!(key.is_reserved());
        assert!(!Key::parse("mine").unwrap().is_reserved());
    }
}
