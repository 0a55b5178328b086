//! Counters and gauges of a process: one list, from which the metrics page, the console and the docs are made.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

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

/// The counters of one process; shared by all its roles.
#[derive(Debug)]
pub struct Telemetry {
    values: Vec<Padded>,
}

/// A counter with a cache line of its own: two cores that count different things must not wait for each other.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Padded(AtomicU64);

impl Telemetry {
    /// All zero.
    pub fn shared() -> Arc<Telemetry> {
        Arc::new(Telemetry { values: Metric::ALL.iter().map(|_| Padded::default()).collect() })
    }

    /// Adds to a counter.
    pub fn add(&self, metric: Metric, count: u64) {
        debug_assert!(metric.kind() == Kind::Counter, "{} is no counter", metric.name());
        self.values[metric as usize].0.fetch_add(count, Ordering::Relaxed);
    }

    /// Sets a gauge.
    pub fn set(&self, metric: Metric, value: u64) {
        debug_assert!(metric.kind() == Kind::Gauge, "{} is no gauge", metric.name());
        self.values[metric as usize].0.store(value, Ordering::Relaxed);
    }

    /// Its value now.
    pub fn read(&self, metric: Metric) -> u64 {
        self.values[metric as usize].0.load(Ordering::Relaxed)
    }
}
