//! What a process remembers of versions after the values are gone, so that it never serves an older one.

use super::expiring::Expiring;
use crate::ids::{ProductId, Version};
use crate::limits::CACHE_VERSIONS_MAX;
use crate::time::Mono;

/// Per product, the least version that may still be served: the last one served, or that of a change heard of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Floors {
    versions: Expiring<ProductId, Version>,
    /// Until then, a floor that had to go before its end would have stood.
    forgotten_until: Mono,
}

impl Floors {
    pub fn new() -> Floors {
        Floors { versions: Expiring::new(), forgotten_until: Mono(0) }
    }

    /// The least version to serve; 0 when nothing is known.
    pub fn of(&self, key: ProductId, now: Mono) -> Version {
        self.versions.find(key, now).copied().unwrap_or_default()
    }

    pub fn is_known(&self, key: ProductId, now: Mono) -> bool {
        self.versions.find(key, now).is_some()
    }

    /// Whether the shared cache may be believed about this product: either its floor is known, or it has none.
    ///
    /// A load from the database may always be: it is at least as new as anything that was served before it began.
    pub fn can_judge(&self, key: ProductId, now: Mono) -> bool {
        now >= self.forgotten_until || self.is_known(key, now)
    }

    /// Nothing below `version` is served until `end`.
    pub fn raise(&mut self, key: ProductId, version: Version, end: Mono, now: Mono) {
        self.versions.expire(now);
        let (end, version) = match self.versions.row(key) {
            Some((former, known)) => (former.max(end), version.max(*known)),
            None => (end, version),
        };
        self.versions.insert(key, version, end);
        if self.versions.len() > CACHE_VERSIONS_MAX {
            let (end, key) = self.versions.first().expect("a full table has a first row");
            self.versions.remove(key);
            self.forgotten_until = self.forgotten_until.max(end);
        }
    }

    pub fn check(&self) {
        assert!(self.versions.len() <= CACHE_VERSIONS_MAX, "S20: remembered versions are bounded");
        assert!(self.versions.is_whole(), "a floor has one end");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> ProductId {
        ProductId::parse(&number.to_string()).unwrap()
    }

    #[test]
    fn a_floor_only_rises_and_ends() {
        let mut floors = Floors::new();
        floors.raise(key(1), Version(5), Mono(100), Mono(0));
        floors.raise(key(1), Version(3), Mono(90), Mono(0));
        assert_eq!((floors.of(key(1), Mono(99)), floors.of(key(1), Mono(100))), (Version(5), Version(0)));
        assert!(floors.can_judge(key(1), Mono(100)), "one that ended in time leaves no doubt");
    }

    #[test]
    fn a_floor_that_had_to_go_leaves_doubt_until_its_end() {
        let mut floors = Floors::new();
        for number in 0..=CACHE_VERSIONS_MAX {
            floors.raise(key(number), Version(1), Mono(100 + number as u64), Mono(0));
            floors.check();
        }
        assert!(!floors.is_known(key(0), Mono(0)));
        assert!(!floors.can_judge(key(0), Mono(99)) && !floors.can_judge(key(CACHE_VERSIONS_MAX + 1), Mono(99)));
        assert!(floors.can_judge(key(1), Mono(99)) && floors.can_judge(key(0), Mono(100)));
    }
}
