//! The metrics of the platform, by the list from which its metrics page is made.

use doorbuster_runtime::telemetry::Metric;
use std::collections::BTreeSet;

/// Set by the embedded platform alone: over the servers of production they stay at zero, so an alert on one would never
/// call, and a graph of one would comfort for no reason.
const EMBEDDED_ALONE: [Metric; 8] = [
    Metric::Settled,
    Metric::Syncs,
    Metric::IntakeLag,
    Metric::DelayReady,
    Metric::DelayProcessing,
    Metric::SettlerParked,
    Metric::LaneWaiting,
    Metric::OracleRed,
];

/// The names of those that processes of production count.
pub fn counted() -> BTreeSet<&'static str> {
    let counted = Metric::ALL.iter().filter(|metric| !EMBEDDED_ALONE.contains(metric));
    counted.map(|metric| metric.name()).collect()
}
