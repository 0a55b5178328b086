//! Strikes that wait for their moment: a process that is struck at a drawn time has mostly nothing in hand, and a link
//! carries nothing.

use crate::fault::FaultKind::{self, *};
use crate::plan::{Meeting, Setup, Strike};
use crate::seed::Seed;
use crate::worlds::fast::is_of_processes;
use doorbuster_core::rng::Rng;

/// A strike on a process waits for so many milliseconds at most until the process has anything in hand.
const WORK_WITHIN_MS: u64 = 2_000;

/// What a strike waits for.
struct Moment {
    /// In the words of the matrix.
    stage: &'static str,
    /// What brings it about where nothing else does, and how much of it.
    cause: Option<(FaultKind, u64)>,
    /// Fewest shards with which there is such a thing.
    shards: u16,
}

const fn moment(stage: &'static str) -> Moment {
    Moment { stage, cause: None, shards: 1 }
}

const fn after(stage: &'static str, cause: FaultKind, amount: u64) -> Moment {
    Moment { stage, cause: Some((cause, amount)), shards: 1 }
}

const fn between_shards(stage: &'static str) -> Moment {
    Moment { stage, cause: None, shards: 2 }
}

/// Kinds that meet what processes have in hand.
const OF_PROCESSES: [FaultKind; 9] = [P1, P4, P5, P6, P7, P8, C5, O3, O4];
/// Kinds that meet messages: those of links, and of the database at their end.
const OF_MESSAGES: [FaultKind; 10] = [N1, N2, N3, N4, N5, N6, D1, D2, D4, D11];

/// The operator's acts on a sale, as [`FaultKind::O1`] counts them.
const STOP: u64 = 0;
const CLOSE: u64 = 2;

/// What processes have in hand, and what is on its way.
type Place = (&'static [Moment], &'static [Moment]);

/// What every run may have: the common, the seldom, and the rare, each with as many strikes that wait for it.
const EVERYWHERE: [Place; 3] = [
    (
        &[
            after("a server is being loaded", R11, 0),
            moment("an epoch is to be opened"),
            moment("an opened epoch is to be announced"),
            moment("an offset is not committed"),
            moment("buyers wait for an answer"),
            moment("changes are on their way down to shards"),
            moment("claimed tasks are not completed"),
            moment("entries are not published or acknowledged"),
            moment("its shard's row is not read yet"),
            moment("records are not done"),
            moment("records are not published or not noted"),
        ],
        &[
            moment("a buyer's request"),
            moment("a call to the provider"),
            moment("a lease"),
            moment("a payment"),
            moment("a read of rows"),
            moment("a record on its way"),
            moment("a reservation"),
            moment("a row on its way"),
            moment("an answer of a server"),
            moment("an answer to a buyer"),
            moment("an order of a buyer"),
            moment("claimed, not cancelled"),
            moment("claimed, not told"),
            moment("committed, not told"),
            moment("done, not committed"),
            moment("given back, not told"),
            moment("published, not decided"),
            moment("read, not published"),
            moment("records not relayed"),
            moment("relayed, not watermarked"),
            moment("reserved, not read"),
            moment("reserved, not told"),
            moment("settled, not given back"),
            moment("told, not scheduled"),
        ],
    ),
    (
        &[
            after("a seal is on its way to intake", R11, 0),
            moment("a loaded server is being opened"),
            after("an epoch is to be ended", R11, 0),
            after("an ended epoch's server is being sealed", R11, 0),
            after("an ended epoch's log is being drained", R11, 0),
            after("an epoch is being drained", R11, 0),
            after("a server is being paused or resumed", O1, STOP),
            after("a closed sale's units are to be returned", O1, CLOSE),
            after("a closed sale's units are being withdrawn", O1, CLOSE),
            after("no server answers for its shard", R1, 0),
            moment("a sweep is under way"),
        ],
        &[
            after("a pause of the sale", O1, STOP),
            after("a load", R11, 0),
            moment("a notice of the provider"),
            after("an epoch ends", R11, 0),
            moment("an answer of the provider"),
            moment("cancelled, not completed"),
            moment("published, not acknowledged"),
            moment("taking the producer"),
        ],
    ),
    (
        &[
            between_shards("units are being balanced"),
            after("a late payment looks for a unit", U6, 900),
            after("a late payment waits for its order", U6, 900),
            after("money is to go back", U6, 900),
            after("a refund is to be noted", U6, 900),
            moment("the producer is not taken"),
        ],
        &[
            after("a dead letter", K11, 900),
            after("a withdrawal", O1, CLOSE),
            between_shards("an act of an operator"),
            between_shards("refused, not told"),
        ],
    ),
];

