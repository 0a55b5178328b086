//! The sold-out latch: for a moment, a refusal is repeated without asking the shard.
//!
//! It is about one (shard, SKU) and the least quantity that was refused: who wants fewer units asks. A known key is
//! replayed by the shard alone, so a caller that may be retrying an accepted key must be let through.

use crate::ids::{ShardId, SkuId};
use crate::ledger::basket::Basket;
use crate::limits::{LANE_ANSWER_MS, LATCH_MS, LATCHES_MAX};
use crate::time::Mono;
use std::collections::BTreeMap;

/// All latches of one process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Latch {
    latched: BTreeMap<(ShardId, SkuId), SoldOut>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct SoldOut {
    quantity: u32,
    at: Mono,
    /// Somebody asks again, and the others are refused until the answer, or until it is overdue.
    asking_until: Option<Mono>,
}

/// What to do with a wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Advice {
    /// Ask the shard.
    Ask,
    /// Refuse as sold out.
    Refuse,
}

impl Latch {
    /// Whether a wish for so many units need ask. Of those that come after the latch has aged, one is told to.
    pub fn advise(&mut self, now: Mono, shard: ShardId, sku: SkuId, quantity: u32) -> Advice {
        let Some(latch) = self.latched.get_mut(&(shard, sku)) else { return Advice::Ask };
        if quantity < latch.quantity {
            return Advice::Ask;
        }
        if latch.holds(now) {
            return Advice::Refuse;
        }
        latch.asking_until = Some(now.after_ms(LANE_ANSWER_MS));
        Advice::Ask
    }

    /// Whether a wish for so many units is refused. Nobody is told to ask: a basket that is refused for one line must
    /// not be the one that others wait for at its other lines.
    pub fn refuses(&self, now: Mono, shard: ShardId, sku: SkuId, quantity: u32) -> bool {
        self.latched.get(&(shard, sku)).is_some_and(|latch| quantity >= latch.quantity && latch.holds(now))
    }

    /// Whether some line of the basket is known to be sold out in this shard; when none is, this basket is the one that
    /// asks for all of its lines.
    pub fn is_latched(&mut self, now: Mono, shard: ShardId, basket: &Basket) -> bool {
        let lines = basket.lines();
        if lines.iter().any(|line| self.refuses(now, shard, line.sku, line.quantity)) {
            return true;
        }
        lines.iter().any(|line| self.advise(now, shard, line.sku, line.quantity) == Advice::Refuse)
    }

    /// The shard refused so many units as sold out.
    pub fn set(&mut self, now: Mono, shard: ShardId, sku: SkuId, quantity: u32) {
        if self.latched.len() >= LATCHES_MAX && !self.latched.contains_key(&(shard, sku)) {
            // Any may go: its next wish asks the shard and latches it again.
            self.latched.pop_first();
        }
        let earlier = self.latched.get(&(shard, sku)).filter(|latch| now < latch.at.after_ms(LATCH_MS));
        let quantity = earlier.map_or(quantity, |latch| latch.quantity.min(quantity));
        self.latched.insert((shard, sku), SoldOut { quantity, at: now, asking_until: None });
    }

    /// Units of this SKU were taken or came back: nothing is known any more.
    pub fn clear(&mut self, shard: ShardId, sku: SkuId) {
        self.latched.remove(&(shard, sku));
    }

    /// Units of some SKU of this shard came back.
    pub fn clear_shard(&mut self, shard: ShardId) {
        let least = SkuId::parse("-").expect("a dash is a SKU, and no byte of a SKU is lower");
        let of_shard: Vec<SkuId> =
            self.latched.range((shard, least)..).take_while(|(key, _)| key.0 == shard).map(|(key, _)| key.1).collect();
        for sku in of_shard {
            self.latched.remove(&(shard, sku));
        }
    }
}

