//! The rows, held to the contract of the database.

mod support;

use doorbuster_runtime::contract::{Start, store_contract};
use doorbuster_runtime::ports::store::Store;
use std::sync::Arc;
use support::Directories;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_rows_keep_the_contract_of_the_database() {
    let directories = Directories::default();
    store_contract(async || directories.subject(Start::Fresh, |own| Arc::new(own.rows.clone()) as Arc<dyn Store>))
        .await;
}
