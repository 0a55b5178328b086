//! Whether the faults that were injected changed anything, and what was in flight when they did.

pub mod cells;

use crate::fault::{FaultKind, Worlds};
use crate::plan::World;
use crate::report::{FaultLedger, Struck};
use std::fmt::Write as _;

/// Kinds that a world may leave without effect, each with its reason. An excused kind that has an effect is an error
/// too: the list must not outlive its reasons.
pub const EXCUSED: &[(World, FaultKind, &str)] = &[];

/// Moments that an ensemble must reach at least once, by the words with which a run notes them.
pub const MOMENTS: &[&str] = &[
    "an epoch ended",
    "three epochs ended",
    "a shard was closed",
    "a pay window ran out",
    "a key was given up before its intent arrived",
    "money that came late or twice went back",
    "a late payment found another unit",
    "a record was set aside",
    "an acceptance was lost and its place says so",
];

/// Whether a world can inject a kind.
pub fn is_of(kind: FaultKind, world: World) -> bool {
    match kind.worlds() {
        Worlds::Both => true,
        Worlds::Fast => world == World::Fast,
        Worlds::Wire => world == World::Wire,
    }
}

/// What an ensemble lacks, one line each; empty when it covers its world.
pub fn gaps(ledger: &FaultLedger, world: World, moments: &[&str], excused: &[(World, FaultKind, &str)]) -> Vec<String> {
    let mut gaps = Vec::new();
    for &kind in FaultKind::ALL.iter().filter(|kind| is_of(**kind, world)) {
        let struck = ledger.kinds.get(&kind).copied().unwrap_or_default();
        let excuse = excused.iter().find(|(of, excused, _)| (*of, *excused) == (world, kind));
        match excuse {
            None if struck.effective == 0 => {
                gaps.push(format!(
                    "{kind} ({}) was injected {} times and never effective",
                    kind.title(),
                    struck.injected
                ));
            }
            Some((_, _, reason)) if struck.effective > 0 => {
                gaps.push(format!("{kind} is excused ({reason}) and was effective: take it off the list"));
            }
            None | Some(_) => {}
        }
    }
    let unreached = moments.iter().filter(|moment| !ledger.sometimes.contains(**moment));
    gaps.extend(unreached.map(|moment| format!("never reached: {moment}")));
    gaps
}

/// The kinds: what they are, how often they were injected, how often that changed an outcome. With a world, all of its
/// kinds; else only those that were injected.
pub fn kinds_table(ledger: &FaultLedger, world: Option<World>) -> String {
    let mut text = format!("{:<6}{:<62}{:>10}{:>11}\n", "kind", "what", "injected", "effective");
    let known = |kind: &FaultKind| match world {
        Some(world) => is_of(*kind, world),
        None => ledger.kinds.contains_key(kind),
    };
    for kind in FaultKind::ALL.iter().copied().filter(known) {
        let Struck { injected, effective } = ledger.kinds.get(&kind).copied().unwrap_or_default();
        let excuse = EXCUSED.iter().find(|(of, excused, _)| Some(*of) == world && *excused == kind);
        let note = excuse.map(|(_, _, reason)| format!("  {reason}")).unwrap_or_default();
        let _written = writeln!(text, "{kind:<6}{:<62}{injected:>10}{effective:>11}{note}", kind.title());
    }
    text
}

/// The moments: reached ones first.
pub fn moments_table(ledger: &FaultLedger, moments: &[&str]) -> String {
    let mut text = String::from("moments\n");
    for moment in &ledger.sometimes {
        let _written = writeln!(text, "  reached      {moment}");
    }
    for moment in moments.iter().filter(|moment| !ledger.sometimes.contains(**moment)) {
        let _written = writeln!(text, "  NOT REACHED  {moment}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> FaultLedger {
        let mut ledger = FaultLedger::default();
        for &kind in FaultKind::ALL {
            ledger.inject(kind);
            ledger.take_effect(kind, "somewhere");
        }
        ledger
    }

    #[test]
    fn a_kind_that_changed_nothing_is_a_gap() {
        let mut ledger = full();
        ledger.kinds.insert(FaultKind::N6, Struck { injected: 9, effective: 0 });
        let gaps = gaps(&ledger, World::Fast, &[], &[]);
        assert_eq!(gaps, ["N6 (a link loses messages) was injected 9 times and never effective"]);
    }

    #[test]
    fn kinds_of_another_world_are_not_missed() {
        let mut ledger = full();
        ledger.kinds.remove(&FaultKind::R5);
        assert!(gaps(&ledger, World::Fast, &[], &[]).is_empty());
        assert_eq!(gaps(&ledger, World::Wire, &[], &[]).len(), 1);
    }

    #[test]
    fn an_excuse_must_be_true() {
        let excused = [(World::Fast, FaultKind::N6, "a reason")];
        assert_eq!(gaps(&full(), World::Fast, &[], &excused).len(), 1);
        let mut ledger = full();
        ledger.kinds.remove(&FaultKind::N6);
        assert!(gaps(&ledger, World::Fast, &[], &excused).is_empty());
    }

    #[test]
    fn a_moment_that_was_never_reached_is_a_gap() {
        assert_eq!(gaps(&full(), World::Fast, &["a moment"], &[]), ["never reached: a moment"]);
    }
}
