//! Counts and latencies of a run, by outcome.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// Width of one bucket of the series over time.
pub const BUCKET_MS: u64 = 100;

/// A run lasts at most two hours, so the series stays below this many buckets; later answers fall into the last one.
const BUCKETS_MAX: usize = 72_000;

/// How one click ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Promised by a 202.
    Accepted,
    /// Refused for a documented reason.
    Refused,
    /// Still 429 or 503 after the last retry.
    Unavailable,
    /// Not known at the run's bound.
    Unknown,
}

impl Class {
    /// All classes, in the order of their index.
    pub const ALL: [Self; 4] = [Self::Accepted, Self::Refused, Self::Unavailable, Self::Unknown];

    /// The class in words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Unavailable => "unavailable",
            Self::Unknown => "unknown",
        }
    }
}

/// Histograms in microseconds and counts. Latency runs from the intended start of a click to its last answer, so that a
/// stall of the server is charged to every click that it delayed (no coordinated omission; Gil Tene, "How NOT to Measure
/// Latency"); service time runs from the write of one request to its answer.
#[derive(Clone)]
pub struct Recorder {
    latency: [Histogram<u64>; 4],
    service: Histogram<u64>,
    lateness: Histogram<u64>,
    series: Vec<[u32; 4]>,
    refusals: BTreeMap<String, u64>,
    unavailable_answers: u64,
    unknown_attempts: u64,
    requests: u64,
}

impl Default for Recorder {
    fn default() -> Self {
        Self {
            latency: std::array::from_fn(|_| histogram()),
            service: histogram(),
            lateness: histogram(),
            series: Vec::new(),
            refusals: BTreeMap::new(),
            unavailable_answers: 0,
            unknown_attempts: 0,
            requests: 0,
        }
    }
}

impl Recorder {
    /// A click has its last answer: `since_start` is the time since the run's first intended arrival.
    pub fn click_ended(&mut self, class: Class, latency: Duration, since_start: Duration) {
        self.latency[class as usize].saturating_record(microseconds(latency));
        let bucket = usize::try_from(since_start.as_millis() / u128::from(BUCKET_MS))
            .unwrap_or(BUCKETS_MAX)
            .min(BUCKETS_MAX - 1);
        if bucket >= self.series.len() {
            self.series.resize(bucket + 1, [0; 4]);
        }
        self.series[bucket][class as usize] += 1;
    }

    /// One request was answered after `service`, or given up when `service` is `None`.
    pub fn request_ended(&mut self, service: Option<Duration>) {
        self.requests += 1;
        if let Some(service) = service {
            self.service.saturating_record(microseconds(service));
        }
    }

    /// An idle connection sent an arrival this long after its intended start: the generator's own error.
    pub fn generator_was_late(&mut self, lateness: Duration) {
        self.lateness.saturating_record(microseconds(lateness));
    }

    /// A click was refused for this reason.
    pub fn refused(&mut self, slug: &str) {
        match self.refusals.get_mut(slug) {
            Some(count) => *count += 1,
            None => {
                self.refusals.insert(slug.to_owned(), 1);
            }
        }
    }

    /// One request was answered 429 or 503.
    pub fn unavailable_answered(&mut self) {
        self.unavailable_answers += 1;
    }

    /// One request had no answer.
    pub fn attempt_unknown(&mut self) {
        self.unknown_attempts += 1;
    }

    /// Clicks that ended in this class.
    #[must_use]
    pub fn count(&self, class: Class) -> u64 {
        self.latency[class as usize].len()
    }

    /// Everything in a form for the report.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let mut all = histogram();
        for latency in &self.latency {
            all.add(latency).expect("the histograms have the same bounds");
        }
        Summary {
            requests: self.requests,
            accepted: self.count(Class::Accepted),
            refused: self.count(Class::Refused),
            refused_by: self.refusals.clone(),
            unavailable: self.count(Class::Unavailable),
            unavailable_answers: self.unavailable_answers,
            unknown: self.count(Class::Unknown),
            unknown_attempts: self.unknown_attempts,
            latency: std::iter::once(("all", &all))
                .chain(Class::ALL.iter().map(|class| (class.name(), &self.latency[*class as usize])))
                .filter(|(_, histogram)| !histogram.is_empty())
                .map(|(name, histogram)| (name.to_owned(), Distribution::of(histogram)))
                .collect(),
            service: Distribution::of(&self.service),
            generator_lateness: Distribution::of(&self.lateness),
            bucket_ms: BUCKET_MS,
            series: self.series.clone(),
        }
    }
}

