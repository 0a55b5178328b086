//! The log, held to the contract of intents.

mod support;

use doorbuster_runtime::contract::{LedgerAndIntents, intents_contract};
use std::sync::Arc;
use support::Directories;

#[tokio::test(start_paused = true)]
async fn the_log_keeps_the_contract_of_intents() {
    let directories = Directories::default();
    let make = async |start| {
        directories.subject(start, |own| LedgerAndIntents {
            ledger: Arc::new(own.ledger.clone()),
            intents: Arc::new(own.intents.clone()),
            drain: Arc::new(own.intents.clone()),
        })
    };
    intents_contract(make).await;
}
