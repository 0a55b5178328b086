//! Counters and gauges of a process: one list, from which the metrics page, the console and the docs are made.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Whether a metric only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Grows; a restart begins at zero.
    Counter,
    /// Goes up and down.
    Gauge,
}

macro_rules! metrics {
    ($($metric:ident, $kind:ident, $name:literal, $help:literal;)*) => {
        /// Everything that is counted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Metric { $(#[doc = $help] $metric,)* }

        impl Metric {
            /// All of them, in the order of their declaration.
            pub const ALL: &'static [Metric] = &[$(Metric::$metric,)*];

            /// Its name in the Prometheus text format.
            pub fn name(self) -> &'static str {
                match self { $(Metric::$metric => $name,)* }
            }

            /// What it counts.
            pub fn help(self) -> &'static str {
                match self { $(Metric::$metric => $help,)* }
            }

            /// Whether it only grows.
            pub fn kind(self) -> Kind {
                match self { $(Metric::$metric => Kind::$kind,)* }
            }
        }
    };
}

metrics! {
    Accepted, Counter, "doorbuster_reservations_accepted_total", "Reservations answered with 202 for the first time.";
    Replayed, Counter, "doorbuster_reservations_replayed_total", "Reservations answered again under a known key.";
    Refused, Counter, "doorbuster_reservations_refused_total", "Reservations refused by a rule of the sale.";
    Latched, Counter, "doorbuster_reservations_latched_total", "Sold-out answers given without asking the shard.";
    Unavailable, Counter, "doorbuster_reservations_unavailable_total", "Clicks told to come again: overloaded or not ready.";
    Unknown, Counter, "doorbuster_reservations_unknown_total", "Clicks whose outcome could not be told.";
    RateLimited, Counter, "doorbuster_requests_rate_limited_total", "Requests refused by a rate limit.";
    Requests, Counter, "doorbuster_http_requests_total", "HTTP requests answered.";
    Persisted, Counter, "doorbuster_orders_persisted_total", "Orders created in the database.";
    Lost, Counter, "doorbuster_reservations_lost_total", "Accepted reservations that will never be orders.";
    Expired, Counter, "doorbuster_orders_expired_total", "Unpaid orders ended by their pay window.";
    Settled, Counter, "doorbuster_settlements_total", "Units-returns taken in by shards.";
    Moves, Counter, "doorbuster_balance_moves_total", "Moves of units between shards and pools that were asked for.";
    Alarms, Counter, "doorbuster_alarms_total", "Things that no sound run can reach.";
    Sealed, Counter, "doorbuster_epochs_sealed_total", "Epochs ended.";
    Opened, Counter, "doorbuster_epochs_opened_total", "Epochs opened.";
    Syncs, Counter, "doorbuster_log_syncs_total", "Group commits of the log.";
    IntakeLag, Gauge, "doorbuster_intake_lag_records", "Log records that are not decided yet.";
    DelayReady, Gauge, "doorbuster_delay_ready_tasks", "Tasks in the delay queue that nobody works on.";
    DelayProcessing, Gauge, "doorbuster_delay_processing_tasks", "Tasks in the delay queue that are claimed.";
    SettlerParked, Gauge, "doorbuster_settler_parked_events", "Events that wait for their shard.";
    LaneWaiting, Gauge, "doorbuster_lane_waiting_clicks", "Clicks that wait in lanes.";
    OracleRed, Gauge, "doorbuster_oracle_red_invariants", "Live invariants that are broken now.";
}

/// Rows of counters: several times the cores that a process of ours uses, so that two threads rarely share one.
const STRIPES: usize = 16;

/// The counters of one process; shared by all its roles.
#[derive(Debug)]
pub struct Telemetry {
    stripes: Vec<Stripe>,
}

/// The counters of some threads. Two cores that count the same thing in one place wait for each other at every request.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Stripe {
    values: [AtomicU64; Metric::ALL.len()],
}

static NEXT_STRIPE: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static OWN_STRIPE: usize = NEXT_STRIPE.fetch_add(1, Ordering::Relaxed) % STRIPES;
}

impl Telemetry {
    /// All zero.
    pub fn shared() -> Arc<Telemetry> {
        Arc::new(Telemetry { stripes: (0..STRIPES).map(|_| Stripe::default()).collect() })
    }

    /// Adds to a counter.
    pub fn add(&self, metric: Metric, count: u64) {
        debug_assert!(metric.kind() == Kind::Counter, "{} is no counter", metric.name());
        // A thread that is ending has no stripe of its own any more: any other one counts as well.
        let stripe = OWN_STRIPE.try_with(|own| *own).unwrap_or(0);
        self.stripes[stripe].values[metric as usize].fetch_add(count, Ordering::Relaxed);
    }

    /// Sets a gauge.
    pub fn set(&self, metric: Metric, value: u64) {
        debug_assert!(metric.kind() == Kind::Gauge, "{} is no gauge", metric.name());
        self.stripes[0].values[metric as usize].store(value, Ordering::Relaxed);
    }

    /// Its value now. A gauge stands in the first stripe only.
    pub fn read(&self, metric: Metric) -> u64 {
        self.stripes.iter().map(|stripe| stripe.values[metric as usize].load(Ordering::Relaxed)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "the test is about threads")]
    fn what_several_threads_count_is_read_as_one_sum() {
        let telemetry = Telemetry::shared();
        telemetry.set(Metric::IntakeLag, 7);
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let telemetry = telemetry.clone();
                std::thread::spawn(move || (0..1000).for_each(|_| telemetry.add(Metric::Requests, 2)))
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(telemetry.read(Metric::Requests), 8000);
        assert_eq!(telemetry.read(Metric::IntakeLag), 7);
    }
}
