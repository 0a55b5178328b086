//! Messages of changes and the shared rates, over a real server.

mod support;

use doorbuster_core::admission::rate::{Rate, Verdict};
use doorbuster_core::ids::{ProductId, Version};
use doorbuster_core::outcome::Outcome;
use doorbuster_redis::cache::RedisSharedCache;
use doorbuster_redis::config::RedisConfig;
use doorbuster_redis::rate::SharedRates;
use doorbuster_runtime::ports::cache::{Notice, SharedCache};
use support::{Server, config, servers};
use tokio::sync::watch;

fn lamp() -> ProductId {
    ProductId::parse("lamp").expect("a name")
}

#[tokio::test]
async fn a_burst_is_taken_and_what_follows_is_refused() {
    let Some(server) = Server::start("the shared rates") else { return };
    let rates = SharedRates::new(servers(config(&server)));
    let rate = Rate { per_second: 1, burst: 2 };
    let mut taken = 0;
    for _ in 0..4 {
        match rates.count("somebody", rate).await {
            Outcome::Done(Verdict::Allow { .. }) => taken += 1,
            Outcome::Done(Verdict::Refuse { retry_after_ms }) => assert!(retry_after_ms > 0),
            other => panic!("a quiet server answers, not {other:?}"),
        }
    }
    assert!((2..4).contains(&taken), "{taken} of 4 were taken");
}

#[tokio::test]
async fn a_listener_hears_changes_and_of_every_silence() {
    let Some(server) = Server::start("the listener") else { return };
    let cache = RedisSharedCache::new(servers(RedisConfig { ping_ms: 20, ..config(&server) }));
    let (_stop, stopped) = watch::channel(false);
    let mut notices = cache.listen(stopped);
    assert_eq!(notices.next().await, Some(Notice::Reconnected), "it begins with a silence");
    assert_eq!(cache.announce(vec![(lamp(), Version(3))]).await, Outcome::Done(()));
    assert_eq!(notices.next().await, Some(Notice::Invalidated(lamp(), Version(3))));
    server.tell(&["PUBLISH", "cache:invalidated", "noise"]);
    server.tell(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    assert_eq!(notices.next().await, Some(Notice::Reconnected), "what was told in between is lost");
    assert_eq!(cache.announce(vec![(lamp(), Version(4))]).await, Outcome::Done(()));
    assert_eq!(notices.next().await, Some(Notice::Invalidated(lamp(), Version(4))));
}
