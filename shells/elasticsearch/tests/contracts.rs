//! The port over a real server, held to its contract.

mod support;

use doorbuster_runtime::contract::{SearchAndShown, Subject, search_contract};
use doorbuster_runtime::env::SystemEnv;
use std::sync::Arc;
use support::{Index, Looked, RefreshClock};

#[tokio::test]
async fn the_index_keeps_its_contract() {
    const TEST: &str = "the_index_keeps_its_contract";
    if Index::bare(TEST).is_none() {
        return;
    }
    search_contract(async || {
        let index = Index::make(TEST).await.expect("there was a server");
        let port = SearchAndShown { search: index.search.clone(), shown: Arc::new(Looked(index.shown.clone())) };
        let clock = RefreshClock { index, env: SystemEnv::shared() };
        Subject { port, clock: Arc::new(clock), keep: Box::new(()) }
    })
    .await;
}
