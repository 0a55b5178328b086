//! The local cache of one edge process: products by key, one flight per product, never an older version after a newer.

use super::Value;
use super::expiring::Expiring;
use super::flight::{Flight, Joined, Stage};
use super::floors::Floors;
use super::shared::{Document, FillRefusal, Found};
use super::talk::{Absent, Answer, Effect, Event};
use crate::ids::{ProductId, Version};
use crate::keeper::pace::Pace;
use crate::limits::{
    BACKOFF_MS_MAX, CACHE_ABSENT_AGE_MS, CACHE_ABSENT_MAX, CACHE_CALLERS_MAX, CACHE_FLIGHTS_MAX, CACHE_LOAD_MS,
    CACHE_LOADS_MAX, CACHE_LOCAL_AGE_MS, CACHE_MEMORY_MS, CACHE_PAUSES_MAX, CACHE_PRODUCTS_MAX, CACHE_READ_MS,
    CACHE_VALUE_BYTES_MAX,
};
use crate::machine::{Machine, Ticket};
use crate::outcome::Outcome;
use crate::rng::Rng;
use crate::time::{Mono, Now};
use std::convert::Infallible;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Product {
    version: Version,
    value: Value,
}

/// After a load that failed, callers are told to come again until then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Pause {
    resume_at: Mono,
    pace: Pace,
}

/// The cache of one process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cache {
    tickets: Ticket,
    seeds: Rng,
    products: Expiring<ProductId, Product>,
    absent: Expiring<ProductId, ()>,
    floors: Floors,
    flights: Expiring<ProductId, Flight>,
    /// Kept beyond the pause itself, so that the next failure waits longer.
    pauses: Expiring<ProductId, Pause>,
    /// After a read without an answer, the shared cache is left alone until then.
    shared_resume_at: Mono,
    shared_pace: Pace,
    /// Callers in all flights.
    callers: usize,
}

impl Machine for Cache {
    type Event = Event;
    type Effect = Effect;

    fn step(&mut self, now: Now, event: Event, out: &mut Vec<Effect>) {
        // First, so that an answer that is overdue is not taken, however long the process stood still.
        self.expire(now, out);
        match event {
            Event::Woken => {}
            Event::Asked { token, key } => self.asked(now, token, key, out),
            Event::SharedRead { ticket, key, outcome } => self.shared_read(now, ticket, key, outcome, out),
            Event::Loaded { ticket, key, outcome } => self.loaded(now, ticket, key, outcome, out),
            Event::Filled { key, outcome } => self.filled(now.mono, key, outcome),
            Event::Invalidated { key, version } => self.invalidate(now.mono, key, version),
            Event::Reconnected => self.purge(),
        }
    }

    fn wake_at(&self) -> Option<(Mono, &'static str)> {
        self.flights.first().map(|(at, _)| (at, "a product is overdue"))
    }

    fn check(&self) {
        assert!(self.products.len() <= CACHE_PRODUCTS_MAX, "S20: kept products are bounded");
        assert!(self.absent.len() <= CACHE_ABSENT_MAX, "S20: remembered absences are bounded");
        assert!(self.flights.len() <= CACHE_FLIGHTS_MAX, "S20: flights of a cache are bounded");
        assert!(self.pauses.len() <= CACHE_PAUSES_MAX, "S20: pauses of a cache are bounded");
        assert!(self.callers <= CACHE_CALLERS_MAX, "S20: callers of a cache are bounded");
        assert!(self.callers == 0 || self.flights.len() > 0, "a caller waits in a flight");
        let tables =
            [self.products.is_whole(), self.absent.is_whole(), self.flights.is_whole(), self.pauses.is_whole()];
        assert!(tables == [true; 4], "a row has one end");
        self.floors.check();
    }

    fn pending(&self) -> Option<&'static str> {
        match (self.callers, self.flights.len()) {
            (0, 0) => None,
            (0, _) => Some("a product is being loaded"),
            (_, _) => Some("callers wait for a product"),
        }
    }
}

