//! The payment provider, over the network.

use crate::services::provider::{self, Reply, Request};
use crate::worlds::wire::rpc::client::Client;
use async_trait::async_trait;
use doorbuster_core::database::rows::{Currency, PaymentRow};
use doorbuster_core::ids::PaymentId;
use doorbuster_core::outcome::Outcome;
use doorbuster_core::payment::command::Verdict;
use doorbuster_runtime::ports::Unavailable;
use doorbuster_runtime::ports::provider::Provider;

/// What a provider says, each after so many milliseconds.
pub type Word = Vec<(u64, Verdict)>;

/// The usual time at a card form.
const THINKS_MS: u64 = 1_000;
/// Beyond every pay window of this world, the grace of a late intent included.
const LATE_MS: u64 = 18_000;

/// The simulated provider.
pub struct WiredProvider(Client<provider::Provider>);

impl WiredProvider {
    /// Over this client.
    pub fn new(client: Client<provider::Provider>) -> WiredProvider {
        WiredProvider(client)
    }
}

/// An instruction that makes the provider say this, for a buyer's request.
pub fn instruct(word: &Word) -> String {
    let part = |(after_ms, verdict): &(u64, Verdict)| match verdict {
        Verdict::Succeeded => format!("succeed@{after_ms}"),
        Verdict::Declined => format!("decline@{after_ms}"),
    };
    word.iter().map(part).collect::<Vec<_>>().join(",")
}

/// What an instruction makes the provider say; success where it says nothing that the provider knows.
pub fn word_of(instruction: Option<&str>) -> Word {
    let parts = match instruction.unwrap_or_default() {
        // Whoever forges its word comes first; the provider itself was never paid.
        "forged" => return vec![(3 * THINKS_MS, Verdict::Declined)],
        "late" => return vec![(LATE_MS, Verdict::Succeeded)],
        "duplicate" => return vec![(THINKS_MS, Verdict::Succeeded), (2 * THINKS_MS, Verdict::Succeeded)],
        instruction => instruction.split(','),
    };
    let word: Word = parts.filter_map(part_of).collect();
    if word.is_empty() { vec![(THINKS_MS, Verdict::Succeeded)] } else { word }
}

fn part_of(part: &str) -> Option<(u64, Verdict)> {
    let (verdict, after_ms) = match part.split_once('@') {
        Some((verdict, after_ms)) => (verdict, after_ms.parse().ok()?),
        None => (part, THINKS_MS),
    };
    match verdict {
        "succeed" => Some((after_ms, Verdict::Succeeded)),
        "decline" => Some((after_ms, Verdict::Declined)),
        _ => None,
    }
}

fn away() -> Unavailable {
    Unavailable("the provider cannot be reached".to_owned())
}

#[async_trait]
impl Provider for WiredProvider {
    async fn charge(&self, payment: &PaymentRow, _: Currency, instruction: Option<String>) -> Outcome<(), Unavailable> {
        let request = Request::Charge { payment: payment.id, word: word_of(instruction.as_deref()) };
        match self.0.ask(request).await {
            Outcome::Done(Reply::Done) => Outcome::Done(()),
            Outcome::Done(Reply::Refused) => Outcome::Refused(Unavailable("refused by the provider".to_owned())),
            Outcome::Refused(_) => Outcome::Refused(away()),
            Outcome::Unknown => Outcome::Unknown,
        }
    }

    async fn refund(&self, payment: PaymentId) -> Outcome<(), Unavailable> {
        match self.0.ask(Request::Refund(payment)).await {
            Outcome::Done(Reply::Done) => Outcome::Done(()),
            Outcome::Done(Reply::Refused) => Outcome::Refused(Unavailable("it was never charged".to_owned())),
            Outcome::Refused(_) => Outcome::Refused(away()),
            Outcome::Unknown => Outcome::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instruction_says_what_was_meant() {
        let word = vec![(300, Verdict::Declined), (500, Verdict::Succeeded)];
        assert_eq!(word_of(Some(&instruct(&word))), word);
        assert_eq!(word_of(None), vec![(THINKS_MS, Verdict::Succeeded)]);
        assert_eq!(word_of(Some("decline")), vec![(THINKS_MS, Verdict::Declined)]);
    }
}
