//! The server's thread, held to the contract of the shards' servers.

mod support;

use doorbuster_runtime::contract::{Start, ledger_contract};
use doorbuster_runtime::ports::ledger::Ledger;
use std::sync::Arc;
use support::Directories;

#[tokio::test]
async fn the_thread_keeps_the_contract_of_the_shards_servers() {
    let directories = Directories::default();
    let make = async || directories.subject(Start::Fresh, |own| Arc::new(own.ledger.clone()) as Arc<dyn Ledger>);
    ledger_contract(make).await;
}