impl Cache {
    /// An empty cache; the seed only varies its pauses.
    pub fn new(seed: u64) -> Cache {
        let mut seeds = Rng::seeded(seed);
        Cache {
            tickets: Ticket::default(),
            products: Expiring::new(),
            absent: Expiring::new(),
            floors: Floors::new(),
            flights: Expiring::new(),
            pauses: Expiring::new(),
            shared_resume_at: Mono(0),
            shared_pace: Pace::new(seeds.draw()),
            seeds,
            callers: 0,
        }
    }

    fn asked(&mut self, now: Now, token: u64, key: ProductId, out: &mut Vec<Effect>) {
        if let Some(product) = self.products.find(key, now.mono) {
            let answer = Answer::Found { version: product.version, value: product.value.clone() };
            return out.push(Effect::Reply { token, answer });
        }
        if self.absent.find(key, now.mono).is_some() {
            return out.push(Effect::Reply { token, answer: Answer::Absent });
        }
        let answer = match self.flights.row(key) {
            Some(_) => self.join(now.mono, token, key),
            None if self.is_pausing(now.mono, key) => Some(Answer::NotReady),
            None if self.flights.len() >= CACHE_FLIGHTS_MAX || self.callers >= CACHE_CALLERS_MAX => {
                Some(Answer::Overloaded)
            }
            None => {
                self.take_off(now, key, out);
                self.join(now.mono, token, key)
            }
        };
        out.extend(answer.map(|answer| Effect::Reply { token, answer }));
    }

    /// Lets a caller wait in the key's flight; else what it is told at once.
    fn join(&mut self, now: Mono, token: u64, key: ProductId) -> Option<Answer> {
        let flight = self.flights.row_mut(key).expect("a caller joins a flight that is there");
        if self.callers >= CACHE_CALLERS_MAX || flight.join(now, token) == Joined::Full {
            return Some(Answer::Overloaded);
        }
        self.callers += 1;
        self.reschedule(key);
        None
    }

    fn is_pausing(&self, now: Mono, key: ProductId) -> bool {
        self.pauses.find(key, now).is_some_and(|pause| now < pause.resume_at)
    }

    /// Begins the key's only flight: through the shared cache, unless that one is left alone for a while.
    fn take_off(&mut self, now: Now, key: ProductId, out: &mut Vec<Effect>) {
        let seed = self.seeds.draw();
        let pace = self.pauses.find(key, now.mono).map_or_else(|| Pace::new(seed), |pause| pause.pace);
        let flight = Flight::new(now.mono, self.floors.of(key, now.mono), pace);
        self.flights.insert(key, flight, now.mono);
        if now.mono < self.shared_resume_at {
            return self.load(now, key, out);
        }
        let ticket = self.tickets.advance();
        self.begin(now.mono, key, Stage::Reading(ticket), CACHE_READ_MS);
        out.push(Effect::ReadShared { ticket, key });
    }

    fn load(&mut self, now: Now, key: ProductId, out: &mut Vec<Effect>) {
        let ticket = self.tickets.advance();
        self.begin(now.mono, key, Stage::Loading(ticket), CACHE_LOAD_MS);
        let flight = self.flights.row_mut(key).expect("a load belongs to a flight");
        flight.loads += 1;
        // A strong read that begins now knows whatever a lost message would have told.
        flight.overtaken = false;
        out.push(Effect::Load { ticket, key });
    }

    fn begin(&mut self, now: Mono, key: ProductId, stage: Stage, stage_ms: u64) {
        let flight = self.flights.row_mut(key).expect("a stage belongs to a flight");
        (flight.stage, flight.began, flight.until) = (stage, now, now.after_ms(stage_ms));
        self.reschedule(key);
    }

    fn reschedule(&mut self, key: ProductId) {
        let Some((_, flight)) = self.flights.row(key) else { return };
        let wake_at = flight.wake_at();
        self.flights.end_at(key, wake_at);
    }

