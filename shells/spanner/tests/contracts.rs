//! The ports over a real server, held to their contracts.

mod support;

use doorbuster_runtime::contract::{StoreAndChanges, Subject, changes_contract, leases_contract, store_contract};
use doorbuster_runtime::ports::leases::Leases;
use doorbuster_spanner::changes::SpannerChanges;
use doorbuster_spanner::leases::SpannerLeases;
use std::sync::Arc;
use support::database;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rows_keep_the_contract_of_the_database() {
    let Some(database) = database("contracts").await else { return };
    let make = async || Subject { port: database.store(), clock: database.clock(), keep: Box::new(()) };
    store_contract(make).await;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stream_keeps_the_contract_of_the_outboxs_changes() {
    let Some(database) = database("contracts").await else { return };
    let make = async || {
        let changes = Arc::new(SpannerChanges::new(database.connection.clone()));
        let port = StoreAndChanges { store: database.store(), changes };
        Subject { port, clock: database.clock(), keep: Box::new(()) }
    };
    changes_contract(make).await;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rows_keep_the_contract_of_forwarders_leases() {
    let Some(database) = database("contracts").await else { return };
    let make = async || {
        let port: Arc<dyn Leases> = Arc::new(SpannerLeases::new(database.connection.clone()));
        Subject { port, clock: database.clock(), keep: Box::new(()) }
    };
    leases_contract(make).await;
    database.drop().await;
}
