//! From inputs to a verdict: every predicate once.

use super::audit::{Audit, MemoryLine};
use super::cache_watch::{CacheWatch, Instance};
use super::history::History;
use super::probe::Probe;
use super::verdict::{Check, Checked, Missing, Verdict};
use super::window_watch::WindowWatch;
use super::{liveness, safety};
use crate::database::rows::SealReason;
use crate::ids::{Epoch, Key, OrderId, ProductId, Seq, SkuId, UserId, Version};
use crate::window::hour::Hour;
use std::collections::{BTreeMap, BTreeSet};

/// What is known of the run, beside its inputs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Nothing was in flight any more when the snapshot was taken, and every pay window of an unpaid order was over.
    pub at_rest: bool,
    /// Faults that may lose acknowledged data were injected.
    pub losses: Losses,
    /// The sale was closed and its shards had the time to follow.
    pub sale_closed: bool,
    /// Names of all documented problems; `None` when the caller has no list.
    pub problems: Option<BTreeSet<String>>,
    /// Most milliseconds by which clocks of clients, shards and the database may differ.
    pub clock_skew_ms: u64,
}

/// Whether an acknowledged reservation may be lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Losses {
    /// None: the faults of the run do not excuse it.
    #[default]
    Forbidden,
    /// Up to so many acknowledged writes were destroyed.
    AtMost(u64),
    /// Nobody counted what was destroyed.
    Uncounted,
}

/// Everything that the oracle looks at.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// What clients saw; `None` when no client's word is known.
    pub history: Option<&'a History>,
    /// What the stores hold.
    pub audit: &'a Audit,
    /// The same after every input stream was replayed once more.
    pub replayed: Option<&'a Audit>,
    /// The order of effects.
    pub probes: Option<&'a [Probe]>,
    /// What is known of the run.
    pub options: &'a Options,
}

/// What a process serves of a product at the end.
pub type LastServed = (Instance, ProductId, Version);

/// What each process serves of a product, and each product's version in the rows.
pub type Served<'a> = (&'a [(Instance, ProductId, Version)], &'a BTreeMap<ProductId, Version>);

/// What was judged while the run went on, for the invariants that no final state shows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Watched<'a> {
    /// Every cache, from its first load on.
    pub caches: Option<&'a CacheWatch>,
    /// What every process serves at the end, and what the rows say.
    pub served: Option<(&'a [LastServed], &'a BTreeMap<ProductId, Version>)>,
    /// Every window that was told.
    pub windows: Option<&'a WindowWatch>,
    /// What the rows tell of every SKU at the end of this hour.
    pub told: Option<(Hour, &'a BTreeMap<SkuId, u64>)>,
}

/// The inputs with the sums that several predicates need.
#[derive(Debug)]
pub struct Case<'a> {
    /// The inputs.
    pub inputs: Inputs<'a>,
    /// What was judged on the way.
    pub watched: Watched<'a>,
    /// I3: units that orders hold, by shard and SKU.
    pub held: BTreeMap<(u16, SkuId), u64>,
    /// Units that users hold, over the whole sale.
    pub live: BTreeMap<UserId, u64>,
}

impl<'a> Case<'a> {
    /// Adds up the orders.
    pub fn new(inputs: Inputs<'a>) -> Case<'a> {
        let mut held: BTreeMap<(u16, SkuId), u64> = BTreeMap::new();
        let mut live: BTreeMap<UserId, u64> = BTreeMap::new();
        for order in inputs.audit.orders.values() {
            for line in order.held_lines() {
                *held.entry((order.id.shard.k, line.sku)).or_default() += u64::from(line.quantity);
                *live.entry(order.user.clone()).or_default() += u64::from(line.quantity);
            }
        }
        Case { inputs, watched: Watched::default(), held, live }
    }

    /// What the stores hold.
    pub fn audit(&self) -> &'a Audit {
        self.inputs.audit
    }

