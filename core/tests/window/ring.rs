//! The ring against a list of what was counted.

use doorbuster_core::window::hour::Hour;
use doorbuster_core::window::ring::{Placement, Ring};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    /// Units of the hour that is now, so many hours ago.
    Add { ago: u64, units: u64 },
    /// The n-th of what was counted is refunded.
    Subtract { which: usize },
    /// Hours pass.
    Pass { hours: u64 },
    /// The clock is set back by an hour.
    Back,
    /// The window is read at the hour that is now.
    Advance,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0_u64..200, 1_u64..9).prop_map(|(ago, units)| Step::Add { ago: if ago < 180 { ago % 6 } else { ago - 20 }, units }),
        2 => (0_usize..64).prop_map(|which| Step::Subtract { which }),
        3 => (1_u64..30).prop_map(|hours| Step::Pass { hours }),
        1 => (150_u64..400).prop_map(|hours| Step::Pass { hours }),
        1 => Just(Step::Back),
        4 => Just(Step::Advance),
    ]
}

/// What counts, recounted: of hours that are 1 to 168 before `now`.
fn recount(counted: &[(u64, u64)], now: u64) -> u64 {
    counted.iter().filter(|(hour, _)| *hour < now && now - *hour <= 168).map(|(_, units)| units).sum()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn a_ring_sums_like_a_recount(steps in prop::collection::vec(step(), 1..120)) {
        let (mut ring, mut now, mut highest) = (Ring::default(), 480_000_u64, 480_000_u64);
        let mut counted: Vec<(u64, u64)> = Vec::new();
        for step in steps {
            match step {
                Step::Add { ago, units } => match ring.add(Hour(now - ago), units) {
                    Placement::Counted => counted.push((now - ago, units)),
                    late => {
                        prop_assert_eq!(late, Placement::TooLate);
                        prop_assert!(ago >= 169, "what a window may still read is never too late");
                    }
                },
                Step::Subtract { which } => {
                    if counted.is_empty() { continue }
                    let (hour, units) = counted.remove(which % counted.len());
                    let placement = ring.subtract(Hour(hour), units);
                    prop_assert!(placement == Placement::Counted || now - hour >= 169);
                }
                Step::Pass { hours } => now += hours,
                Step::Back => now = now.max(highest) - 1,
                Step::Advance => prop_assert_eq!(ring.advance(Hour(now)), recount(&counted, now)),
            }
            highest = highest.max(now);
            prop_assert_eq!(ring.sum_at(Hour(now)), recount(&counted, now));
            ring.check();
            let (advanced, sum) = ring.sum_7d();
            if advanced.0 >= now {
                prop_assert_eq!(sum, recount(&counted, advanced.0));
            }
        }
    }

    #[test]
    fn a_spent_ring_has_nothing_for_any_later_window(adds in prop::collection::vec((0_u64..400, 1_u64..5), 0..20), now in 300_u64..700) {
        let mut ring = Ring::default();
        for (hour, units) in adds {
            ring.add(Hour(hour), units);
        }
        let later = (now..now + 200).any(|hour| ring.sum_at(Hour(hour)) > 0);
        prop_assert_eq!(ring.is_spent(Hour(now)), !later);
    }
}
