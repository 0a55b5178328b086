//! A clock that moves only when it is told to, for implementations that ask an [`Env`].

use super::Clock;
use crate::env::Env;
use async_trait::async_trait;
use doorbuster_core::time::{Mono, Now, Wall};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Some time in 2026: a time near zero would hide subtractions that go below it.
const BEGINNING_MS: u64 = 1_790_000_000_000;

/// An environment whose clocks stand still between two calls of `pass_ms`, and whose entropy can be repeated.
#[derive(Debug)]
pub struct SteppedEnv {
    passed_ms: AtomicU64,
    drawn: AtomicU64,
}

impl SteppedEnv {
    /// Draws of two environments with different seeds differ.
    pub fn shared(seed: u64) -> Arc<SteppedEnv> {
        Arc::new(SteppedEnv { passed_ms: AtomicU64::new(0), drawn: AtomicU64::new(seed << 32) })
    }
}

impl Env for SteppedEnv {
    fn now(&self) -> Now {
        let passed_ms = self.passed_ms.load(Ordering::SeqCst);
        Now { mono: Mono(passed_ms * 1000), wall: Wall(BEGINNING_MS + passed_ms) }
    }

    /// Steele, Lea and Flood: Fast Splittable Pseudorandom Number Generators, 2014.
    fn entropy(&self) -> u64 {
        let state = self.drawn.fetch_add(1, Ordering::SeqCst).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[async_trait]
impl Clock for SteppedEnv {
    async fn now(&self) -> Wall {
        Env::now(self).wall
    }

    async fn pass_ms(&self, millis: u64) {
        self.passed_ms.fetch_add(millis, Ordering::SeqCst);
    }
}
