//! Rest: everything in flight is brought home in one way, and then the books must agree.

use super::action::Action;
use super::fingerprint::Fingerprint;
use super::model::Model;
use super::scope::Budgets;
use super::shared::Shared;
use super::state::{Keeper, State};
use super::violation::{Violation, ensure};
use super::visited::Visited;
use doorbuster_core::database::rows::{Phase, SaleState, StockRow};
use doorbuster_core::ids::SkuId;
use doorbuster_core::ledger::reserve::ItemReply;
use doorbuster_core::ledger::shard::{Counter, ShardState};
use doorbuster_core::order::status::Status;

/// Steps after which healing has failed: a ladder takes about ten, a buyer three, and nothing may go in circles.
const STEPS_MAX: usize = 400;

/// A state on its way to rest, with the steps that led there.
pub struct Healing<'a> {
    model: &'a Model,
    /// Stations of this healing: to come by one again is to go in circles.
    stations: Vec<Fingerprint>,
    /// Where it stands.
    pub state: State,
    /// What was done.
    pub steps: Vec<Action>,
}

/// Where a healing stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    /// Nothing is in flight.
    Reached,
    /// An earlier healing went on from here and found the books in order.
    Known,
}

impl<'a> Healing<'a> {
    /// From a state in which anything may be in flight. All keepers are dead; a new one begins.
    pub fn new(model: &'a Model, state: &State) -> Healing<'a> {
        let mut state = state.clone();
        state.light.budgets = Budgets::PLENTY;
        state.light.touched = 0;
        state.keepers = [Shared::new(Keeper::Idle), Shared::new(Keeper::Idle)];
        Healing { model, stations: Vec::new(), state, steps: Vec::new() }
    }

    /// Heals, checks the books, lets every unpaid order expire, and sells what came back.
    ///
    /// `known` holds the stations of healings that went well: healing is deterministic, so one of them need not be
    /// followed again.
    pub fn run(&mut self, known: &mut Visited) -> Result<(), Violation> {
        while self.come_to_rest(known)? == Rest::Reached {
            self.check_books()?;
            self.check_replays()?;
            let unpaid = |wish: &usize| {
                let order = self.state.rows.orders.get(&self.model.cast.clicks[*wish].order);
                order.is_some_and(|order| order.status == Status::PendingPayment)
            };
            let unpaid: Vec<usize> = (0..self.model.cast.probes_from).filter(unpaid).collect();
            if unpaid.is_empty() {
                return if self.phase() == Phase::Open { self.sell_all() } else { Ok(()) };
            }
            for wish in unpaid {
                self.act(Action::Expire { wish })?;
            }
        }
        Ok(())
    }

    fn act(&mut self, action: Action) -> Result<(), Violation> {
        ensure(self.steps.len() < STEPS_MAX, "L11", || format!("no rest after {STEPS_MAX} steps"))?;
        self.steps.push(action);
        self.state = self.model.step(&self.state, action)?;
        self.state.light.budgets = Budgets::PLENTY;
        Ok(())
    }

    fn phase(&self) -> Phase {
        self.state.row(self.model.cast.shard).phase
    }

    fn closed(&self) -> bool {
        self.state.rows.sales.get(&self.model.cast.sale).is_some_and(|sale| sale.state == SaleState::Closed)
    }

    /// Whether healings have been here before; a healing that comes back to where it was goes in circles.
    fn is_known(&mut self, known: &mut Visited) -> Result<bool, Violation> {
        let station = self.state.fingerprint();
        let circle = self.stations.contains(&station);
        ensure(!circle, "L11", || "healing goes in circles".to_owned())?;
        self.stations.push(station);
        Ok(!known.insert(station))
    }

    fn come_to_rest(&mut self, known: &mut Visited) -> Result<Rest, Violation> {
        let primary = self.state.light.primary;
        self.act(Action::ReplaceForwarder { server: primary, from_start: true })?;
        loop {
            self.drain()?;
            if self.is_known(known)? {
                return Ok(Rest::Known);
            }
            match self.phase() {
                Phase::Open if self.is_sound() && !self.closed() => {
                    self.tend_pause()?;
                    return self.nothing_in_flight();
                }
                Phase::Open | Phase::Opening => {
                    self.act(Action::BeginSealing { keeper: 0 })?;
                    self.act(Action::Seal { keeper: 0 })?;
                }
                Phase::Sealing => self.act(Action::PublishSeal)?,
                Phase::Sealed if self.closed() => self.act(Action::Close { keeper: 0 })?,
                Phase::Sealed => self.open_primary()?,
                Phase::Closed => return self.nothing_in_flight(),
            }
        }
    }

    /// Whether the row names the server that the addresses lead to, and that server sells or pauses under it.
    fn is_sound(&self) -> bool {
        let row = self.state.row(self.model.cast.shard);
        let server = &self.state.servers[self.state.light.primary].shard;
        let sells = |state| matches!(state, ShardState::Open | ShardState::Stopped);
        server.server == row.server
            && server.meta().is_some_and(|meta| (meta.epoch, meta.nonce) == (row.epoch, row.nonce) && sells(meta.state))
    }

    /// The keeper looks at the open server again and again: a pause that a load has missed is carried there.
    fn tend_pause(&mut self) -> Result<(), Violation> {
        let sale = self.state.rows.sales.get(&self.model.cast.sale).expect("the sale was created");
        let wanted = sale.state == SaleState::Stopped;
        let server = self.state.light.primary;
        let paused =
            |state: &State| state.servers[server].shard.meta().is_some_and(|meta| meta.state == ShardState::Stopped);
        if paused(&self.state) != wanted && !self.model.plants.pause_by_snapshot {
            let fence = self.state.fences.len() - 1;
            self.act(Action::SetState { fence, server, paused: wanted })?;
        }
        ensure(paused(&self.state) == wanted, "STOP", || format!("the sale is paused: {wanted}, its shard is not"))
    }

    fn open_primary(&mut self) -> Result<(), Violation> {
        let server = self.state.light.primary;
        self.act(Action::BeginOpening { keeper: 0, server })?;
        self.act(Action::ReadSnapshot { keeper: 0 })?;
        while let Keeper::Loading(_, _, load) = &*self.state.keepers[0] {
            let more = load.taken < load.chunks.len();
            self.act(if more { Action::LoadChunk { keeper: 0 } } else { Action::Open { keeper: 0 } })?;
        }
        self.act(Action::FinishOpening { keeper: 0 })
    }

    /// Everything goes up, everything goes down to the server that the addresses lead to, each event once.
    fn drain(&mut self) -> Result<(), Violation> {
        while self.state.unpublished(&self.state.light.forwarder).is_some() {
            self.act(Action::Publish)?;
        }
        while self.state.light.offset < self.state.intents.len() {
            self.act(Action::Intake { records: 1 })?;
        }
        let server = self.state.light.primary;
        let mut event = 0;
        while event < self.state.down.len() {
            let waiting = self.state.down.len();
            self.act(Action::Deliver { event, server })?;
            // A grant may have waited for an earlier one, so what is left is tried again from the first.
            event = if self.state.down.len() < waiting { 0 } else { event + 1 };
        }
        Ok(())
    }

    /// L1. Nobody is left to be told in a closed shard.
    fn nothing_in_flight(&self) -> Result<Rest, Violation> {
        let listens = self.phase() != Phase::Closed || self.model.plants.tells_closed_shards;
        let stuck = listens && !self.state.down.is_empty();
        ensure(!stuck, "L1", || format!("still on the way down: {:?}", *self.state.down))?;
        ensure(self.state.promises.is_empty(), "S5", || format!("silence about {:?}", *self.state.promises))?;
        Ok(Rest::Reached)
    }

    fn stock_of(&self, sku: SkuId) -> StockRow {
        self.state.rows.stock.get(&(self.model.cast.shard, sku)).copied().unwrap_or_default()
    }

    fn counter_of(&self, sku: SkuId) -> Counter {
        let server = &self.state.servers[self.state.light.primary].shard;
        server.counters().find(|(counted, _)| *counted == sku).map(|(_, counter)| counter).unwrap_or_default()
    }

    /// I5 at rest in phase OPEN; in phase CLOSED everything that is not sold is in the pool.
    fn check_books(&self) -> Result<(), Violation> {
        for sku in &self.model.cast.skus {
            let (stock, counter) = (self.stock_of(*sku), self.counter_of(*sku));
            if self.phase() == Phase::Open {
                let agree = counter.granted == stock.granted
                    && counter.live == stock.consumed
                    && counter.available == stock.granted - stock.consumed;
                ensure(agree, "I5", || format!("{sku}: the shard counts {counter:?}, the database {stock:?}"))?;
            } else {
                ensure(stock.granted == stock.consumed, "I5", || format!("{sku}: closed with {stock:?}"))?;
            }
        }
        Ok(())
    }

    /// S15: every order's key is answered with its first acceptance, in every epoch.
    fn check_replays(&self) -> Result<(), Violation> {
        if self.phase() != Phase::Open {
            return Ok(());
        }
        let fence = self.state.row(self.model.cast.shard).fence();
        for order in self.state.rows.orders.values() {
            let Some(origin) = &order.origin else { continue };
            let click = self.model.cast.click_of(order.id.reservation).expect("only known keys are clicked");
            let mut called = self.state.servers[self.state.light.primary].shard.clone();
            let reply = called.reserve(fence, super::model::NOW, std::slice::from_ref(&click.item));
            let reply = reply.ok().and_then(|reply| reply.replies.first().copied());
            let replayed = reply == Some(ItemReply::Replayed(origin.acceptance));
            ensure(replayed, "S15", || format!("{} is answered {reply:?}, not {:?}", click.name, origin.acceptance))?;
        }
        Ok(())
    }

    /// L5: probe shoppers buy every unit that is not sold for good.
    fn sell_all(&mut self) -> Result<(), Violation> {
        self.act(Action::Enter { state: SaleState::Open })?;
        let fence = self.state.fences.len() - 1;
        let server = self.state.light.primary;
        self.act(Action::SetState { fence, server, paused: false })?;
        for (index, sku) in self.model.cast.skus.iter().enumerate() {
            let free = self.stock_of(*sku).free();
            for wish in self.model.cast.probes(index).take(free as usize) {
                self.act(Action::Click { wish, fence, server })?;
                self.drain()?;
                let order = self.state.rows.orders.get(&self.model.cast.clicks[wish].order);
                let bought = order.is_some_and(|order| order.status == Status::PendingPayment);
                ensure(bought, "L5", || format!("{sku}: {free} units are free and cannot be bought"))?;
            }
        }
        self.check_books()
    }
}
