//! S16 to S18, L8 and L9: what watches saw while the run went on.

use crate::oracle::cache_watch::CacheWatch;
use crate::oracle::judge::Case;
use crate::oracle::verdict::{Checked, Missing};
use crate::oracle::window_watch::WindowWatch;

fn caches<'a>(case: &Case<'a>) -> Result<&'a CacheWatch, Missing> {
    case.watched.caches.ok_or_else(|| Missing("a watch of the caches".to_owned()))
}

fn windows<'a>(case: &Case<'a>) -> Result<&'a WindowWatch, Missing> {
    case.watched.windows.ok_or_else(|| Missing("a watch of the sales windows".to_owned()))
}

/// S16.
pub fn cached_versions_only_rise(case: &Case<'_>) -> Checked {
    caches(case)?.never_goes_back()
}

/// S17.
pub fn one_load_at_a_time(case: &Case<'_>) -> Checked {
    caches(case)?.single_flight()
}

/// S18.
pub fn windows_are_exact(case: &Case<'_>) -> Checked {
    windows(case)?.judge()
}

/// L8.
pub fn caches_converge(case: &Case<'_>) -> Checked {
    let (served, rows) = case.watched.served.ok_or_else(|| Missing("what the caches serve at the end".to_owned()))?;
    CacheWatch::converges(served.iter().copied(), rows)
}

/// L9.
pub fn windows_converge(case: &Case<'_>) -> Checked {
    let (hour, told) = case.watched.told.ok_or_else(|| Missing("the windows at the end of an hour".to_owned()))?;
    windows(case)?.judge_converged(hour.0, told)
}
