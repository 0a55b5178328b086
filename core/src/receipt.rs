//! Proof, for the platform only, that it accepted a reservation at (epoch, seq).
//!
//! HMAC-SHA-256 (RFC 2104) over order id, epoch and seq; cut to 128 bits, which RFC 2104 section 5 allows.

use crate::ids::{Epoch, OrderId, Seq};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;

/// The signing key, with its two first blocks hashed already.
#[derive(Clone)]
pub struct ReceiptKey(Hmac<Sha256>);

/// A receipt as a buyer carries it: `{epoch}.{seq}.{32 hexadecimal digits}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Memory that accepted the reservation.
    pub epoch: Epoch,
    /// Entry that carries it.
    pub seq: Seq,
    tag: [u8; 16],
}

/// Not a receipt of this platform for this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadReceipt;

impl ReceiptKey {
    /// From secret bytes of any length; 32 are enough.
    pub fn new(secret: &[u8]) -> ReceiptKey {
        ReceiptKey(Hmac::new_from_slice(secret).expect("HMAC takes keys of every length"))
    }

    /// Signs what was accepted.
    pub fn sign(&self, order: OrderId, epoch: Epoch, seq: Seq) -> Receipt {
        let tag = self.mac(order, epoch, seq).finalize().into_bytes();
        Receipt { epoch, seq, tag: tag[..16].try_into().expect("a tag has 32 bytes") }
    }

    /// Parses a receipt and checks, in constant time, that it was signed for this order.
    pub fn verify(&self, order: OrderId, text: &str) -> Result<Receipt, BadReceipt> {
        let receipt = parse(text).ok_or(BadReceipt)?;
        let mac = self.mac(order, receipt.epoch, receipt.seq);
        mac.verify_truncated_left(&receipt.tag).map_err(|_| BadReceipt)?;
        Ok(receipt)
    }

    fn mac(&self, order: OrderId, epoch: Epoch, seq: Seq) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        mac.update(order.shard.sale.as_str().as_bytes());
        mac.update(&[0]);
        mac.update(&order.shard.k.to_be_bytes());
        mac.update(&order.reservation.0);
        mac.update(&epoch.0.to_be_bytes());
        mac.update(&seq.0.to_be_bytes());
        mac
    }
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tag = u128::from_be_bytes(self.tag);
        write!(f, "{}.{}.{tag:032x}", self.epoch.0, self.seq.0)
    }
}

fn parse(text: &str) -> Option<Receipt> {
    let mut parts = text.split('.');
    let (epoch, seq, tag, None) = (parts.next()?, parts.next()?, parts.next()?, parts.next()) else { return None };
    if tag.len() != 32 || !tag.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let tag = u128::from_str_radix(tag, 16).ok()?.to_be_bytes();
    Some(Receipt { epoch: Epoch(epoch.parse().ok()?), seq: Seq(seq.parse().ok()?), tag })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Key, SaleId, UserId};

    fn order(key: &str) -> OrderId {
        let user = UserId::parse("ann").unwrap();
        OrderId::derive(SaleId::parse("demo").unwrap(), 1, &user, &Key::parse(key).unwrap())
    }

    #[test]
    fn a_receipt_proves_one_order_at_one_place() {
        let key = ReceiptKey::new(b"secret");
        let text = key.sign(order("a"), Epoch(3), Seq(7)).to_string();
        let receipt = key.verify(order("a"), &text).unwrap();
        assert_eq!((receipt.epoch, receipt.seq), (Epoch(3), Seq(7)));
        assert!(key.verify(order("b"), &text).is_err(), "another order");
        assert!(key.verify(order("a"), &text.replacen("3.7", "3.8", 1)).is_err(), "another place");
        assert!(ReceiptKey::new(b"other").verify(order("a"), &text).is_err(), "another platform");
        for forged in ["", "1.2", "1.2.xyz", "1.2.3.4", "9.9.00000000000000000000000000000000"] {
            assert!(key.verify(order("a"), forged).is_err(), "{forged}");
        }
    }
}
