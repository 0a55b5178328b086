//! What stands before the lanes: rate limits per buyer, and the sold-out latch.

use crate::api::{Api, Settings};
use crate::problem::{Problem, Slug};
use doorbuster_core::admission::latch::Latch;
use doorbuster_core::admission::rate::{Rate, RateTable, Verdict};
use doorbuster_core::ids::{OrderId, ReservationId, ShardId, UserId};
use doorbuster_core::ledger::basket::Basket;
use doorbuster_core::ledger::reserve::ReserveRefusal;
use doorbuster_core::limits::RATE_KEYS_MAX;
use doorbuster_core::time::Mono;
use http::header::{HeaderName, HeaderValue, RETRY_AFTER};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Parts of a table, each under its own lock: several times the cores of a large machine, so that two rarely meet.
const STRIPES: u16 = 64;
/// Ids that are remembered as sent: many times what all lanes hold at once, in a quarter of a megabyte, so that asking
/// for one rarely leaves the processor's cache. An older one is overwritten, and then the page is asked.
const SENT_MAX: usize = 1 << 15;

/// See the module.
pub struct Door {
    rate: Rate,
    /// By the hash of the buyer's name, which is routed by already: two buyers who share one share a rate.
    buyers: Vec<Mutex<RateTable>>,
    latches: Vec<Mutex<Latch>>,
    /// Halves of reservation ids that were sent to a lane and not refused, in the slot that their other half names.
    sent: Vec<AtomicU64>,
}

impl Door {
    /// Nobody has come yet.
    pub fn new(settings: &Settings) -> Door {
        let rate = Rate { per_second: settings.clicks_per_second, burst: settings.clicks_burst };
        let keys_max = RATE_KEYS_MAX / usize::from(STRIPES);
        Door {
            rate,
            buyers: (0..STRIPES).map(|_| Mutex::new(RateTable::new(rate, keys_max))).collect(),
            latches: (0..STRIPES).map(|_| Mutex::default()).collect(),
            sent: (0..SENT_MAX).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Counts one click of this buyer.
    pub fn admit(&self, user: &UserId, now: Mono) -> Result<(), Problem> {
        let stripe = &self.buyers[usize::from(user.shard_of(STRIPES))];
        let verdict = stripe.lock().expect("no holder of this lock panics").take(now, user.hash64());
        match verdict {
            Verdict::Allow { .. } => Ok(()),
            Verdict::Refuse { retry_after_ms } => Err(self.quota_exceeded(retry_after_ms)),
        }
    }

    /// With the headers of draft-ietf-httpapi-ratelimit-headers.
    fn quota_exceeded(&self, retry_after_ms: u64) -> Problem {
        let seconds = retry_after_ms.div_ceil(1000).max(1);
        let Rate { per_second, burst } = self.rate;
        let text = |text: String| HeaderValue::try_from(text).expect("digits and ASCII names");
        let window = u64::from(burst).div_ceil(u64::from(per_second)).max(1);
        Problem::from(Slug::QuotaExceeded)
            .header(RETRY_AFTER, HeaderValue::from(seconds))
            .header(HeaderName::from_static("ratelimit"), text(format!(r#""clicks";r=0;t={seconds}"#)))
            .header(HeaderName::from_static("ratelimit-policy"), text(format!(r#""clicks";q={burst};w={window}"#)))
    }

    /// Whether some line of the basket is known to be sold out in this shard.
    pub fn is_latched(&self, now: Mono, shard: ShardId, basket: &Basket) -> bool {
        self.latch_of(shard).lock().expect("no holder of this lock panics").is_latched(now, shard, basket)
    }

    /// The id is about to be sent: until it is refused, it may be known to its shard.
    pub fn remember(&self, id: ReservationId) {
        let (slot, half) = self.slot_of(id);
        slot.store(half, Ordering::Relaxed);
    }

    /// Whether this process has sent the id.
    pub fn remembers(&self, id: ReservationId) -> bool {
        let (slot, half) = self.slot_of(id);
        slot.load(Ordering::Relaxed) == half
    }

    /// The shard refused: nothing stands on its page under this id, and sold out is latched.
    pub fn refuse(&self, now: Mono, order: OrderId, refusal: ReserveRefusal, basket: &Basket) {
        if refusal != ReserveRefusal::KeyReused {
            let (slot, half) = self.slot_of(order.reservation);
            // Another id may have taken the slot meanwhile; it stays.
            let _ = slot.compare_exchange(half, 0, Ordering::Relaxed, Ordering::Relaxed);
        }
        let ReserveRefusal::SoldOut(sku) = refusal else { return };
        let line = basket.lines().iter().find(|line| line.sku == sku).expect("a refusal names a line of the basket");
        self.latch_of(order.shard).lock().expect("no holder of this lock panics").set(
            now,
            order.shard,
            sku,
            line.quantity,
        );
    }

    /// The shard's answer was not sold out: others may ask too, whether or not this click asked for them.
    pub fn unlatch(&self, shard: ShardId, basket: &Basket) {
        let mut latch = self.latch_of(shard).lock().expect("no holder of this lock panics");
        for line in basket.lines() {
            latch.clear(shard, line.sku);
        }
    }

    fn latch_of(&self, shard: ShardId) -> &Mutex<Latch> {
        let sale = shard.sale.as_str().bytes().fold(0_u64, |sum, byte| sum.wrapping_mul(31) + u64::from(byte));
        &self.latches[(sale.wrapping_add(u64::from(shard.k)) % u64::from(STRIPES)) as usize]
    }

    fn slot_of(&self, id: ReservationId) -> (&AtomicU64, u64) {
        let bits = u128::from_be_bytes(id.0);
        (&self.sent[(bits >> 64) as usize % SENT_MAX], bits as u64)
    }
}

impl Api {
    /// Units of this shard came back, as the settler of this process knows: nobody is refused by a latch any more.
    pub fn units_came_back(&self, shard: ShardId) {
        self.door.latch_of(shard).lock().expect("no holder of this lock panics").clear_shard(shard);
    }
}