/// What only some runs have, by the role that brings it.
const OF_ROLES: [(&str, Place); 3] = [
    (
        "invalidator",
        (
            &[moment("a product is being loaded"), moment("callers wait for a product")],
            &[
                moment("a floor, not told"),
                moment("a read of the shared cache"),
                moment("a subscription"),
                moment("changed, no floor"),
                moment("loaded, not filled"),
            ],
        ),
    ),
    (
        "sales",
        (
            &[
                moment("how far sales are counted is not known"),
                moment("sales are not counted yet"),
                moment("windows are being told"),
            ],
            &[moment("sales not counted"), moment("windows not told"), moment("records not relayed")],
        ),
    ),
    (
        "indexer",
        (
            &[moment("marked products are not done")],
            &[moment("a product not indexed"), moment("indexed, not answered")],
        ),
    ),
];

/// Lets some strikes wait for work, and adds some that wait for a moment of their own, from soon after one of these times
/// until the run ends. Seed after seed takes the next pair of a moment and a kind: what is rare is not left to chance.
pub fn draw(seed: u64, setup: &mut Setup, begins: &[u64], strikes: &mut Vec<Strike>) {
    let mut rng = Seed(seed).stream("nemesis/meetings");
    for strike in strikes.iter_mut().filter(|strike| is_of_processes(strike.fault)) {
        if rng.below(2) == 0 {
            strike.meets = Some(Meeting { stage: String::new(), within_ms: WORK_WITHIN_MS });
        }
    }
    let has = |role: &str| setup.instances.get(role).copied().unwrap_or(0) > 0;
    // What few runs have is waited for twice in each of them.
    let own = OF_ROLES.iter().filter(|(role, _)| has(role)).map(|(_, place)| (*place, 2));
    let everywhere = EVERYWHERE.iter().filter(|_| has("edge")).map(|place| (*place, 1));
    for ((held, sent), times) in own.chain(everywhere).collect::<Vec<_>>() {
        for turn in times * seed..times * (seed + 1) {
            add(&mut rng, setup, begins, pair(turn, held, &OF_PROCESSES), strikes);
        }
        add(&mut rng, setup, begins, pair(seed, sent, &OF_MESSAGES), strikes);
    }
}

fn pair(turn: u64, moments: &'static [Moment], kinds: &[FaultKind]) -> (&'static Moment, FaultKind) {
    let (turn, count) = (turn as usize, moments.len());
    (&moments[turn % count], kinds[turn / count % kinds.len()])
}

fn add(
    rng: &mut Rng,
    setup: &mut Setup,
    begins: &[u64],
    (moment, kind): (&Moment, FaultKind),
    strikes: &mut Vec<Strike>,
) {
    // Some wait from the very beginning: for what only a process that has just started has in hand.
    let begin_ms = begins[rng.below(begins.len() as u64) as usize];
    let at_ms = begin_ms + if rng.below(3) == 0 { 0 } else { rng.below(8_000) };
    if let Some((cause, amount)) = moment.cause {
        strikes.push(Strike::new(at_ms + 1_000 + rng.below(5_000), cause, "", 500 + rng.below(2_000), amount));
    }
    setup.shards = setup.shards.max(moment.shards);
    let amount = if OF_MESSAGES.contains(&kind) && kind != N1 { 1_000 } else { 1 + rng.below(2_000) };
    let mut waiting = Strike::new(at_ms, kind, "", 200 + rng.below(6_000), amount);
    waiting.meets = Some(Meeting { stage: moment.stage.to_owned(), within_ms: setup.horizon_ms });
    strikes.push(waiting);
}
