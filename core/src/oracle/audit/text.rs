//! Numbers that a JSON reader would round are written as text.

/// A number newtype as decimal text.
macro_rules! decimal {
    ($module:ident, $type:ident) => {
        pub(in crate::oracle) mod $module {
            use crate::ids::$type;
            use serde::de::Error;
            use serde::{Deserialize, Deserializer, Serializer};

            pub fn serialize<S: Serializer>(number: &$type, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(&number.0)
            }

            pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<$type, D::Error> {
                let text = String::deserialize(deserializer)?;
                let number = text.parse().map_err(|_| D::Error::custom(format!("{text} is not a decimal number")))?;
                Ok($type(number))
            }
        }
    };
}

decimal!(server, ServerId);
decimal!(nonce, Nonce);

/// A number as decimal text, or nothing.
pub(super) mod decimal_option {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(number: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
        match number {
            Some(number) => serializer.collect_str(number),
            None => serializer.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        let parse =
            |text: String| text.parse().map_err(|_| D::Error::custom(format!("{text} is not a decimal number")));
        text.map(parse).transpose()
    }
}

/// A fingerprint as 32 hexadecimal digits, or nothing.
pub(super) mod hex_option {
    use crate::ledger::basket::BodyHash;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(hash: &Option<BodyHash>, serializer: S) -> Result<S::Ok, S::Error> {
        match hash {
            Some(hash) => serializer.collect_str(&format_args!("{:032x}", u128::from_be_bytes(hash.0))),
            None => serializer.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<BodyHash>, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
        let digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u128::from_str_radix(&text, 16).ok().filter(|_| digits);
        let number = number.ok_or_else(|| D::Error::custom("body_hash must have 32 hexadecimal digits"))?;
        Ok(Some(BodyHash(number.to_be_bytes())))
    }
}