    fn shared_read(
        &mut self,
        now: Now,
        ticket: Ticket,
        key: ProductId,
        outcome: Outcome<Found, Infallible>,
        out: &mut Vec<Effect>,
    ) {
        let Some(flight) = answered(&mut self.flights, key, Stage::Reading(ticket)) else { return };
        let found = match outcome {
            Outcome::Done(found) => found,
            Outcome::Refused(never) => match never {},
            // A read changes nothing.
            Outcome::Unknown => return self.shared_lost(now, key, out),
        };
        self.shared_pace.succeed();
        flight.asked_at = Some(found.at);
        match found.document {
            Some(Document::Filled { version, value, .. })
                if version >= flight.floor && !flight.overtaken && self.floors.can_judge(key, now.mono) =>
            {
                self.land(now.mono, key, version, value, out);
            }
            Some(Document::Floor { version }) => {
                flight.floor = flight.floor.max(version);
                self.load(now, key, out);
            }
            Some(Document::Filled { .. }) | None => self.load(now, key, out),
        }
    }

    /// The shared cache did not answer: it gets a pause, and the database is asked. Without its clock nothing is filled.
    fn shared_lost(&mut self, now: Now, key: ProductId, out: &mut Vec<Effect>) {
        // Of the reads that were lost together, one counts.
        if now.mono >= self.shared_resume_at {
            self.shared_resume_at = self.shared_pace.fail(now);
        }
        self.load(now, key, out);
    }

    fn loaded(
        &mut self,
        now: Now,
        ticket: Ticket,
        key: ProductId,
        outcome: Outcome<(Version, Value), Absent>,
        out: &mut Vec<Effect>,
    ) {
        let Some(flight) = answered(&mut self.flights, key, Stage::Loading(ticket)) else { return };
        let is_stale = |version| flight.overtaken || version < flight.floor;
        match outcome {
            Outcome::Done((version, _)) if is_stale(version) => self.load_again(now, key, out),
            Outcome::Done((version, value)) => {
                let asked_at = flight.asked_at.filter(|_| value.len() <= CACHE_VALUE_BYTES_MAX);
                self.land(now.mono, key, version, value.clone(), out);
                out.extend(asked_at.map(|asked_at| Effect::FillShared { key, version, value, asked_at }));
            }
            Outcome::Refused(Absent) if is_stale(Version(0)) => self.load_again(now, key, out),
            Outcome::Refused(Absent) => self.land_empty(now.mono, key, out),
            // A read changes nothing; whoever waits comes again, and finds a pause that grows.
            Outcome::Unknown => self.fail(now, key, out),
        }
    }

    /// A change overtook the load: what it read may have been served already. Whoever waits gets what is read now.
    fn load_again(&mut self, now: Now, key: ProductId, out: &mut Vec<Effect>) {
        let flight = self.flights.row_mut(key).expect("a load belongs to a flight");
        if flight.is_empty() {
            return self.close(key, Answer::NotReady, out);
        }
        if flight.loads >= CACHE_LOADS_MAX {
            return self.fail(now, key, out);
        }
        (flight.stage, flight.until) = (Stage::Pausing, flight.pace.fail(now));
        self.reschedule(key);
    }

    /// Keeps the product and answers everybody. From now on nothing older is served.
    fn land(&mut self, now: Mono, key: ProductId, version: Version, value: Value, out: &mut Vec<Effect>) {
        let (_, flight) = self.flights.row(key).expect("what lands has flown");
        let end = flight.began.after_ms(CACHE_LOCAL_AGE_MS);
        self.floors.raise(key, version, now.after_ms(CACHE_LOCAL_AGE_MS + CACHE_MEMORY_MS), now);
        self.pauses.remove(key);
        self.absent.remove(key);
        if value.len() <= CACHE_VALUE_BYTES_MAX {
            keep(&mut self.products, CACHE_PRODUCTS_MAX, (key, Product { version, value: value.clone() }), end, now);
        }
        self.close(key, Answer::Found { version, value }, out);
    }

    /// Only here, never in the shared cache: that one may not evict, and whoever asks for invented names would fill it.
    fn land_empty(&mut self, now: Mono, key: ProductId, out: &mut Vec<Effect>) {
        let (_, flight) = self.flights.row(key).expect("what lands has flown");
        let end = flight.began.after_ms(CACHE_ABSENT_AGE_MS);
        self.pauses.remove(key);
        self.products.remove(key);
        keep(&mut self.absent, CACHE_ABSENT_MAX, (key, ()), end, now);
        self.close(key, Answer::Absent, out);
    }

