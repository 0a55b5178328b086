//! The shared cache, its messages, and the shared rates, over a real server.

mod support;

use doorbuster_core::admission::rate::{Rate, Verdict};
use doorbuster_core::cache::shared::{Document, FillRefusal, Floored};
use doorbuster_core::ids::{ProductId, Version};
use doorbuster_core::outcome::Outcome;
use doorbuster_core::time::Wall;
use doorbuster_redis::cache::SharedCache;
use doorbuster_redis::config::RedisConfig;
use doorbuster_redis::rate::SharedRates;
use doorbuster_redis::subscription::{Notice, listen};
use support::{Server, config, servers};
use tokio::sync::watch;

fn lamp() -> ProductId {
    ProductId::parse("lamp").expect("a name")
}

#[tokio::test]
async fn a_floor_refuses_an_older_fill() {
    let Some(server) = Server::start("the shared cache") else { return };
    let cache = SharedCache::new(servers(config(&server)));
    let Outcome::Done(nothing) = cache.read(lamp()).await else { panic!("a quiet server answers") };
    assert_eq!(nothing.document, None);
    let fill = async |version: u64| cache.fill(lamp(), Version(version), b"bytes"[..].into(), nothing.at).await;
    assert_eq!(fill(4).await, Outcome::Done(()));
    let Outcome::Done(found) = cache.read(lamp()).await else { panic!("a quiet server answers") };
    assert!(matches!(found.document, Some(Document::Filled { version: Version(4), .. })));
    assert_eq!(cache.floor(lamp(), Version(5)).await, Outcome::Done(Floored::Written));
    assert_eq!(cache.floor(lamp(), Version(5)).await, Outcome::Done(Floored::Known));
    assert_eq!(fill(4).await, Outcome::Refused(FillRefusal::Newer(Version(5))));
    let late = cache.fill(lamp(), Version(6), b"bytes"[..].into(), Wall(1)).await;
    assert_eq!(late, Outcome::Refused(FillRefusal::Late));
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
    let servers = servers(RedisConfig { ping_ms: 20, ..config(&server) });
    let (_stop, stopped) = watch::channel(false);
    let mut notices = listen(servers.clone(), stopped);
    assert_eq!(notices.recv().await, Some(Notice::Reconnected), "it begins with a silence");
    let cache = SharedCache::new(servers);
    assert_eq!(cache.announce(lamp(), Version(3)).await, Outcome::Done(()));
    assert_eq!(notices.recv().await, Some(Notice::Invalidated(lamp(), Version(3))));
    server.tell(&["PUBLISH", "cache:invalidated", "noise"]);
    server.tell(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    assert_eq!(notices.recv().await, Some(Notice::Reconnected), "what was told in between is lost");
    assert_eq!(cache.announce(lamp(), Version(4)).await, Outcome::Done(()));
    assert_eq!(notices.recv().await, Some(Notice::Invalidated(lamp(), Version(4))));
}
