use std::collections::{BTreeMap, BTreeSet};

use crate::hosts::redis::Bytes;

/// A member's score; never NaN. Negative zero equals zero, as in the C comparison.
#[derive(Clone, Copy, Debug)]
pub struct Score(pub f64);

/// Members ordered by score, then by their bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SortedSet {
    scores: BTreeMap<Bytes, Score>,
    order: BTreeSet<(Score, Bytes)>,
}

/// One end of a range of scores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoreBound {
    /// The score at the end.
    pub score: f64,
    /// Whether that score itself is outside.
    pub exclusive: bool,
}

impl Score {
    fn canonical(self) -> f64 {
        if self.0 == 0.0 { 0.0 } else { self.0 }
    }
}

impl PartialEq for Score {
    fn eq(&self, other: &Score) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Score {}

impl PartialOrd for Score {
    fn partial_cmp(&self, other: &Score) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Score {
    fn cmp(&self, other: &Score) -> std::cmp::Ordering {
        self.canonical().total_cmp(&other.canonical())
    }
}

impl SortedSet {
    /// Gives `member` the score.
    pub fn insert(&mut self, member: Bytes, score: f64) {
        if let Some(before) = self.scores.insert(member.clone(), Score(score)) {
            self.order.remove(&(before, member.clone()));
        }
        self.order.insert((Score(score), member));
    }

    /// Takes `member` out; whether it was there.
    pub fn remove(&mut self, member: &[u8]) -> bool {
        let Some((member, score)) = self.scores.remove_entry(member) else { return false };
        self.order.remove(&(score, member));
        true
    }

    /// The score of `member`.
    pub fn score(&self, member: &[u8]) -> Option<f64> {
        self.scores.get(member).map(|score| score.0)
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.scores.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.scores.is_empty()
    }

    /// All members in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&Bytes, f64)> {
        self.order.iter().map(|(score, member)| (member, score.0))
    }

    /// The members whose scores lie between the two bounds, in order.
    pub fn between(&self, from: ScoreBound, to: ScoreBound) -> impl DoubleEndedIterator<Item = (&Bytes, f64)> {
        let start = (Score(from.score), Bytes::new());
        let inside = move |score: f64| {
            let above = if from.exclusive { score > from.score } else { score >= from.score };
            let below = if to.exclusive { score < to.score } else { score <= to.score };
            above && below
        };
        // The upper end has no largest member to name, so it is a condition and not a bound of the search.
        let beyond = move |score: f64| score > to.score;
        let reached: Vec<(&Bytes, f64)> = self
            .order
            .range(start..)
            .map(|(score, member)| (member, score.0))
            .take_while(move |(_, score)| !beyond(*score))
            .filter(move |(_, score)| inside(*score))
            .collect();
        reached.into_iter()
    }
}
