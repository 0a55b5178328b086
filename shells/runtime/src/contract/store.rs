//! The contract of the database.

mod concurrency;
mod due;
mod rows;

use super::Subject;
use crate::ports::store::Store;
use std::sync::Arc;

/// Holds a database to [`Store`]'s contract. One subject serves all cases: each has a sale of its own.
///
/// # Panics
/// With the sentence that was broken.
pub async fn store_contract(make: impl AsyncFn() -> Subject<Arc<dyn Store>>) {
    let subject = make().await;
    let (store, clock) = (&subject.port, subject.clock.as_ref());
    rows::what_was_written_is_read(store.as_ref()).await;
    rows::a_command_can_be_repeated(store.as_ref()).await;
    rows::a_refusal_writes_nothing(store.as_ref()).await;
    rows::products_come_page_by_page(store.as_ref()).await;
    rows::orders_come_page_by_page(store.as_ref()).await;
    due::the_index_is_in_the_order_of_time(store.as_ref()).await;
    due::the_index_follows_its_orders(store.as_ref()).await;
    due::expiry_goes_by_the_databases_clock(store.as_ref(), clock).await;
    concurrency::a_snapshot_stands_still(store).await;
    concurrency::concurrent_commands_are_serialisable(store).await;
    concurrency::money_and_cancel_have_one_winner(store).await;
}