    /// What is known of the run.
    pub fn options(&self) -> &'a Options {
        self.inputs.options
    }

    /// What clients saw.
    pub fn history(&self) -> Result<&'a History, Missing> {
        self.inputs.history.ok_or_else(|| Missing("the history of clients".to_owned()))
    }

    /// The order of effects.
    pub fn probes(&self) -> Result<&'a [Probe], Missing> {
        self.inputs.probes.ok_or_else(|| Missing("probe events".to_owned()))
    }

    /// The memories of shards' servers.
    pub fn memories(&self) -> Result<&'a BTreeMap<u16, MemoryLine>, Missing> {
        self.inputs.audit.memories.as_ref().ok_or_else(|| Missing("the memories of shards".to_owned()))
    }

    /// Nothing, if the snapshot was taken at rest.
    pub fn rest(&self) -> Result<(), Missing> {
        if self.inputs.options.at_rest { Ok(()) } else { Err(Missing("a snapshot at rest".to_owned())) }
    }

    /// The order that this user's click under this key makes.
    pub fn order_id(&self, user: &UserId, key: &Key) -> OrderId {
        let sale = &self.inputs.audit.sale;
        OrderId::derive(sale.id, sale.shards, user, key)
    }

    /// Whether the acceptance of `id` at `place` can no longer become an order, by the rows alone.
    pub fn was_lost(&self, id: OrderId, place: (Epoch, Seq)) -> bool {
        let audit = self.inputs.audit;
        match audit.orders.get(&id).map(|order| order.place()) {
            Some(Some(own)) if own == place => return false,
            // Given up before it arrived: its key is free again after the next rebuild.
            Some(None) => return true,
            Some(Some(_)) | None => {}
        }
        let Some(shard) = audit.shards.get(&id.shard.k) else { return false };
        let broken = shard.reason == Some(SealReason::LedgerBroken) && place.1 <= shard.cursor;
        place.0 < shard.epoch || (place.0 == shard.epoch && broken)
    }
}

/// Judges every invariant that needs no watch.
pub fn judge(inputs: Inputs<'_>) -> Verdict {
    judge_watched(inputs, Watched::default())
}

/// Judges every invariant.
pub fn judge_watched<'a>(inputs: Inputs<'a>, watched: Watched<'a>) -> Verdict {
    let case = Case { watched, ..Case::new(inputs) };
    let judge_one = |check: Check| predicate(check)(&case).unwrap_or_else(Missing::into);
    let judgements = Check::ALL.iter().map(|check| (*check, judge_one(*check))).collect();
    Verdict { judgements }
}

/// The predicate of an invariant.
fn predicate(check: Check) -> fn(&Case<'_>) -> Checked {
    match check {
        Check::I1 => safety::ledger::consumed_within_granted,
        Check::I2 => safety::ledger::granted_and_pool_are_total,
        Check::I3 => safety::ledger::consumed_is_held,
        Check::I4 => safety::memory::granted_is_available_and_live,
        Check::I5 => safety::memory::agrees_with_rows_at_rest,
        Check::S1 => safety::ledger::no_oversell,
        Check::S2 => safety::memory::counts_stay_sound,
        Check::S3 => safety::buyers::limit_is_kept,
        Check::S4 => safety::buyers::no_phantom_order,
        Check::S5 => safety::acceptances::each_is_one_order,
        Check::S6 => safety::edges::only_allowed_ones,
        Check::S7 => safety::conservation::no_unit_made_or_destroyed,
        Check::S8 => safety::edges::no_window_cut_short,
        Check::S9 => safety::streams::change_and_event_together,
        Check::S10 => safety::streams::durable_before_acknowledged,
        Check::S11 => safety::streams::versions_only_rise,
        Check::S12 => safety::tasks::one_completion_per_claim,
        Check::S13 => safety::tasks::exactly_one_place,
        Check::S14 => safety::replay::changes_nothing,
        Check::S15 => safety::acceptances::same_key_same_answer,
        Check::S16 => safety::watches::cached_versions_only_rise,
        Check::S17 => safety::watches::one_load_at_a_time,
        Check::S18 => safety::watches::windows_are_exact,
        Check::S19 => safety::partitions::parents_first_and_nothing_passed,
        Check::S20 => safety::bounds::are_kept,
        Check::S21 => safety::answers::all_documented,
        Check::S23 => safety::memory::all_five_equations,
        Check::S24 => safety::buyers::baskets_are_whole,
        Check::S25 => safety::answers::never_contradicted,
        Check::S26 => safety::epochs::open_once_and_closed_take_nothing,
        Check::L1 => liveness::logs_are_drained,
        Check::L2 => liveness::entries_are_decided,
        Check::L3 => liveness::nothing_is_held_too_long,
        Check::L4 => liveness::unpaid_end_and_paid_are_paid,
        Check::L5 => liveness::given_back_can_be_sold,
        Check::L6 => liveness::no_task_is_overdue,
        Check::L7 => liveness::outbox_is_delivered,
        Check::L8 => safety::watches::caches_converge,
        Check::L9 => safety::watches::windows_converge,
    }
}
