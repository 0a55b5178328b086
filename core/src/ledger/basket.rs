//! What a buyer wants: a few lines, taken whole or not at all.

use crate::ids::SkuId;
use crate::limits::{LINES_MAX, QUANTITY_MAX};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::sync::Arc;

/// One line: so many units of one SKU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// What.
    pub sku: SkuId,
    /// How many units.
    pub quantity: u32,
}

/// 1 to [`LINES_MAX`] lines of distinct SKUs, each of 1 to [`QUANTITY_MAX`] units; cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<Line>", into = "Vec<Line>")]
pub struct Basket(Arc<[Line]>);

/// Why lines are not a basket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BasketError {
    /// No line at all.
    Empty,
    /// More than [`LINES_MAX`] lines.
    TooManyLines,
    /// A line of zero units.
    ZeroQuantity(SkuId),
    /// A line of more than [`QUANTITY_MAX`] units.
    QuantityTooLarge(SkuId),
    /// The same SKU in two lines.
    RepeatedSku(SkuId),
}

impl fmt::Display for BasketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BasketError::Empty => write!(f, "lines is empty: name at least one SKU"),
            BasketError::TooManyLines => write!(f, "more than {LINES_MAX} lines in one basket"),
            BasketError::ZeroQuantity(sku) => write!(f, "quantity of {sku} is 0: ask for at least 1"),
            BasketError::QuantityTooLarge(sku) => {
                write!(f, "quantity of {sku} is above {QUANTITY_MAX}, the most of one line")
            }
            BasketError::RepeatedSku(sku) => write!(f, "{sku} stands in two lines: add their quantities"),
        }
    }
}

impl std::error::Error for BasketError {}

impl Basket {
    /// Checks the lines and keeps their order.
    pub fn parse(lines: &[Line]) -> Result<Basket, BasketError> {
        if lines.is_empty() {
            return Err(BasketError::Empty);
        }
        if lines.len() > LINES_MAX {
            return Err(BasketError::TooManyLines);
        }
        for (index, line) in lines.iter().enumerate() {
            if line.quantity == 0 {
                return Err(BasketError::ZeroQuantity(line.sku));
            }
            if line.quantity > QUANTITY_MAX {
                return Err(BasketError::QuantityTooLarge(line.sku));
            }
            if lines[..index].iter().any(|earlier| earlier.sku == line.sku) {
                return Err(BasketError::RepeatedSku(line.sku));
            }
        }
        Ok(Basket(Arc::from(lines)))
    }

    /// The lines, in the buyer's order.
    pub fn lines(&self) -> &[Line] {
        &self.0
    }

    /// Units over all lines: what counts against the limit per user.
    pub fn units(&self) -> u32 {
        self.0.iter().map(|line| line.quantity).sum()
    }

    /// Fingerprint of what was asked, blind to how the JSON was written.
    pub fn body_hash(&self) -> BodyHash {
        let mut hash = Sha256::new();
        for line in self.lines() {
            hash.update(line.sku.as_str().as_bytes());
            hash.update([0]);
            hash.update(line.quantity.to_be_bytes());
        }
        let digest = hash.finalize();
        BodyHash(digest[..16].try_into().expect("a SHA-256 digest has 32 bytes"))
    }
}

impl TryFrom<Vec<Line>> for Basket {
    type Error = BasketError;
    fn try_from(lines: Vec<Line>) -> Result<Basket, BasketError> {
        Basket::parse(&lines)
    }
}

impl From<Basket> for Vec<Line> {
    fn from(basket: Basket) -> Vec<Line> {
        basket.0.to_vec()
    }
}

/// First 16 bytes of SHA-256 over the lines: tells a repeated request from another one under the same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BodyHash(pub [u8; 16]);

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(count: usize, quantity: u32) -> Vec<Line> {
        let line = |n| Line { sku: SkuId::parse(&format!("sku-{n}")).unwrap(), quantity };
        (0..count).map(line).collect()
    }

    #[test]
    fn a_basket_has_bounds_and_keeps_what_stands_on_them() {
        let sku = SkuId::parse("sku-0").unwrap();
        assert_eq!(Basket::parse(&[]), Err(BasketError::Empty));
        assert_eq!(Basket::parse(&lines(LINES_MAX + 1, 1)), Err(BasketError::TooManyLines));
        assert_eq!(Basket::parse(&lines(1, 0)), Err(BasketError::ZeroQuantity(sku)));
        assert_eq!(Basket::parse(&lines(1, QUANTITY_MAX + 1)), Err(BasketError::QuantityTooLarge(sku)));
        assert_eq!(Basket::parse(&[lines(1, 1), lines(1, 2)].concat()), Err(BasketError::RepeatedSku(sku)));
        let largest = lines(LINES_MAX, QUANTITY_MAX);
        let basket = Basket::parse(&largest).unwrap();
        assert_eq!(basket.units(), LINES_MAX as u32 * QUANTITY_MAX);
        assert_eq!(Vec::from(basket), largest);
    }

    #[test]
    fn each_error_names_what_is_wrong_and_what_would_be_right() {
        let sku = SkuId::parse("sku-0").unwrap();
        let errors = [
            BasketError::Empty,
            BasketError::TooManyLines,
            BasketError::ZeroQuantity(sku),
            BasketError::QuantityTooLarge(sku),
            BasketError::RepeatedSku(sku),
        ];
        let said = errors.map(|error| error.to_string());
        assert!(said.iter().all(|text| text.len() > 20), "{said:?}");
        assert!(said[2..].iter().all(|text| text.contains("sku-0")), "{said:?}");
    }
}
