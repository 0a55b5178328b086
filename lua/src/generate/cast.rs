//! Who buys what: few enough that they meet.

use crate::call::Call;
use doorbuster_core::admission::rate::Rate;
use doorbuster_core::ids::Version;
use doorbuster_core::ids::{Key, OrderId, ProductId, ReservationId, SaleId, ShardId, SkuId, UserId};
use doorbuster_core::ledger::basket::{Basket, Line};
use doorbuster_core::ledger::reserve::ReserveItem;
use doorbuster_core::limits::CACHE_FILL_MS;
use doorbuster_core::rng::Rng;
use doorbuster_core::time::Wall;

const USERS: u64 = 7;
/// More than a page holds.
const KEYS: u64 = 10;
const SKUS: u64 = 12;

/// The names of one sequence.
#[derive(Clone, Debug)]
pub struct Cast {
    sale: SaleId,
    seed: u64,
}

impl Cast {
    pub fn named(seed: u64) -> Cast {
        Cast { sale: SaleId::parse("sale").expect("a sale"), seed }
    }

    /// Skewed: the first ones are wanted most.
    pub fn sku(&self, rng: &mut Rng) -> SkuId {
        let bound = 1 + rng.below(SKUS);
        self.sku_number(rng.below(bound))
    }

    pub fn sku_number(&self, number: u64) -> SkuId {
        // One name as long as a name may be.
        let name = if number == 1 { "x".repeat(32) } else { format!("sku-{number}") };
        SkuId::parse(&name).expect("a SKU")
    }

    pub fn user(&self, rng: &mut Rng) -> UserId {
        let number = rng.below(USERS);
        let name = if number == 1 { "u".repeat(64) } else { format!("user-{number}") };
        UserId::parse(&name).expect("a user")
    }

    pub fn item(&self, rng: &mut Rng) -> ReserveItem {
        let user = self.user(rng);
        let key = Key::parse(&format!("key-{}", rng.below(KEYS))).expect("a key");
        let basket = self.basket(rng);
        ReserveItem { id: ReservationId::derive(self.sale, &user, &key), user, body: basket.body_hash(), basket }
    }

    pub fn basket(&self, rng: &mut Rng) -> Basket {
        let mut lines: Vec<Line> = Vec::new();
        let count = if rng.below(3) > 0 { 1 } else { 1 + rng.below(8) };
        for _ in 0..count {
            let sku = self.sku(rng);
            if lines.iter().all(|line| line.sku != sku) {
                let quantity = if rng.below(20) == 0 { 1_000 } else { 1 + rng.below(2) as u32 };
                lines.push(Line { sku, quantity });
            }
        }
        Basket::parse(&lines).expect("distinct SKUs")
    }

    /// Their texts sort like their bytes, so that tasks of one score come in one order everywhere.
    pub fn order(&self, rng: &mut Rng) -> OrderId {
        let digit = rng.below(12) as u128;
        OrderId { shard: ShardId { sale: self.sale, k: 0 }, reservation: ReservationId((digit << 3).to_be_bytes()) }
    }

    pub fn product(&self, rng: &mut Rng) -> ProductId {
        ProductId::parse(&format!("p{}-{}", self.seed, rng.below(2))).expect("a product")
    }

    pub fn fill(&self, rng: &mut Rng, now: Wall) -> Call {
        let asked_at = match rng.below(10) {
            0 => Wall(now.0.saturating_sub(2 * CACHE_FILL_MS)),
            1 => Wall(now.0 + 60_000),
            _ => Wall(now.0.saturating_sub(1_000)),
        };
        let (version, length) = (Version(1 + rng.below(5)), rng.below(20) as usize);
        Call::CacheFill { product: self.product(rng), version, value: vec![b'v'; length].into(), asked_at }
    }

    /// A name always has the same rate.
    pub fn rate(&self, rng: &mut Rng) -> (String, Rate) {
        let number = rng.below(3);
        let rate = [
            Rate { per_second: 3, burst: 2 },
            Rate { per_second: 7, burst: 40 },
            Rate { per_second: 200_000, burst: 3 },
        ][number as usize];
        (format!("n{}-{number}", self.seed), rate)
    }
}
