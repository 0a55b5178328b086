//! The contract of the cache that all processes share, and of the channel of changes.

use super::Subject;
use super::world::certain;
use crate::ports::cache::{Listen, Notice, SharedCache};
use doorbuster_core::cache::shared::{Document, FillRefusal, Floored, Found};
use doorbuster_core::ids::{ProductId, Version};
use doorbuster_core::limits::CACHE_FILL_MS;
use doorbuster_core::time::Wall;
use std::sync::Arc;
use tokio::sync::watch;

/// Announcements of one change until a listener has heard it: each may be lost.
const TOLD_MAX: usize = 20;

/// One cache and one product of its own.
struct Case<'a> {
    cache: &'a dyn SharedCache,
    key: ProductId,
}

/// Holds a shared cache to [`SharedCache`]'s contract.
///
/// # Panics
/// With the sentence that was broken.
pub async fn shared_cache_contract(make: impl AsyncFn() -> Subject<Arc<dyn SharedCache>>) {
    let subject = make().await;
    let case = |name| Case { cache: subject.port.as_ref(), key: product(name) };
    case("lamp").a_product_is_read_as_it_was_filled().await;
    case("chair").a_floor_refuses_what_is_older_and_takes_its_own_version().await;
    case("desk").a_fill_names_a_time_of_the_server_that_is_not_long_past().await;
    many_floors_are_written_at_once(subject.port.as_ref()).await;
    case("vase").whoever_listens_hears_of_a_silence_first_and_then_of_changes().await;
}

fn product(name: &str) -> ProductId {
    ProductId::parse(name).expect("a suite names a product")
}

impl Case<'_> {
    async fn read(&self) -> Found {
        let Ok(found) = certain(async || self.cache.read(self.key).await).await;
        found
    }

    async fn version(&self) -> Option<Version> {
        self.read().await.document.map(|document| document.version())
    }

    async fn fill(&self, version: u64, asked_at: Wall) -> Result<(), FillRefusal> {
        let value = || version.to_be_bytes().into();
        certain(async || self.cache.fill(self.key, Version(version), value(), asked_at).await).await
    }

    async fn floor(&self, version: u64) -> Floored {
        let floored = certain(async || self.cache.floor(vec![(self.key, Version(version))]).await).await;
        let floored = floored.expect("the cache can be asked");
        assert_eq!(floored.len(), 1, "one answer per floor");
        floored[0]
    }

    async fn a_product_is_read_as_it_was_filled(&self) {
        let nothing = self.read().await;
        assert_eq!(nothing.document, None, "nothing stands under a new name");
        assert_eq!(self.fill(3, nothing.at).await, Ok(()));
        let found = self.read().await;
        assert!(found.at >= nothing.at, "the server's clock goes on");
        let Some(Document::Filled { version, value, filled_at }) = found.document else {
            panic!("a filled product is read, not {:?}", found.document)
        };
        assert_eq!((version, &value[..]), (Version(3), &3_u64.to_be_bytes()[..]));
        assert!(nothing.at <= filled_at && filled_at <= found.at, "it was filled between the two reads");
        assert_eq!(self.fill(2, nothing.at).await, Err(FillRefusal::Newer(Version(3))), "a fill never goes back");
        assert_eq!(self.fill(3, nothing.at).await, Ok(()), "the same version changes nothing");
    }

    async fn a_floor_refuses_what_is_older_and_takes_its_own_version(&self) {
        let asked_at = self.read().await.at;
        assert_eq!(self.fill(4, asked_at).await, Ok(()));
        self.floor(5).await;
        assert_eq!(self.read().await.document, Some(Document::Floor { version: Version(5) }));
        assert_eq!(self.floor(5).await, Floored::Known, "told again");
        assert_eq!(self.floor(4).await, Floored::Known, "told late");
        assert_eq!(self.fill(4, asked_at).await, Err(FillRefusal::Newer(Version(5))));
        assert_eq!(self.fill(5, asked_at).await, Ok(()), "what was loaded is the change");
        assert_eq!(self.floor(5).await, Floored::Known, "the product is as new as its floor");
        assert_eq!(self.version().await, Some(Version(5)));
    }

    async fn a_fill_names_a_time_of_the_server_that_is_not_long_past(&self) {
        let now = self.read().await.at;
        let long_past = Wall(now.0 - CACHE_FILL_MS - 1);
        assert_eq!(self.fill(1, long_past).await, Err(FillRefusal::Late), "a floor may have come and gone");
        let to_come = now.after_ms(CACHE_FILL_MS);
        assert_eq!(self.fill(1, to_come).await, Err(FillRefusal::Late), "no server has told that time");
        assert_eq!(self.version().await, None, "a late fill writes nothing");
    }

    async fn whoever_listens_hears_of_a_silence_first_and_then_of_changes(&self) {
        let (_stop, stopped) = watch::channel(false);
        let mut first = self.cache.listen(stopped.clone());
        let mut second = self.cache.listen(stopped);
        for listener in [&mut first, &mut second] {
            assert_eq!(listener.next().await, Some(Notice::Reconnected), "it begins with a silence");
        }
        for version in 0..TOLD_MAX as u64 {
            self.floor(7 + version).await;
            let change = vec![(self.key, Version(7 + version))];
            certain(async || self.cache.announce(change.clone()).await).await.expect("the cache can be asked");
        }
        self.hears(first.as_mut()).await;
        self.hears(second.as_mut()).await;
    }

    async fn hears(&self, listener: &mut dyn Listen) {
        loop {
            match listener.next().await.expect("nobody has told it to stop") {
                Notice::Invalidated(product, version) => {
                    assert_eq!(product, self.key, "only what was announced is heard");
                    return assert!(version >= Version(7), "only what was announced is heard");
                }
                // A subscription that was made anew: the next message comes.
                Notice::Reconnected => {}
            }
        }
    }
}

async fn many_floors_are_written_at_once(cache: &dyn SharedCache) {
    let changes: Vec<(ProductId, Version)> =
        (0..20).map(|number| (product(&format!("many-{number}")), Version(2 + number))).collect();
    let floored = certain(async || cache.floor(changes.clone()).await).await.expect("the cache can be asked");
    assert_eq!(floored.len(), changes.len(), "one answer per floor");
    for (product, version) in changes {
        let Ok(found) = certain(async || cache.read(product).await).await;
        assert_eq!(found.document, Some(Document::Floor { version }), "every floor stands");
    }
}
