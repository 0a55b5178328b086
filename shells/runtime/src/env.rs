//! Clocks and entropy: the only place that reads them.

use doorbuster_core::time::{Mono, Now, Wall};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// Ends when the process may go on.
pub type Gate = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The outside world's unpredictable part. The simulator brings its own.
pub trait Env: Send + Sync + 'static {
    /// Both clocks at this moment.
    fn now(&self) -> Now;
    /// 64 bits that nobody can foresee.
    fn entropy(&self) -> u64;
    /// What every machine waits for before its next step, where the simulator lets a process stand still; else nothing.
    fn gate(&self) -> Option<Gate> {
        None
    }
}

/// Shared by every role of a process.
pub type SharedEnv = Arc<dyn Env>;

/// The machine's own clocks and entropy.
#[derive(Debug)]
pub struct SystemEnv {
    began: Instant,
    skew_ms: i64,
}

impl SystemEnv {
    /// Monotonic time begins here.
    pub fn shared() -> SharedEnv {
        SystemEnv::skewed(0)
    }

    /// The same with a wall clock that is off by so many milliseconds: what a machine's is when nobody sets it right.
    #[allow(clippy::disallowed_methods, reason = "this is the Env that everything else is told to ask")]
    pub fn skewed(skew_ms: i64) -> SharedEnv {
        Arc::new(SystemEnv { began: Instant::now(), skew_ms })
    }
}

impl Env for SystemEnv {
    #[allow(clippy::disallowed_methods, reason = "this is the Env that everything else is told to ask")]
    fn now(&self) -> Now {
        let mono = Instant::now().duration_since(self.began);
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now {
            mono: Mono(mono.as_micros() as u64),
            wall: Wall((wall.as_millis() as u64).saturating_add_signed(self.skew_ms)),
        }
    }

    #[allow(clippy::disallowed_methods, reason = "this is the Env that everything else is told to ask")]
    fn entropy(&self) -> u64 {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes).expect("the operating system has entropy");
        u64::from_ne_bytes(bytes)
    }
}

/// 128 bits that nobody can foresee: identities of servers.
pub fn entropy_wide(env: &dyn Env) -> u128 {
    (u128::from(env.entropy()) << 64) | u128::from(env.entropy())
}
