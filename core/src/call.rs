//! One question that is asked until it is answered: its ticket, its deadline, its pauses.

use crate::limits::{ANSWER_MS_MAX, BACKOFF_MS_MAX, BACKOFF_MS_MIN};
use crate::machine::Ticket;
use crate::rng::Rng;
use crate::time::Mono;

/// One question of a machine, which has at most one open attempt.
///
/// A new attempt has a new ticket, so the answer to an older one is recognised and dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Call {
    state: State,
    /// Attempts since the last success: they lengthen the pause.
    attempts: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum State {
    Quiet,
    Due(Mono),
    Asked { ticket: Ticket, until: Mono },
}

impl Call {
    /// A question that nobody asks yet.
    pub const QUIET: Call = Call { state: State::Quiet, attempts: 0 };

    /// A question to be asked at `at`.
    pub fn due(at: Mono) -> Call {
        Call { state: State::Due(at), attempts: 0 }
    }

    /// Whether it is to be asked now: due, or its answer is overdue. The lost attempt is then as good as `Unknown`.
    pub fn is_due(&self, now: Mono) -> bool {
        match self.state {
            State::Quiet => false,
            State::Due(at) => at <= now,
            State::Asked { until, .. } => until <= now,
        }
    }

    /// Whether an attempt is open.
    pub fn is_asked(&self) -> bool {
        match self.state {
            State::Quiet | State::Due(_) => false,
            State::Asked { .. } => true,
        }
    }

    /// Whether nothing is to be asked and nothing is open.
    pub fn is_quiet(&self) -> bool {
        self.state == State::Quiet
    }

    /// Notes that an attempt begins under this ticket, and returns the ticket.
    pub fn ask(&mut self, now: Mono, ticket: Ticket) -> Ticket {
        self.state = State::Asked { ticket, until: now.after_ms(ANSWER_MS_MAX) };
        ticket
    }

    /// Takes an answer: `true`, and the call is quiet, if it is the open attempt's.
    pub fn take(&mut self, answered: Ticket) -> bool {
        match self.state {
            State::Asked { ticket, .. } if ticket == answered => {
                self.state = State::Quiet;
                true
            }
            State::Asked { .. } | State::Quiet | State::Due(_) => false,
        }
    }

    /// Asks again after a pause that doubles with each attempt; half of it is drawn, so that many do not come at once.
    pub fn retry(&mut self, now: Mono, rng: &mut Rng) {
        let doubled = BACKOFF_MS_MIN << self.attempts.min(16);
        let pause_ms = doubled.min(BACKOFF_MS_MAX);
        self.attempts = self.attempts.saturating_add(1);
        self.state = State::Due(now.after_ms(pause_ms / 2 + rng.below(pause_ms / 2 + 1)));
    }

    /// After a success: to be asked again at `at`.
    pub fn again_at(&mut self, at: Mono) {
        *self = Call::due(at);
    }

    /// To be asked at `at` if nothing is open or due sooner.
    pub fn wish(&mut self, at: Mono) {
        match self.state {
            State::Quiet => self.state = State::Due(at),
            State::Due(earlier) => self.state = State::Due(earlier.min(at)),
            State::Asked { .. } => {}
        }
    }

    /// After a success: nothing more to ask. The answer to an open attempt will be dropped.
    pub fn rest(&mut self) {
        *self = Call::QUIET;
    }

    /// When it must be looked at again.
    pub fn wake_at(&self) -> Option<Mono> {
        match self.state {
            State::Quiet => None,
            State::Due(at) => Some(at),
            State::Asked { until, .. } => Some(until),
        }
    }
}

/// The earliest of these times, with its reason.
pub fn earliest(times: impl IntoIterator<Item = (Option<Mono>, &'static str)>) -> Option<(Mono, &'static str)> {
    times.into_iter().filter_map(|(at, why)| at.map(|at| (at, why))).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_attempts_answer_is_dropped() {
        let mut call = Call::due(Mono(0));
        let mut tickets = Ticket::default();
        let first = call.ask(Mono(0), tickets.advance());
        let later = Mono(0).after_ms(ANSWER_MS_MAX);
        assert!(!call.is_due(Mono(1)));
        assert!(call.is_due(later), "a lost answer is asked for again");
        let second = call.ask(later, tickets.advance());
        assert!(!call.take(first));
        assert!(call.take(second));
        assert!(!call.take(second), "an answer counts once");
    }

    #[test]
    fn pauses_grow_and_are_bounded() {
        let (mut call, mut rng) = (Call::QUIET, Rng::seeded(7));
        let mut floor_ms = 0;
        for _ in 0..100 {
            call.retry(Mono(0), &mut rng);
            let pause_ms = call.wake_at().unwrap().0 / 1000;
            assert!(pause_ms >= floor_ms && pause_ms <= BACKOFF_MS_MAX);
            floor_ms = (pause_ms / 2).min(BACKOFF_MS_MAX / 2);
        }
        assert!(floor_ms >= BACKOFF_MS_MAX / 4);
    }
}
