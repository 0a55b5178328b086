//! The operator of a mixed run: tops up, stops, resumes and closes while buyers click.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::burst::sku_name;
use crate::platform::{Platform, PlatformError};
use crate::verdict::Check;

/// Units of one top-up.
const TOP_UP_UNITS: u64 = 20;

/// SKUs that are topped up each time: the most wanted ones.
const TOP_UP_SKUS: u32 = 5;

/// What the operator did.
#[derive(Default)]
pub struct Shift {
    /// Units added for certain, and at most, by sale and SKU.
    pub added: BTreeMap<(Arc<str>, String), (u64, u64)>,
    /// Commands that were carried out, with their time in the burst.
    pub carried_out: Vec<String>,
    /// Commands that were refused or stayed Unknown.
    pub failed: Vec<String>,
    /// The sale that was closed.
    pub closed: Option<Arc<str>>,
}

impl Shift {
    /// Whether everything that was planned happened: a run in which the operator could do nothing proves less.
    #[must_use]
    pub fn check(&self) -> Check {
        let statement = "the operator's commands were carried out";
        if self.failed.is_empty() {
            Check::of("O1", statement, &[], self.carried_out.join(", "))
        } else {
            Check::not_checked("O1", statement, self.failed.join("; "))
        }
    }
}

#[derive(Clone, Copy)]
enum Step {
    TopUp,
    Stop,
    Resume,
    Close,
}

/// Shares of the burst's length: both a stop and a close fall into it, and the resumed sale has time to sell again.
const SCRIPT: [(f64, Step); 5] =
    [(0.2, Step::TopUp), (0.35, Step::Stop), (0.45, Step::Resume), (0.55, Step::TopUp), (0.7, Step::Close)];

/// Works through the script over a burst of this length: the first sale is stopped and resumed, the last one closed.
pub async fn work(platform: Platform, sales: Vec<Arc<str>>, skus: u32, burst: Duration) -> Shift {
    let mut shift = Shift::default();
    let began = Instant::now();
    let (Some(first), Some(last)) = (sales.first(), sales.last()) else { return shift };
    for (round, (share, step)) in SCRIPT.into_iter().enumerate() {
        tokio::time::sleep_until((began + burst.mul_f64(share)).into()).await;
        match step {
            Step::TopUp => {
                for sale in &sales {
                    top_up(&platform, sale, skus, round, &mut shift).await;
                }
            }
            Step::Stop => command(&platform, first, "stop", &mut shift).await,
            Step::Resume => command(&platform, first, "resume", &mut shift).await,
            Step::Close => {
                command(&platform, last, "close", &mut shift).await;
                shift.closed = Some(last.clone());
            }
        }
    }
    shift
}

async fn top_up(platform: &Platform, sale: &Arc<str>, skus: u32, round: usize, shift: &mut Shift) {
    for number in 1..=TOP_UP_SKUS.min(skus) {
        let sku = sku_name(number);
        // Each top-up of a run is another one, and its repetitions are the same.
        let key = format!("top-up-{round}-{number}");
        let (least, most) = match platform.top_up(sale, &sku, TOP_UP_UNITS, &key).await {
            Ok(()) => (TOP_UP_UNITS, TOP_UP_UNITS),
            // Not even the same key was answered before the deadline: the total is only known to lie in between.
            Err(PlatformError::Unknown { .. }) => (0, TOP_UP_UNITS),
            Err(error) => {
                shift.failed.push(format!("top up {sku}: {error}"));
                (0, 0)
            }
        };
        let added = shift.added.entry((sale.clone(), sku)).or_default();
        *added = (added.0 + least, added.1 + most);
    }
    shift.carried_out.push(format!("top up {sale}"));
}

async fn command(platform: &Platform, sale: &Arc<str>, command: &str, shift: &mut Shift) {
    match platform.command(sale, command).await {
        Ok(()) => shift.carried_out.push(format!("{command} {sale}")),
        Err(error) => shift.failed.push(format!("{command} {sale}: {error}")),
    }
}
