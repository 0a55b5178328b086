//! The outbox does not grow for ever, and forgets nothing that somebody still has to read.

mod support;

use doorbuster_core::database::command::Command;
use doorbuster_core::database::event::{Event, Topic};
use doorbuster_core::database::rows::ProductRow;
use doorbuster_core::ids::{ProductId, Version};
use doorbuster_core::outcome::Outcome;
use doorbuster_core::sale::command::SaleCommand;
use doorbuster_embedded::rows::RowsFeed;
use doorbuster_runtime::ports::feed::Feed;
use doorbuster_runtime::ports::store::Store;
use doorbuster_runtime::ports::{Offset, Partition};

const READERS: [(&str, Topic); 2] = [("fast", Topic::Catalog), ("slow", Topic::Catalog)];
const EVENTS: u64 = 40;

fn product(number: u64) -> Command {
    let id = ProductId::parse(&format!("p-{number}")).unwrap();
    let (name, category, image_url) = ("A lamp".to_owned(), "Home".to_owned(), String::new());
    Command::Sale(SaleCommand::PutProducts(vec![ProductRow { id, name, category, image_url, version: Version(0) }]))
}

/// Offsets that can still be read from the beginning.
fn readable(feed: &RowsFeed) -> Vec<u64> {
    let found = feed.read(Topic::Catalog, Offset(1), 1000).unwrap();
    assert!(found.iter().all(|(_, event)| matches!(event, Event::CatalogChanged { .. })));
    found.into_iter().map(|(offset, _)| offset.0).collect()
}

async fn commit(feed: &impl Feed, group: &'static str, next: u64) {
    let committed = feed.join(group, Topic::Catalog).commit(Partition(0), Offset(next)).await;
    assert_eq!(committed, Outcome::Done(()));
}

#[tokio::test(start_paused = true)]
async fn what_the_slowest_reader_has_dealt_with_goes_and_the_end_stays_over_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let own = support::embed(directory.path(), 1);
    for number in 0..EVENTS {
        assert!(matches!(own.rows.apply(product(number)).await, Outcome::Done(_)));
    }
    own.feed.trim(&READERS).await.unwrap();
    own.rows.apply(product(0)).await;
    assert_eq!(readable(&own.feed), (1..=EVENTS + 1).collect::<Vec<_>>(), "nobody has dealt with anything");

    commit(&own.feed, "fast", EVENTS + 2).await;
    commit(&own.feed, "slow", 20).await;
    // A commit and a trim wait for nobody; a command behind them does.
    own.rows.apply(product(0)).await;
    own.feed.trim(&READERS).await.unwrap();
    own.rows.apply(product(0)).await;
    assert_eq!(readable(&own.feed), (20..=EVENTS + 3).collect::<Vec<_>>());

    commit(&own.feed, "slow", EVENTS + 4).await;
    own.rows.apply(product(0)).await;
    own.feed.trim(&READERS).await.unwrap();
    own.rows.apply(product(0)).await;
    let left = readable(&own.feed);
    assert_eq!(*left.last().unwrap(), EVENTS + 5);
    drop(own);

    let own = support::embed(directory.path(), 2);
    own.rows.apply(product(0)).await;
    assert_eq!(*readable(&own.feed).last().unwrap(), EVENTS + 6, "offsets go on where they were");
}
