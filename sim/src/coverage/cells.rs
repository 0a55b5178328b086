//! The matrix of faults and stages: what was in flight when a fault took effect.
//!
//! Most pairs of a fault and a stage cannot be: a clock that steps meets no message. The kinds that can meet the same
//! things stand together, and each group says what it meets; what one of a group has met, the others can meet too. So
//! an empty cell of a group is a moment that nobody has tried yet, unless [`UNMET`] says why it cannot be.

use super::is_of;
use crate::fault::FaultKind;
use crate::fault::FaultKind::*;
use crate::plan::World;
use crate::report::FaultLedger;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Columns of a group that stand side by side: a line of them fits a terminal.
const STAGES_ABREAST: usize = 14;

/// Kinds that can meet the same things.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    /// Which.
    pub kinds: &'static [FaultKind],
    /// What they meet, and so why they meet nothing else.
    pub meets: &'static str,
}

const fn group(kinds: &'static [FaultKind], meets: &'static str) -> Group {
    Group { kinds, meets }
}

/// Every kind, in one group.
pub const GROUPS: &[Group] = &[
    group(&[N1, N2, N5, N6], "any message, on its way there or back"),
    group(
        &[N8],
        "messages of a process to the services that all share, its links to which stop one after the other: what is rare is seldom on the one link that stops",
    ),
    group(&[N3, N4], "a request: a reply comes back on the connection that its request has opened"),
    group(&[N9], "a reply whose request has changed something: of a read, a lost reply is N6"),
    group(&[N7], "bytes that nobody reads"),
    group(&[P1, P4, P5, P6, P7, P8, C5, O3, O4], "a process, with what it has in hand"),
    group(&[P2], "a process that has just done one of several things"),
    group(&[P9], "partitions of which there are too few"),
    group(
        &[P10],
        "instances that are more than one: it strikes once, at a time of its own, and does not wait for work",
    ),
    group(&[C1, C2, C3, C6], "a clock: what a wrong one does shows in other cells only"),
    group(&[R1, R2], "a server's file: what was written since the last sync, or nothing"),
    group(&[R3, R4, C4], "a server's replica: what it has not got yet, or nothing"),
    group(&[R5], "a script that is called by its digest"),
    group(&[R6], "a command of a server"),
    group(&[R8], "a message to listeners"),
    group(&[R10], "the place of a forwarder"),
    group(&[R11], "all that a server has"),
    group(&[K1, K11], "a record as it is appended"),
    group(&[K2], "a batch that stands, and whose publisher has not heard so"),
    group(&[K3], "a batch that does not stand yet"),
    group(&[K4], "the end of a partition: what was read last, or nobody has read yet"),
    group(&[K10], "the beginning of a partition, of which somebody has not read yet what is removed"),
    group(&[K5], "the order between partitions"),
    group(&[K6, K7, K8, O5], "the place of a group of consumers"),
    group(&[K12], "a call to the broker"),
    group(&[D1, D2, D4], "a transaction that writes"),
    group(&[D3, D11], "a call to the database, reads too"),
    group(&[D5], "a read"),
    group(&[D6], "the time of a commit"),
    group(&[D7, D8, D9], "a partition of the change stream"),
    group(&[E1, E2, E4], "a bulk on its way to the index"),
    group(&[E3], "a bulk that the index has taken"),
    group(&[E5], "a document that the index has taken"),
    group(&[Q1, Q2], "what a disk was given since its last sync, or nothing"),
    group(&[Q5], "a step of the epoch ladder"),
    group(&[Q3], "a sync of a disk"),
    group(&[Q4], "an append to a disk"),
    group(&[U1, U2, U4, U5, U6, U7, U8, U9], "a buyer"),
    group(&[U3], "a buyer who knows nothing yet"),
    group(&[U10], "a request"),
    group(&[O1, O2], "a sale"),
    group(&[O6], "a product"),
];

/// Cells of a group that cannot be, each with its reason. A cell that is listed and was seen is an error.
pub const UNMET: &[(World, FaultKind, &str, &str)] = &[];

/// A group in one ensemble: which of its kinds are of the world, and everything that any of them met.
struct Seen<'ledger> {
    kinds: Vec<FaultKind>,
    stages: Vec<&'static str>,
    ledger: &'ledger FaultLedger,
}

