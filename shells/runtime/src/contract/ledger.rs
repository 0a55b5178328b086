//! The contract of the shards' servers: rules 1, 5, 6 and 7, the fences, and the server's side of the ladder.

mod down;
mod fences;
mod ladder;
mod reserving;

use super::Subject;
use crate::ports::ledger::Ledger;
use std::sync::Arc;

/// Holds shards' servers to [`Ledger`]'s contract. One subject serves all cases: each has a shard of its own.
///
/// # Panics
/// With the sentence that was broken.
pub async fn ledger_contract(make: impl AsyncFn() -> Subject<Arc<dyn Ledger>>) {
    let subject = make().await;
    let ledger = subject.port.as_ref();
    ladder::a_memory_answers_only_when_it_is_whole(ledger).await;
    ladder::a_load_is_taken_once_and_in_order(ledger).await;
    ladder::a_load_that_does_not_add_up_is_not_opened(ledger).await;
    ladder::a_later_epoch_is_loaded_over_an_earlier_one(ledger).await;
    ladder::what_was_loaded_is_replayed(ledger).await;
    reserving::the_same_key_gets_the_same_answer(ledger).await;
    reserving::a_key_twice_in_one_batch_is_taken_once(ledger).await;
    reserving::a_basket_is_taken_whole_or_not_at_all(ledger).await;
    reserving::the_order_of_the_checks_is_kept(ledger).await;
    reserving::a_ninth_key_is_refused(ledger).await;
    reserving::outside_of_its_window_nothing_is_sold(ledger).await;
    reserving::entries_are_numbered_without_a_gap(ledger).await;
    reserving::calls_of_one_caller_are_applied_in_order(ledger).await;
    reserving::stopped_sells_nothing_and_remembers_everything(ledger).await;
    fences::a_foreign_fence_changes_nothing(ledger).await;
    fences::a_seal_ends_its_own_epoch_and_no_other(ledger).await;
    fences::a_sealed_memory_replays_and_gives_back(ledger).await;
    down::units_come_back_once(ledger).await;
    down::a_change_of_another_epoch_waits_or_is_passed_over(ledger).await;
    down::grants_come_in_order(ledger).await;
    down::what_is_available_can_be_withdrawn(ledger).await;
}
