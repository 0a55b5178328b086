//! The shared cache's model: what one call of its scripts means.
//!
//! Every time is the server's. A document ends with the millisecond after its last, as a Redis key does.

use super::Value;
use crate::ids::{ProductId, Version};
use crate::limits::{CACHE_FILL_MS, CACHE_FLOOR_MS, CACHE_SHARED_AGE_MS};
use crate::time::Wall;
use std::collections::BTreeMap;

/// One server's documents. Bounded by their ages: a product has one, and an invented name has none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SharedCache {
    documents: BTreeMap<ProductId, Kept>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Kept {
    document: Document,
    last_at: Wall,
}

/// What stands under a key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Document {
    /// The product at this version.
    Filled {
        /// Of the row.
        version: Version,
        /// The product.
        value: Value,
        /// When it was written.
        filled_at: Wall,
    },
    /// Nothing, and nothing older than this version may come.
    Floor {
        /// Of the change.
        version: Version,
    },
}

/// The answer to a read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Found {
    /// The server's clock, read no later than the document: the fill that may follow names it.
    pub at: Wall,
    /// What stood there.
    pub document: Option<Document>,
}

/// Why a fill wrote nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FillRefusal {
    /// A newer version, or the floor of one, stands there: this one.
    Newer(Version),
    /// Its reader asked too long ago, or after now by a clock that has stepped: a floor may have ended in between.
    Late,
}

/// What a call for a floor did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Floored {
    /// The floor stands.
    Written,
    /// Something at least as new stood there: nothing changed.
    Known,
}

impl Document {
    /// What it holds, or demands at least.
    pub fn version(&self) -> Version {
        match self {
            Document::Filled { version, .. } | Document::Floor { version } => *version,
        }
    }
}

impl SharedCache {
    /// What stands under the key.
    pub fn read(&self, key: ProductId, now: Wall) -> Found {
        Found { at: now, document: self.standing(key, now).cloned() }
    }

    /// Writes the product, unless something newer stands there. `asked_at` is the `at` of the read that found nothing
    /// to serve, before the load began.
    ///
    /// A floor of the same version gives way: what was loaded is the change that it was written for.
    pub fn fill(
        &mut self,
        key: ProductId,
        version: Version,
        value: Value,
        asked_at: Wall,
        now: Wall,
    ) -> Result<(), FillRefusal> {
        if now < asked_at || now > asked_at.after_ms(CACHE_FILL_MS) {
            return Err(FillRefusal::Late);
        }
        if let Some(standing) = self.standing(key, now)
            && standing.version() > version
        {
            return Err(FillRefusal::Newer(standing.version()));
        }
        let document = Document::Filled { version, value, filled_at: now };
        self.documents.insert(key, Kept { document, last_at: now.after_ms(CACHE_SHARED_AGE_MS) });
        Ok(())
    }

    /// Writes the floor of a committed change. Told again, or late, it changes nothing: loads older than a change end
    /// by the first floor that was written for it.
    pub fn floor(&mut self, key: ProductId, version: Version, now: Wall) -> Floored {
        if self.standing(key, now).is_some_and(|standing| standing.version() >= version) {
            return Floored::Known;
        }
        let document = Document::Floor { version };
        self.documents.insert(key, Kept { document, last_at: now.after_ms(CACHE_FLOOR_MS) });
        Floored::Written
    }

    /// Drops what has ended. No answer changes.
    pub fn expire(&mut self, now: Wall) {
        self.documents.retain(|_, kept| now <= kept.last_at);
    }

    /// Everything that stands, by key, with the last millisecond in which it does.
    pub fn documents(&self, now: Wall) -> impl Iterator<Item = (ProductId, &Document, Wall)> {
        let standing = self.documents.iter().filter(move |(_, kept)| now <= kept.last_at);
        standing.map(|(key, kept)| (*key, &kept.document, kept.last_at))
    }

    fn standing(&self, key: ProductId, now: Wall) -> Option<&Document> {
        self.documents.get(&key).filter(|kept| now <= kept.last_at).map(|kept| &kept.document)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: Wall = Wall(1_000);

    fn key() -> ProductId {
        ProductId::parse("lamp").unwrap()
    }

    fn fill(cache: &mut SharedCache, version: u64, now: Wall) -> Result<(), FillRefusal> {
        cache.fill(key(), Version(version), Value::from(version.to_be_bytes()), ASKED, now)
    }

    #[test]
    fn a_floor_refuses_what_is_older_and_takes_its_own_version() {
        let mut cache = SharedCache::default();
        assert_eq!(fill(&mut cache, 4, ASKED), Ok(()));
        assert_eq!(cache.floor(key(), Version(5), ASKED), Floored::Written);
        assert_eq!(cache.floor(key(), Version(5), Wall(1_001)), Floored::Known, "told again");
        assert_eq!(cache.floor(key(), Version(4), Wall(1_001)), Floored::Known, "told late");
        assert_eq!(fill(&mut cache, 4, Wall(1_001)), Err(FillRefusal::Newer(Version(5))));
        assert_eq!(fill(&mut cache, 5, Wall(1_002)), Ok(()));
        assert_eq!(fill(&mut cache, 4, Wall(1_003)), Err(FillRefusal::Newer(Version(5))), "by the value itself");
        assert_eq!(cache.floor(key(), Version(5), Wall(1_004)), Floored::Known, "the value is as new");
    }

    #[test]
    fn a_fill_that_comes_late_is_refused_though_its_floor_has_ended() {
        let mut cache = SharedCache::default();
        cache.floor(key(), Version(5), ASKED);
        let (last, ended) = (ASKED.after_ms(CACHE_FLOOR_MS), ASKED.after_ms(CACHE_FLOOR_MS + 1));
        assert!(cache.read(key(), last).document.is_some());
        assert_eq!(cache.read(key(), ended).document, None);
        assert_eq!(fill(&mut cache, 4, ended), Err(FillRefusal::Late));
        assert_eq!(fill(&mut cache, 6, ASKED.after_ms(CACHE_FILL_MS + 1)), Err(FillRefusal::Late));
        assert_eq!(fill(&mut cache, 6, Wall(999)), Err(FillRefusal::Late), "the clock stepped back");
        assert_eq!(fill(&mut cache, 6, ASKED.after_ms(CACHE_FILL_MS)), Ok(()));
    }

    #[test]
    fn a_value_ends_with_its_age() {
        let mut cache = SharedCache::default();
        fill(&mut cache, 1, ASKED).unwrap();
        let last = ASKED.after_ms(CACHE_SHARED_AGE_MS);
        assert_eq!(cache.documents(last).count(), 1);
        cache.expire(last);
        assert_eq!(cache.read(key(), last).document.map(|document| document.version()), Some(Version(1)));
        cache.expire(Wall(last.0 + 1));
        assert_eq!(cache, SharedCache::default());
    }
}
