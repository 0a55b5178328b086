//! All buyers of a run: what they share, when they come, and whether somebody is still busy.

use super::buyer::{Buyer, pause};
use super::process::Process;
use crate::fault::FaultKind;
use crate::plan::Setup;
use crate::seed::Seed;
use doorbuster_core::ids::{SaleId, SkuId};
use doorbuster_runtime::drive::spawn;
use doorbuster_web::token::Tokens;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;

/// What all buyers share.
pub struct Crowd {
    /// The host that they sit on.
    pub process: Arc<Process>,
    /// The sale.
    pub sale: SaleId,
    /// Its SKUs.
    pub skus: Vec<SkuId>,
    /// The plan's.
    pub setup: Setup,
    /// Names of the hosts of edges.
    pub edges: Vec<String>,
    /// Parts per thousand of each habit.
    pub habits: BTreeMap<FaultKind, u64>,
    /// Issues their tokens.
    pub tokens: Tokens,
    /// Errands under way.
    pub busy: AtomicU64,
    /// Errands from outside of the host, until somebody runs them there.
    pub outside: (mpsc::UnboundedSender<Run>, Mutex<Option<mpsc::UnboundedReceiver<Run>>>),
}

/// An errand.
pub type Run = Pin<Box<dyn Future<Output = ()> + Send>>;

/// An errand under way, for as long as somebody holds it.
pub struct Errand(Arc<Crowd>);

impl Errand {
    /// Begins one.
    pub fn begin(crowd: &Arc<Crowd>) -> Errand {
        crowd.busy.fetch_add(1, Ordering::Relaxed);
        Errand(crowd.clone())
    }
}

impl Drop for Errand {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Crowd {
    /// Whether nobody wants anything any more.
    pub fn is_quiet(&self) -> bool {
        self.busy.load(Ordering::Relaxed) == 0
    }

    /// Errands that are begun outside of the host run on it.
    pub async fn run_errands(&self) {
        let errands = self.outside.1.lock().expect("no holder of this lock panics").take();
        let mut errands = errands.expect("the host of the buyers has one life");
        while let Some(errand) = errands.recv().await {
            spawn(errand);
        }
    }

    /// Sends probes to the host.
    pub fn send_probes(self: &Arc<Crowd>, probes: impl IntoIterator<Item = impl Future<Output = ()> + Send + 'static>) {
        for probe in probes {
            let errand = Errand::begin(self);
            let run = async move {
                probe.await;
                drop(errand);
            };
            self.outside.0.send(Box::pin(run)).expect("the crowd holds the other end");
        }
    }

    /// All buyers of the plan come within the time that it gives them, after so many milliseconds.
    pub fn arrive(self: &Arc<Crowd>, seed: Seed, after_ms: u64) {
        let burst = self.habits.contains_key(&FaultKind::U8);
        for number in &self.setup.buyers {
            let buyer = Buyer::new(self, &format!("buyer-{number}"), seed.stream(&format!("buyer/{number}")));
            let late_ms = if burst { buyer.draw(2) } else { buyer.draw(self.setup.arrivals_ms.max(1)) };
            if burst {
                self.process.scene.take_effect(FaultKind::U8, "a buyer's way");
            }
            let errand = Errand::begin(self);
            spawn(async move {
                pause(after_ms + late_ms).await;
                buyer.come();
                if buyer.follows(FaultKind::U2) {
                    buyer.come();
                }
                drop(errand);
            });
        }
    }
}
