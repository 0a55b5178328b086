//! Which promise names a finding when several are broken at once.
//!
//! One bug breaks many promises in the same step: an order that nobody asked for is also a unit that no page holds. The
//! promise that says most of what happened names the finding, and the others are told with it.

use super::judge::{Inputs, Options, Watched, judge_watched};
use super::verdict::{Check, Finding, Verdict};

/// A broken promise, and what was found.
pub type Broken = (Check, String);

/// From what one order, key or message shows to what only sums show, and last what has not happened yet.
///
/// S5 stands behind the promises that say why an acceptance came to nothing, and S25, what was said of it, behind S5. A sum over shards (S1, S7) stands behind the
/// sums that it is made of, and S23 behind the five that it is. L4 stands before L3: an order that never ends breaks
/// both, one that ends too late only L3.
const ORDER: [Check; Check::ALL.len()] = [
    Check::S6,
    Check::S8,
    Check::S9,
    Check::S10,
    Check::S19,
    Check::S11,
    Check::S12,
    Check::S13,
    Check::S26,
    Check::S15,
    Check::S4,
    Check::S3,
    Check::S24,
    Check::S16,
    Check::S17,
    Check::S18,
    Check::S14,
    Check::S21,
    Check::S20,
    Check::S5,
    Check::S25,
    Check::I1,
    Check::I2,
    Check::I3,
    Check::I4,
    Check::I5,
    Check::S2,
    Check::S1,
    Check::S7,
    Check::S23,
    Check::L1,
    Check::L2,
    Check::L4,
    Check::L3,
    Check::L5,
    Check::L6,
    Check::L7,
    Check::L8,
    Check::L9,
];

fn place(check: Check) -> usize {
    ORDER.iter().position(|other| *other == check).expect("every promise has its place")
}

/// The finding of one step: the most telling of what is broken, and the ids of the rest.
pub fn name(mut broken: Vec<Broken>) -> Option<Broken> {
    sort(&mut broken);
    name_first(broken)
}

/// Of one promise, what was found first stays first.
fn sort(broken: &mut [Broken]) {
    broken.sort_by_key(|(check, _)| place(*check));
}

fn name_first(broken: Vec<Broken>) -> Option<Broken> {
    let mut broken = broken.into_iter();
    let (first, what) = broken.next()?;
    let mut others: Vec<&str> = broken.filter(|(check, _)| *check != first).map(|(check, _)| check.id()).collect();
    others.dedup();
    let what = if others.is_empty() { what } else { format!("{what} (also broken: {})", others.join(", ")) };
    Some((first, what))
}

/// The finding of a run that is at rest, of which this is the verdict. After a replay what it left is judged like what
/// stood before it.
pub fn at_rest(verdict: &Verdict, inputs: Inputs<'_>, watched: Watched<'_>) -> Option<Broken> {
    let mut broken = reds(verdict);
    if let Some(after) = inputs.replayed {
        broken.extend(reds(&judge_watched(Inputs { audit: after, replayed: None, ..inputs }, watched)));
    }
    name(broken)
}

/// The finding of a run that should be at rest by now and is not.
///
/// What needs no rest is judged as such and comes first. Then what is still owed says more than the sums, which do not
/// hold before it is done.
pub fn overdue(inputs: Inputs<'_>, watched: Watched<'_>) -> Option<Broken> {
    let judge_as = |at_rest| {
        let options = Options { at_rest, ..inputs.options.clone() };
        reds(&judge_watched(Inputs { options: &options, ..inputs }, watched))
    };
    name(judge_as(false)).or_else(|| {
        let (mut owed, mut sums): (Vec<Broken>, Vec<Broken>) =
            judge_as(true).into_iter().partition(|(check, _)| check.is_liveness());
        sort(&mut owed);
        sort(&mut sums);
        owed.extend(sums);
        name_first(owed)
    })
}

fn reds(verdict: &Verdict) -> Vec<Broken> {
    let told = |(check, findings, count): (Check, &[Finding], usize)| {
        let first = findings.first().map_or(String::new(), |finding| format!("{}: {}", finding.place, finding.what));
        (check, format!("{count} times, first {first}"))
    };
    verdict.reds().map(told).collect()
}

/// The promise that a text names as broken by beginning one of its parts with the id: "S20: flights are bounded".
pub fn named_in(text: &str) -> Option<Check> {
    let mut words = text.split_whitespace().filter_map(|word| word.strip_suffix(':'));
    words.find_map(|word| Check::ALL.iter().copied().find(|check| check.id() == word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_promise_has_one_place() {
        assert!(Check::ALL.iter().all(|check| ORDER.iter().filter(|other| *other == check).count() == 1));
    }

    #[test]
    fn the_most_telling_one_names_the_finding_and_the_others_are_told() {
        let broken = vec![(Check::I5, "a sum".to_owned()), (Check::S4, "an order".to_owned())];
        assert_eq!(name(broken), Some((Check::S4, "an order (also broken: I5)".to_owned())));
        assert_eq!(name(vec![(Check::I5, "a sum".to_owned())]), Some((Check::I5, "a sum".to_owned())));
        assert_eq!(name(Vec::new()), None);
    }

    #[test]
    fn an_assertion_that_begins_with_an_id_is_a_finding_of_that_promise() {
        assert_eq!(named_in("S20: flights of a lane are bounded"), Some(Check::S20));
        let equal = "assertion `left == right` failed: S13: a task is in exactly one place\n  left: 13\n right: 12";
        assert_eq!(named_in(equal), Some(Check::S13));
        assert_eq!(named_in("read entries are bounded, S13 too: nothing"), None);
    }
}
