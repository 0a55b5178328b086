//! The names of a scope's sale, SKUs, users and keys, derived once.

use super::scope::{Scope, Wish};
use doorbuster_core::ids::{Key, OrderId, PaymentId, ReservationId, SaleId, ShardId, SkuId, UserId};
use doorbuster_core::ledger::basket::{Basket, Line};
use doorbuster_core::ledger::reserve::ReserveItem;

/// Everybody and everything that has a name.
#[derive(Clone, Debug)]
pub struct Cast {
    /// The sale.
    pub sale: SaleId,
    /// Its one shard.
    pub shard: ShardId,
    /// Its SKUs, as many as the scope has stocks.
    pub skus: Vec<SkuId>,
    /// The scope's wishes first, then the prefilled keys, then the probe shoppers'.
    pub clicks: Vec<Click>,
    /// Index of the first prefilled key.
    pub prefilled_from: usize,
    /// Index of the first probe shopper.
    pub probes_from: usize,
}

/// One user's key with all that follows from it.
#[derive(Clone, Debug)]
pub struct Click {
    /// What people call it.
    pub name: String,
    /// What is sent to the shard.
    pub item: ReserveItem,
    /// The order that it may become.
    pub order: OrderId,
    /// The payment that its buyer would make.
    pub payment: PaymentId,
}

/// Units that may stand in the shard at most, over all scopes; each is bought by a shopper of its own.
const PROBES_PER_SKU: usize = 6;

impl Cast {
    /// Names everything in the scope.
    pub fn of(scope: &Scope) -> Cast {
        let sale = SaleId::parse("demo").expect("a valid name");
        let shard = ShardId { sale, k: 0 };
        let skus: Vec<SkuId> = (1..=scope.stock.len()).map(|number| sku(&format!("sku{number}"))).collect();
        let mut clicks = Vec::new();
        for (index, wish) in scope.wishes.iter().enumerate() {
            clicks.push(click(shard, &user_name(wish), &format!("k{index}"), &lines(&skus, wish.quantities)));
        }
        let prefilled_from = clicks.len();
        for index in 0..scope.prefilled {
            clicks.push(click(shard, "u0", &format!("old{index}"), &lines(&skus, &[1])));
        }
        let probes_from = clicks.len();
        for sku in &skus {
            for index in 0..PROBES_PER_SKU {
                let line = Line { sku: *sku, quantity: 1 };
                clicks.push(click(shard, &format!("probe-{sku}-{index}"), "probe", &[line]));
            }
        }
        Cast { sale, shard, skus, clicks, prefilled_from, probes_from }
    }

    /// The click of this reservation.
    pub fn click_of(&self, id: ReservationId) -> Option<&Click> {
        self.clicks.iter().find(|click| click.item.id == id)
    }

    /// The probe shoppers of one SKU.
    pub fn probes(&self, sku: usize) -> std::ops::Range<usize> {
        let from = self.probes_from + sku * PROBES_PER_SKU;
        from..from + PROBES_PER_SKU
    }
}

fn user_name(wish: &Wish) -> String {
    format!("u{}", wish.user)
}

fn sku(name: &str) -> SkuId {
    SkuId::parse(name).expect("a valid name")
}

fn lines(skus: &[SkuId], quantities: &[u32]) -> Vec<Line> {
    let pairs = skus.iter().zip(quantities).filter(|(_, quantity)| **quantity > 0);
    pairs.map(|(sku, quantity)| Line { sku: *sku, quantity: *quantity }).collect()
}

fn click(shard: ShardId, user: &str, key: &str, lines: &[Line]) -> Click {
    let name = format!("{user}/{key}");
    let user = UserId::parse(user).expect("a valid name");
    let key = Key::parse(key).expect("a valid name");
    let basket = Basket::parse(lines).expect("a valid basket");
    let order = OrderId::derive(shard.sale, 1, &user, &key);
    let payment = PaymentId::parse(&format!("pay-{}-{}", user.as_str(), key.as_str())).expect("a valid name");
    let item = ReserveItem { id: order.reservation, user, body: basket.body_hash(), basket };
    Click { name, item, order, payment }
}