impl Seen<'_> {
    fn of<'ledger>(group: &Group, ledger: &'ledger FaultLedger, world: World) -> Seen<'ledger> {
        let kinds: Vec<FaultKind> = group.kinds.iter().copied().filter(|kind| is_of(*kind, world)).collect();
        let own = ledger.stages.keys().filter(|(kind, _)| kinds.contains(kind));
        let stages: BTreeSet<&'static str> = own.map(|(_, stage)| *stage).collect();
        Seen { kinds, stages: stages.into_iter().collect(), ledger }
    }

    fn count(&self, kind: FaultKind, stage: &'static str) -> u64 {
        self.ledger.stages.get(&(kind, stage)).copied().unwrap_or(0)
    }

    fn empty(&self) -> impl Iterator<Item = (FaultKind, &'static str)> {
        let cells = self.kinds.iter().flat_map(|kind| self.stages.iter().map(move |stage| (*kind, *stage)));
        cells.filter(|(kind, stage)| self.count(*kind, stage) == 0)
    }

    fn tell(&self, text: &mut String) {
        let numbered: Vec<(usize, &'static str)> = (1..).zip(self.stages.iter().copied()).collect();
        for (number, stage) in &numbered {
            let _written = writeln!(text, "  {number:>2}  {stage}");
        }
        for block in numbered.chunks(STAGES_ABREAST) {
            let heads: String = block.iter().map(|(number, _)| format!("{number:>7}")).collect();
            let _written = writeln!(text, "{:<6}{heads}", "kind");
            for kind in &self.kinds {
                let cell = |stage| match self.count(*kind, stage) {
                    0 => format!("{:>7}", "."),
                    count => format!("{count:>7}"),
                };
                let row: String = block.iter().map(|(_, stage)| cell(stage)).collect();
                let _written = writeln!(text, "{kind:<6}{row}");
            }
        }
    }
}

/// Group by group, rows are kinds, columns are what was in flight. A dot is a cell that nobody has seen.
pub fn matrix(ledger: &FaultLedger, world: World) -> String {
    let mut text = String::from("in flight when a fault took effect\n");
    let (mut cells, mut empty) = (0, 0);
    for group in GROUPS {
        let seen = Seen::of(group, ledger, world);
        if seen.stages.is_empty() {
            continue;
        }
        let _written = writeln!(text, "\nmeets {}", group.meets);
        seen.tell(&mut text);
        cells += seen.kinds.len() * seen.stages.len();
        empty += seen.empty().count();
    }
    let _written = writeln!(text, "\n{cells} cells can be, {empty} of them are empty");
    text
}

/// Empty cells that nothing explains, and explanations that are not true, one line each.
pub fn gaps(ledger: &FaultLedger, world: World, unmet: &[(World, FaultKind, &str, &str)]) -> Vec<String> {
    let excuse = |kind: FaultKind, stage: &str| {
        unmet.iter().find(|(of, excused, at, _)| (*of, *excused, *at) == (world, kind, stage))
    };
    let mut gaps = Vec::new();
    for group in GROUPS {
        let seen = Seen::of(group, ledger, world);
        let silent = seen.empty().filter(|(kind, stage)| excuse(*kind, stage).is_none());
        gaps.extend(silent.map(|(kind, stage)| format!("{kind} never met: {stage}")));
    }
    let seen = ledger.stages.keys().filter_map(|(kind, stage)| excuse(*kind, stage));
    gaps.extend(seen.map(|(_, kind, stage, reason)| format!("{kind} met: {stage}, which cannot be ({reason})")));
    gaps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(cells: &[(FaultKind, &'static str)]) -> FaultLedger {
        let mut ledger = FaultLedger::default();
        cells.iter().for_each(|(kind, stage)| ledger.take_effect(*kind, stage));
        ledger
    }

    #[test]
    fn every_kind_is_in_one_group() {
        for kind in FaultKind::ALL {
            let groups = GROUPS.iter().filter(|group| group.kinds.contains(kind)).count();
            assert_eq!(groups, 1, "{kind} ({})", kind.title());
        }
    }

    #[test]
    fn what_one_of_a_group_met_the_others_can_meet() {
        let ledger = ledger(&[(N3, "a row"), (N4, "a row"), (N4, "a record"), (C1, "a clock")]);
        let gaps = gaps(&ledger, World::Wire, &[]);
        let clocks = ["C2 never met: a clock", "C3 never met: a clock", "C6 never met: a clock"];
        assert_eq!(gaps, [["N3 never met: a record"].as_slice(), &clocks].concat());
        let matrix = matrix(&ledger, World::Wire);
        assert!(
            matrix.contains("8 cells can be, 4 of them are empty") && matrix.matches(" .").count() == 4,
            "{matrix}"
        );
    }

    #[test]
    fn an_explanation_of_a_cell_must_be_true() {
        let unmet = [(World::Fast, N3, "a row", "a reason")];
        assert_eq!(gaps(&ledger(&[(N4, "a row")]), World::Fast, &unmet), [] as [&str; 0]);
        assert_eq!(gaps(&ledger(&[(N4, "a row"), (N3, "a row")]), World::Fast, &unmet).len(), 1);
    }
}
