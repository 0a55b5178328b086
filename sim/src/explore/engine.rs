//! Breadth first over all states of a scope: the first violation found has the fewest steps.

use super::action::Action;
use super::model::Model;
use super::quiet::Healing;
use super::shared::Interner;
use super::state::State;
use super::violation::Violation;
use super::visited::Visited;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What was searched and what was found.
#[derive(Debug)]
pub struct Outcome {
    /// Different states.
    pub states: usize,
    /// Steps taken, those that led to known states included.
    pub transitions: u64,
    /// Every state up to this many steps from the start was expanded.
    pub depth: usize,
    /// Why the search ended before everything was seen; `None` when everything was.
    pub cut: Option<&'static str>,
    /// States that were healed and checked at rest.
    pub quiet_checks: u64,
    /// The first rule that fell.
    pub found: Option<Found>,
}

/// A rule that fell, with the way there.
#[derive(Debug)]
pub struct Found {
    /// Which and how.
    pub violation: Violation,
    /// Steps from the start.
    pub trace: Vec<Action>,
    /// Steps of the healing that followed, when the rule fell at rest.
    pub healing: Vec<Action>,
}

/// When to stop, asked now and then with the number of states so far.
pub type Patience<'a> = &'a mut dyn FnMut(usize) -> bool;

/// Searches all states of the model, at most `states_max` of them and while `patience` says so.
pub fn explore(model: &Model, states_max: usize, patience: Patience<'_>) -> Outcome {
    let mut search = Search::new(model);
    let cut = match search.begin() {
        Ok(()) => search.run(states_max, patience),
        Err(found) => Err(found),
    };
    let (cut, found) = match cut {
        Ok(cut) => (cut, None),
        Err(found) => (Some("a rule fell"), Some(*found)),
    };
    Outcome {
        states: search.visited.len(),
        transitions: search.transitions,
        depth: search.depth,
        cut,
        quiet_checks: search.quiet_checks,
        found,
    }
}

/// How often patience is asked: rarely enough to cost nothing.
const PATIENCE_EVERY: usize = 1 << 10;

struct Search<'a> {
    model: &'a Model,
    visited: Visited,
    /// Stations of healings that went well.
    rested: Visited,
    /// Per state, in the order of discovery: the state it was found from, and by which of the actions enabled there.
    parents: Vec<(u32, u16)>,
    layer: Vec<(State, u32)>,
    next: Vec<(State, u32)>,
    parts: Parts,
    depth: usize,
    transitions: u64,
    quiet_checks: u64,
}

/// The parts that the states of one layer share.
#[derive(Default)]
struct Parts {
    rows: Interner<doorbuster_core::database::tables::Rows>,
    servers: Interner<super::state::Server>,
    down: Interner<Vec<super::state::Sent>>,
    intents: Interner<Vec<doorbuster_core::ledger::entry::Intent>>,
    keepers: Interner<super::state::Keeper>,
    fences: Interner<Vec<doorbuster_core::ledger::shard::Fence>>,
    promises: Interner<Vec<super::state::Promise>>,
}

impl Parts {
    fn intern(&mut self, state: &mut State) {
        self.rows.intern(&mut state.rows);
        state.servers.iter_mut().for_each(|server| self.servers.intern(server));
        self.down.intern(&mut state.down);
        self.intents.intern(&mut state.intents);
        state.keepers.iter_mut().for_each(|keeper| self.keepers.intern(keeper));
        self.fences.intern(&mut state.fences);
        self.promises.intern(&mut state.promises);
    }
}

impl<'a> Search<'a> {
    fn new(model: &'a Model) -> Search<'a> {
        Search {
            model,
            visited: Visited::default(),
            rested: Visited::default(),
            parents: Vec::new(),
            layer: Vec::new(),
            next: Vec::new(),
            parts: Parts::default(),
            depth: 0,
            transitions: 0,
            quiet_checks: 0,
        }
    }

    fn begin(&mut self) -> Result<(), Box<Found>> {
        let start = self.model.start();
        let start = start.map_err(|violation| Box::new(Found { violation, trace: Vec::new(), healing: Vec::new() }))?;
        self.meet(start, (0, 0))?;
        std::mem::swap(&mut self.layer, &mut self.next);
        Ok(())
    }

    /// Layer by layer. Says why it was cut, if it was.
    fn run(&mut self, states_max: usize, patience: Patience<'_>) -> Result<Option<&'static str>, Box<Found>> {
        while !self.layer.is_empty() {
            self.parts = Parts::default();
            for (expanded, (state, number)) in std::mem::take(&mut self.layer).into_iter().enumerate() {
                if self.visited.len() >= states_max {
                    return Ok(Some("states"));
                }
                if expanded % PATIENCE_EVERY == 0 && !patience(self.visited.len()) {
                    return Ok(Some("time"));
                }
                self.expand(&state, number)?;
            }
            self.layer = std::mem::take(&mut self.next);
            self.depth += 1;
        }
        Ok(None)
    }

    fn expand(&mut self, state: &State, number: u32) -> Result<(), Box<Found>> {
        for (choice, action) in self.model.enabled(state).into_iter().enumerate() {
            self.transitions += 1;
            let stepped = caught(|| self.model.step(state, action));
            let after = stepped.map_err(|violation| {
                let mut trace = self.trace(number);
                trace.push(action);
                Box::new(Found { violation, trace, healing: Vec::new() })
            })?;
            self.meet(after, (number, choice as u16))?;
        }
        Ok(())
    }

    /// Takes a state in if it is new, and checks it at rest if its turn has come.
    fn meet(&mut self, mut state: State, from: (u32, u16)) -> Result<(), Box<Found>> {
        let fingerprint = state.fingerprint();
        if !self.visited.insert(fingerprint) {
            return Ok(());
        }
        let number = u32::try_from(self.parents.len()).expect("fewer states than a u32 counts");
        self.parents.push(from);
        if ((fingerprint >> 64) as u64).is_multiple_of(self.model.scope.quiet_every) {
            self.quiet_checks += 1;
            let mut healing = Healing::new(self.model, &state);
            let rested = caught(|| healing.run(&mut self.rested));
            rested.map_err(|violation| {
                let healing = std::mem::take(&mut healing.steps);
                Box::new(Found { violation, trace: self.trace(number), healing })
            })?;
        }
        self.parts.intern(&mut state);
        self.next.push((state, number));
        Ok(())
    }

    /// The actions that led to this state, found again by walking from the start.
    fn trace(&self, number: u32) -> Vec<Action> {
        let mut choices = Vec::new();
        let mut at = number;
        while at != 0 {
            let (parent, choice) = self.parents[at as usize];
            choices.push(usize::from(choice));
            at = parent;
        }
        let mut state = self.model.start().expect("it was possible before");
        let mut trace = Vec::new();
        for choice in choices.into_iter().rev() {
            let action = self.model.enabled(&state)[choice];
            trace.push(action);
            state = self.model.step(&state, action).expect("it was possible before");
        }
        trace
    }
}

/// An assertion of the product that fails is a finding like any other.
fn caught<T>(step: impl FnOnce() -> Result<T, Violation>) -> Result<T, Violation> {
    catch_unwind(AssertUnwindSafe(step)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a message");
        Err(Violation::new("assertion", text))
    })
}
