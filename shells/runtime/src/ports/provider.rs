//! The payment provider.

use super::Unavailable;
use async_trait::async_trait;
use doorbuster_core::database::rows::{Currency, PaymentRow};
use doorbuster_core::ids::PaymentId;
use doorbuster_core::outcome::Outcome;

/// A payment provider.
///
/// Contract: both calls are idempotent by the payment's id. The verdict comes by a signed webhook, later, perhaps
/// twice, perhaps out of order, perhaps never.
#[async_trait]
pub trait Provider: Send + Sync + 'static {
    /// Asks for the money. `instruction` is passed through to a provider that knows it: the simulated one is told
    /// by it how to behave.
    async fn charge(
        &self,
        payment: &PaymentRow,
        currency: Currency,
        instruction: Option<String>,
    ) -> Outcome<(), Unavailable>;
    /// Gives the money back.
    async fn refund(&self, payment: PaymentId) -> Outcome<(), Unavailable>;
}