/// Counts and distributions of one burst.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Requests written, retries included.
    pub requests: u64,
    /// Clicks promised by a 202.
    pub accepted: u64,
    /// Clicks refused.
    pub refused: u64,
    /// Refusals by slug.
    pub refused_by: BTreeMap<String, u64>,
    /// Clicks that were still 429 or 503 after the last retry.
    pub unavailable: u64,
    /// Answers of 429 or 503, those that a retry mended included.
    pub unavailable_answers: u64,
    /// Clicks not known at the bound.
    pub unknown: u64,
    /// Requests without an answer, those that a retry mended included.
    pub unknown_attempts: u64,
    /// Latency from the intended start, by class and over all.
    pub latency: BTreeMap<String, Distribution>,
    /// Write of a request to its answer.
    pub service: Distribution,
    /// How late the generator itself was.
    pub generator_lateness: Distribution,
    /// Width of a bucket of the series.
    pub bucket_ms: u64,
    /// Ended clicks in each bucket: accepted, refused, unavailable, unknown.
    pub series: Vec<[u32; 4]>,
}

/// One distribution, in microseconds.
#[derive(Clone, Debug, Serialize)]
pub struct Distribution {
    /// Values recorded.
    pub count: u64,
    /// Smallest value.
    pub min_us: u64,
    /// Mean.
    pub mean_us: f64,
    /// Largest value.
    pub max_us: u64,
    /// Pairs of percentile and value.
    pub percentiles: Vec<(f64, u64)>,
}

/// The percentiles that are kept: dense where a burst bends.
const PERCENTILES: [f64; 17] =
    [0.0, 10.0, 25.0, 50.0, 60.0, 70.0, 75.0, 80.0, 90.0, 95.0, 97.5, 99.0, 99.5, 99.9, 99.95, 99.99, 100.0];

impl Distribution {
    /// The distribution of a histogram of microseconds.
    #[must_use]
    pub fn of(histogram: &Histogram<u64>) -> Self {
        let empty = histogram.is_empty();
        Self {
            count: histogram.len(),
            min_us: if empty { 0 } else { histogram.min() },
            mean_us: if empty { 0.0 } else { histogram.mean() },
            max_us: histogram.max(),
            percentiles: PERCENTILES
                .iter()
                .map(|percentile| (*percentile, histogram.value_at_percentile(*percentile)))
                .collect(),
        }
    }

    /// The value at one of the kept percentiles.
    #[must_use]
    pub fn at(&self, percentile: f64) -> u64 {
        let found = self.percentiles.iter().find(|(kept, _)| (kept - percentile).abs() < 1e-9);
        found.map_or(0, |(_, value)| *value)
    }
}

/// A histogram of microseconds up to two hours, the longest run, with three significant digits.
#[must_use]
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 7_200_000_000, 3).expect("the bounds are valid")
}

/// Whole microseconds, at least one so that nothing falls out of a histogram.
#[must_use]
pub fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clicks_are_counted_in_their_class_and_their_bucket() {
        let mut recorder = Recorder::default();
        recorder.click_ended(Class::Accepted, Duration::from_millis(3), Duration::from_millis(50));
        recorder.click_ended(Class::Refused, Duration::from_millis(5), Duration::from_millis(150));
        recorder.refused("sold-out");
        let summary = recorder.summary();
        assert_eq!((summary.accepted, summary.refused, summary.unknown), (1, 1, 0));
        assert_eq!(summary.series, vec![[1, 0, 0, 0], [0, 1, 0, 0]]);
        assert_eq!(summary.refused_by.get("sold-out"), Some(&1));
        assert_eq!(summary.latency["all"].count, 2);
    }
}