    fn fail(&mut self, now: Now, key: ProductId, out: &mut Vec<Effect>) {
        let (_, flight) = self.flights.row(key).expect("what fails has flown");
        let mut pace = flight.pace;
        let resume_at = pace.fail(now);
        let end = resume_at.after_ms(BACKOFF_MS_MAX);
        keep(&mut self.pauses, CACHE_PAUSES_MAX, (key, Pause { resume_at, pace }), end, now.mono);
        self.close(key, Answer::NotReady, out);
    }

    fn close(&mut self, key: ProductId, answer: Answer, out: &mut Vec<Effect>) {
        let flight = self.flights.remove(key).expect("a flight ends once");
        for token in flight.into_callers() {
            self.callers -= 1;
            out.push(Effect::Reply { token, answer: answer.clone() });
        }
    }

    fn filled(&mut self, now: Mono, key: ProductId, outcome: Outcome<(), FillRefusal>) {
        match outcome {
            // As good as its message, which may be on its way or lost.
            Outcome::Refused(FillRefusal::Newer(version)) => self.invalidate(now, key, version),
            // Unknown: what stands there is this version, an older one that it may replace, or a newer one.
            Outcome::Done(()) | Outcome::Refused(FillRefusal::Late) | Outcome::Unknown => {}
        }
    }

    fn invalidate(&mut self, now: Mono, key: ProductId, version: Version) {
        let kept = self.products.row(key).map(|(_, product)| product.version);
        if kept.is_some_and(|kept| kept < version) {
            self.products.remove(key);
        }
        self.absent.remove(key);
        let flight = self.flights.row_mut(key);
        // Of a product that nobody here asked for there is nothing to protect: an import must not fill the memory.
        let concerned = kept.is_some() || flight.is_some() || self.floors.is_known(key, now);
        if let Some(flight) = flight {
            flight.floor = flight.floor.max(version);
        }
        if concerned {
            self.floors.raise(key, version, now.after_ms(CACHE_MEMORY_MS), now);
        }
    }

    fn purge(&mut self) {
        self.products = Expiring::new();
        self.absent = Expiring::new();
        self.flights.rows_mut().for_each(|flight| flight.overtaken = true);
    }

    /// Answers whoever lost patience, and goes on where an answer is overdue or a pause is over.
    fn expire(&mut self, now: Now, out: &mut Vec<Effect>) {
        while let Some((at, key)) = self.flights.first()
            && at <= now.mono
        {
            let flight = self.flights.row_mut(key).expect("what comes first is there");
            // The flight stays: its answer serves whoever comes next, and a second load would not be sooner.
            while let Some(token) = flight.impatient(now.mono) {
                self.callers -= 1;
                out.push(Effect::Reply { token, answer: Answer::NotReady });
            }
            if now.mono < flight.until {
                self.reschedule(key);
                continue;
            }
            match flight.stage {
                Stage::Reading(_) => self.shared_lost(now, key, out),
                Stage::Loading(_) => self.fail(now, key, out),
                Stage::Pausing if flight.is_empty() => self.close(key, Answer::NotReady, out),
                Stage::Pausing => self.load(now, key, out),
            }
        }
    }
}

/// The flight whose open question was answered; an answer to another question is nobody's.
fn answered(flights: &mut Expiring<ProductId, Flight>, key: ProductId, stage: Stage) -> Option<&mut Flight> {
    flights.row_mut(key).filter(|flight| flight.stage == stage)
}

/// Writes a row; of too many, the one that ends first goes.
fn keep<V>(table: &mut Expiring<ProductId, V>, rows_max: usize, row: (ProductId, V), end: Mono, now: Mono) {
    table.expire(now);
    table.insert(row.0, row.1, end);
    if table.len() > rows_max {
        let (_, first) = table.first().expect("a full table has a first row");
        table.remove(first);
    }
}