impl SoldOut {
    /// Whether it is believed without asking: it is fresh, or somebody asks already.
    fn holds(&self, now: Mono) -> bool {
        now < self.at.after_ms(LATCH_MS) || self.asking_until.is_some_and(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::SaleId;
    use crate::ledger::basket::Line;

    fn shard(k: u16) -> ShardId {
        ShardId { sale: SaleId::parse("demo").unwrap(), k }
    }

    fn sku(name: &str) -> SkuId {
        SkuId::parse(name).unwrap()
    }

    #[test]
    fn one_asks_again_after_the_latch_has_aged() {
        let mut latch = Latch::default();
        let (late, a) = (Mono(0).after_ms(LATCH_MS), sku("a"));
        assert_eq!(latch.advise(Mono(0), shard(0), a, 1), Advice::Ask);
        latch.set(Mono(0), shard(0), a, 1);
        assert_eq!(latch.advise(Mono(late.0 - 1), shard(0), a, 1), Advice::Refuse);
        assert_eq!(latch.advise(late, shard(0), a, 1), Advice::Ask);
        assert_eq!(latch.advise(late, shard(0), a, 1), Advice::Refuse, "one asks for all");
        assert_eq!(latch.advise(late.after_ms(LANE_ANSWER_MS), shard(0), a, 1), Advice::Ask, "its answer was lost");
        latch.set(late, shard(0), a, 1);
        assert_eq!(latch.advise(late.after_ms(LATCH_MS - 1), shard(0), a, 1), Advice::Refuse);
    }

    #[test]
    fn whether_a_wish_is_refused_can_be_seen_without_asking() {
        let mut latch = Latch::default();
        latch.set(Mono(0), shard(0), sku("a"), 2);
        let late = Mono(0).after_ms(LATCH_MS);
        assert!(latch.refuses(Mono(0), shard(0), sku("a"), 2) && !latch.refuses(Mono(0), shard(0), sku("a"), 1));
        assert!(!latch.refuses(late, shard(0), sku("a"), 2), "it has aged");
        assert_eq!(latch.advise(late, shard(0), sku("a"), 2), Advice::Ask, "nobody asks yet");
        assert!(latch.refuses(late, shard(0), sku("a"), 2), "now somebody does");
    }

    #[test]
    fn a_basket_that_is_refused_for_one_line_asks_for_none() {
        let line = |name| Line { sku: sku(name), quantity: 1 };
        let basket = Basket::parse(&[line("a"), line("b")]).unwrap();
        let mut latch = Latch::default();
        latch.set(Mono(0), shard(0), sku("a"), 1);
        let late = Mono(0).after_ms(LATCH_MS);
        latch.set(late, shard(0), sku("b"), 1);
        assert!(latch.is_latched(late, shard(0), &basket));
        assert_eq!(latch.advise(late, shard(0), sku("a"), 1), Advice::Ask, "the basket did not ask for it");
        let later = late.after_ms(LATCH_MS + LANE_ANSWER_MS);
        assert!(!latch.is_latched(later, shard(0), &basket), "both have aged: it asks for both");
        assert!(latch.is_latched(later, shard(0), &basket), "and others wait for its answer");
    }

    #[test]
    fn fewer_units_than_were_refused_may_be_there() {
        let mut latch = Latch::default();
        latch.set(Mono(0), shard(0), sku("a"), 3);
        assert_eq!(latch.advise(Mono(1), shard(0), sku("a"), 2), Advice::Ask);
        latch.set(Mono(1), shard(0), sku("a"), 2);
        assert_eq!(latch.advise(Mono(2), shard(0), sku("a"), 2), Advice::Refuse);
        assert_eq!(latch.advise(Mono(2), shard(0), sku("a"), 1), Advice::Ask);
    }

    #[test]
    fn units_that_came_back_end_the_latch_at_once() {
        let mut latch = Latch::default();
        for (k, name) in [(0, "a"), (0, "b"), (0, "-"), (1, "a")] {
            latch.set(Mono(0), shard(k), sku(name), 1);
        }
        latch.clear(shard(1), sku("a"));
        latch.clear_shard(shard(0));
        assert_eq!(latch, Latch::default());
    }
}
