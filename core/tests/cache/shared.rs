//! The shared cache against everything that was ever asked of it.

use super::world::{key, value};
use doorbuster_core::cache::shared::{Document, FillRefusal, Floored, SharedCache};
use doorbuster_core::ids::Version;
use doorbuster_core::limits::{CACHE_FILL_MS, CACHE_FLOOR_MS, CACHE_SHARED_AGE_MS};
use doorbuster_core::time::Wall;
use proptest::prelude::*;

#[derive(Clone, Copy, Debug)]
enum Step {
    Wait(u64),
    Floor(u64),
    /// By a reader that asked so many milliseconds ago.
    Fill(u64, u64),
    Expire,
}

fn next_step() -> impl Strategy<Value = Step> {
    let age_ms = prop_oneof![0..CACHE_FILL_MS, Just(CACHE_FILL_MS), 0..2 * CACHE_SHARED_AGE_MS];
    prop_oneof![
        3 => prop_oneof![0u64..100, 0..CACHE_FLOOR_MS, Just(CACHE_FLOOR_MS), 0..CACHE_SHARED_AGE_MS].prop_map(Step::Wait),
        2 => (1u64..6).prop_map(Step::Floor),
        4 => (1u64..6, age_ms).prop_map(|(version, age_ms)| Step::Fill(version, age_ms)),
        1 => Just(Step::Expire),
    ]
}

/// All that was written, with the time.
#[derive(Default)]
struct Annals {
    floors: Vec<(Wall, Version)>,
    /// Those that something as new did not make needless.
    written: Vec<(Wall, Version)>,
    fills: Vec<(Wall, Version)>,
}

impl Annals {
    /// The least that a strong read begun then can have found: whoever wrote a version had seen its commit.
    fn committed(&self, asked_at: Wall) -> Version {
        let known = self.floors.iter().chain(&self.fills).filter(|(at, _)| *at <= asked_at);
        known.map(|(_, version)| *version).max().unwrap_or_default()
    }

    /// What a fill must meet: it never comes below a floor that was written since its reader asked, whether that floor
    /// still stands or not; and it is refused for no other reason than a newer version or its age.
    fn judge_fill(&self, version: Version, asked_at: Wall, now: Wall, result: Result<(), FillRefusal>) {
        let late = now > asked_at.after_ms(CACHE_FILL_MS);
        let overtaken = self.floors.iter().any(|(at, floor)| *at > asked_at && *floor > version);
        let recent = |at: &Wall, age_ms: u64| now <= at.after_ms(age_ms);
        let floors = self.floors.iter().filter(|(at, _)| recent(at, CACHE_FLOOR_MS));
        let newest = floors.chain(self.fills.iter().filter(|(at, _)| recent(at, CACHE_SHARED_AGE_MS)));
        let newest = newest.map(|(_, version)| *version).max().unwrap_or_default();
        match result {
            Ok(()) => assert!(!late && !overtaken, "version {} asked at {asked_at:?}", version.0),
            Err(FillRefusal::Late) => assert!(late),
            Err(FillRefusal::Newer(standing)) => assert!(!late && standing > version && standing <= newest),
        }
        assert!(result.is_err() || newest <= version, "what was written lately is not replaced by what is older");
    }

    fn judge_read(&self, document: Option<&Document>, now: Wall) {
        let floored =
            self.written.iter().filter(|(at, _)| now <= at.after_ms(CACHE_FLOOR_MS)).map(|(_, version)| *version);
        let standing = document.map_or(Version(0), Document::version);
        assert!(floored.max().unwrap_or_default() <= standing, "a floor stands its time, or something newer does");
        if let Some(Document::Filled { version, filled_at, .. }) = document {
            assert!(self.fills.contains(&(*filled_at, *version)) && now <= filled_at.after_ms(CACHE_SHARED_AGE_MS));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_older_comes_after_a_floor(steps in proptest::collection::vec(next_step(), 1..80)) {
        let (mut cache, mut annals, mut now) = (SharedCache::default(), Annals::default(), Wall(10_000_000));
        for step in steps {
            match step {
                Step::Wait(millis) => now = now.after_ms(millis),
                Step::Floor(version) => {
                    if cache.floor(key(0), Version(version), now) == Floored::Written {
                        annals.written.push((now, Version(version)));
                    }
                    annals.floors.push((now, Version(version)));
                }
                Step::Fill(version, age_ms) => {
                    let asked_at = now.before_ms(age_ms);
                    let version = annals.committed(asked_at).max(Version(version));
                    let result = cache.fill(key(0), version, value(key(0), version), asked_at, now);
                    annals.judge_fill(version, asked_at, now, result);
                    if result.is_ok() {
                        annals.fills.push((now, version));
                    }
                }
                Step::Expire => cache.expire(now),
            }
            annals.judge_read(cache.read(key(0), now).document.as_ref(), now);
        }
    }
}
