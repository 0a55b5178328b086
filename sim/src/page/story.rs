//! Which lines led to a violation: those that name what the finding names, both ends of their messages, and the faults.

use crate::report::Violation;
use crate::trace::{Kind, Line};
use std::collections::{BTreeMap, BTreeSet};

/// Lines that one name brings: the latest ones. A name that stands everywhere explains nothing further back.
const LINES_OF_A_NAME: usize = 60;
/// Lines before the violation that are shown in any case: a finding may name nothing.
const LINES_BEFORE: usize = 24;
/// Faults that are shown: the latest ones.
const FAULTS: usize = 8;
/// Words of so many letters are ids, whether or not there is a digit in them.
const ID_LETTERS: usize = 20;

/// Their places, in order; empty when nothing was violated.
pub fn led(lines: &[Line], violation: Option<&Violation>) -> Vec<usize> {
    let Some(violation) = violation else { return Vec::new() };
    // What comes after the violation did not lead to it.
    let end = lines.iter().position(|line| line.kind == Kind::Violated).map_or(lines.len(), |index| index + 1);
    let lines = &lines[..end];
    let mut led: BTreeSet<usize> = (end.saturating_sub(LINES_BEFORE)..end).collect();
    let mut left = wanted(lines, violation);
    let mut faults_left = FAULTS;
    for (index, line) in lines.iter().enumerate().rev() {
        // A host is named by what happens on it: as a sender or receiver its name stands everywhere.
        let told = names(&line.text).filter(|name| *name != line.host.as_ref());
        let mut named = false;
        for name in told.chain([line.host.as_ref()]) {
            named |= left.get_mut(&(name, name == line.host.as_ref())).is_some_and(take);
        }
        let fault = matches!(line.kind, Kind::Struck | Kind::Healed) && take(&mut faults_left);
        if named || fault {
            led.insert(index);
        }
    }
    let messages: BTreeSet<u64> = led.iter().filter_map(|index| lines[*index].message).collect();
    let ends = |(index, line): (usize, &Line)| line.message.is_some_and(|id| messages.contains(&id)).then_some(index);
    led.extend(lines.iter().enumerate().filter_map(ends));
    led.into_iter().collect()
}

/// What the finding names, whether it is a host, and how many lines of it are still wanted.
fn wanted<'a>(lines: &'a [Line], violation: &'a Violation) -> BTreeMap<(&'a str, bool), usize> {
    let hosts: BTreeSet<&str> = lines.iter().map(|line| line.host.as_ref()).collect();
    let broken = lines.last().filter(|line| line.kind == Kind::Violated).map_or("", |line| line.text.as_str());
    let named = names(&violation.what).chain(names(broken));
    named.map(|name| ((name, hosts.contains(name)), LINES_OF_A_NAME)).collect()
}

fn take(left: &mut usize) -> bool {
    let some = *left > 0;
    *left -= usize::from(some);
    some
}

/// Words that name one thing: letters and digits both, at least three signs, and no id of an invariant or a fault. Of an
/// order's id the last part: where its shard is known it stands alone.
fn names(text: &str) -> impl Iterator<Item = &str> {
    let sign = |sign: char| !(sign.is_ascii_alphanumeric() || matches!(sign, '.' | '-' | '_'));
    let words = text.split(sign).map(|word| word.trim_matches('.'));
    let last = |word: &'_ str| word.rfind('.').map(|dot| dot + 1).filter(|from| word.len() - from >= ID_LETTERS);
    let words = words.map(move |word| last(word).map_or(word, |from| &word[from..]));
    words.filter(|word| {
        let digits = word.bytes().any(|byte| byte.is_ascii_digit());
        let letters = word.bytes().any(|byte| byte.is_ascii_alphabetic());
        let id = word.len() <= 3 && word.starts_with(|first: char| first.is_ascii_uppercase());
        letters && (word.len() >= ID_LETTERS || digits && word.len() >= 3 && !id)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::Runner;
    use crate::worlds::fast::Keep;
    use std::sync::Arc;

    #[test]
    fn names_are_told_from_words_numbers_and_ids() {
        let found: Vec<&str> = names("S10: order toy.0.o12, 7 of 6 units of sku-1 after R3.").collect();
        assert_eq!(found, ["toy.0.o12", "sku-1"]);
        let id = "dd4t7hvonzte2ne6dwkqnyok5y";
        assert_eq!(names(&format!("demo.0.{id}")).collect::<Vec<_>>(), [id]);
        assert_eq!(names(&format!("Accepted {{ id: {id} }}")).collect::<Vec<_>>(), [id]);
    }

    #[test]
    fn the_failover_and_the_last_order_led_to_the_oversell() {
        let runner = Runner::toy();
        let mut runs = (0..200).map(|seed| runner.run(&runner.draw(seed), Keep::Lines));
        let report = runs.find(|report| report.violation.is_some()).expect("the toy's bug is found");
        let lines = report.trace.lines.expect("lines were kept");
        let led = led(&lines, report.violation.as_ref());
        let kinds: BTreeSet<Kind> = led.iter().map(|index| lines[*index].kind).collect();
        for kind in [Kind::Struck, Kind::Sent, Kind::Delivered, Kind::Committed, Kind::Violated] {
            assert!(kinds.contains(&kind), "no {kind:?} in the story");
        }
        assert!(led.len() < lines.len(), "a story leaves something out");
    }

    #[test]
    fn a_host_that_is_named_brings_its_own_lines() {
        let line = |ordinal: u64, host: &str, kind, text: &str| Line {
            at_us: ordinal,
            ordinal,
            host: Arc::from(host),
            kind,
            message: None,
            text: text.to_owned(),
        };
        let mut lines: Vec<Line> = (0..90).map(|n| line(n, "edge-1", Kind::Step, "asks edge-0")).collect();
        lines.insert(5, line(90, "edge-0", Kind::Step, "waits"));
        lines.push(line(91, "world", Kind::Violated, "L11: edge-0 waits"));
        let violation = Violation { id: "L11".into(), at_us: 91, what: "edge-0 waits".into() };
        let led = led(&lines, Some(&violation));
        assert!(led.contains(&5) && led.len() == 1 + LINES_BEFORE, "{led:?}");
    }
}
