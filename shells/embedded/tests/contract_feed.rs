//! The outbox, held to the contract of a feed.

mod support;

use doorbuster_runtime::contract::{StoreAndFeed, feed_contract};
use std::sync::Arc;
use support::Directories;

#[tokio::test(start_paused = true)]
async fn the_outbox_keeps_the_contract_of_a_feed() {
    let directories = Directories::default();
    let make = async |start| {
        directories
            .subject(start, |own| StoreAndFeed { store: Arc::new(own.rows.clone()), feed: Arc::new(own.feed.clone()) })
    };
    feed_contract(make).await;
}
