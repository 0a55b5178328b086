//! Calls of the delay queue and of the shared cache.

use super::Generator;
use crate::call::Call;
use crate::model::Model;
use doorbuster_core::delay::queue::{Completion, Task, Token};
use doorbuster_core::ids::Version;
use doorbuster_core::time::Wall;

impl Generator {
    pub(super) fn of_delay(&mut self, model: &Model, now: Wall) -> Call {
        match self.rng.below(10) {
            0..4 => self.schedule(now),
            4..7 => Call::DelayClaim {
                limit: 1 + self.rng.below(5) as usize,
                token: Token(self.rng.draw()),
                lease_ms: [0, 0, 1, 60_000][self.rng.below(4) as usize],
            },
            7..9 => self.complete(model),
            _ => Call::DelayRecover(1 + self.rng.below(4) as usize),
        }
    }

    pub(super) fn of_cache(&mut self, now: Wall) -> Call {
        if self.chance(60) {
            return self.cast.fill(&mut self.rng, now);
        }
        let product = self.cast.product(&mut self.rng);
        Call::CacheFloor(product, Version(1 + self.rng.below(5)))
    }

    fn schedule(&mut self, now: Wall) -> Call {
        let count = 1 + self.rng.below(5);
        let task = |generator: &mut Generator| Task {
            order: generator.cast.order(&mut generator.rng),
            version: Version(1 + generator.rng.below(6)),
            due: Wall(now.0.saturating_sub(500) + generator.rng.below(600)),
        };
        Call::DelaySchedule((0..count).map(|_| task(self)).collect())
    }

    /// Claims as they stand mostly, else with a token that is not theirs.
    fn complete(&mut self, model: &Model) -> Call {
        let tasks: Vec<_> = model.queue.tasks().collect();
        let count = 1 + self.rng.below(4);
        let completion = |generator: &mut Generator| {
            let known = tasks.get(generator.rng.below(tasks.len() as u64 + 1) as usize);
            let (order, token) = match known {
                Some((order, _, token)) => (*order, *token),
                None => (generator.cast.order(&mut generator.rng), None),
            };
            let token = token.filter(|_| !generator.chance(10)).unwrap_or(Token(7));
            let again_ms = generator.chance(40).then(|| generator.rng.below(3));
            Completion { order, token, again_ms }
        };
        Call::DelayComplete((0..count).map(|_| completion(self)).collect())
    }
}
