//! The payment provider: idempotent by the payment's id; its word comes later, perhaps twice, late, or in odd order.

use super::{ServiceEffect, ServiceEvent};
use doorbuster_core::ids::PaymentId;
use doorbuster_core::machine::Machine;
use doorbuster_core::payment::command::Verdict;
use doorbuster_core::time::{Mono, Now};
use std::collections::{BTreeMap, BTreeSet};

/// Pause between two tries of a notice that nobody confirmed.
const AGAIN_MS: u64 = 2_000;

/// What is asked of the provider.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// To take the money; `word` is what it will say and when, in milliseconds from now.
    Charge {
        /// Which payment.
        payment: PaymentId,
        /// What it will say, each after so many milliseconds.
        word: Vec<(u64, Verdict)>,
    },
    /// To give it back.
    Refund(PaymentId),
    /// A notice was taken.
    Confirm(u64),
}

/// What the provider tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It will, or has.
    Done,
    /// Never charged: there is nothing to give back.
    Refused,
}

/// One notice on its way to the platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Names it.
    pub number: u64,
    /// About which payment.
    pub payment: PaymentId,
    /// What it says.
    pub verdict: Verdict,
}

/// The provider.
#[derive(Clone, Debug, Default)]
pub struct Provider {
    charged: BTreeSet<PaymentId>,
    refunded: BTreeMap<PaymentId, u32>,
    succeeded: BTreeSet<PaymentId>,
    number: u64,
    notices: BTreeMap<u64, (Mono, Notice)>,
    /// Notices that are to be sent now; the world takes them.
    pub due: Vec<Notice>,
}

impl Provider {
    /// Notices that nobody confirmed.
    pub fn pending(&self) -> usize {
        self.notices.len()
    }

    /// Whether the money of this payment was taken.
    pub fn took(&self, payment: PaymentId) -> bool {
        self.succeeded.contains(&payment)
    }

    /// Payments whose money was taken.
    pub fn succeeded(&self) -> impl Iterator<Item = PaymentId> + '_ {
        self.succeeded.iter().copied()
    }

    /// Whether the money of this payment went back.
    pub fn gave_back(&self, payment: PaymentId) -> bool {
        self.refunded.contains_key(&payment)
    }

    fn charge(&mut self, now: Now, payment: PaymentId, word: Vec<(u64, Verdict)>) {
        if !self.charged.insert(payment) {
            return;
        }
        for (after_ms, verdict) in word {
            self.number += 1;
            let notice = Notice { number: self.number, payment, verdict };
            self.notices.insert(self.number, (now.mono.after_ms(after_ms), notice));
        }
    }
}

impl Machine for Provider {
    type Event = ServiceEvent<Request>;
    type Effect = ServiceEffect<Reply>;

    fn step(&mut self, now: Now, event: Self::Event, out: &mut Vec<Self::Effect>) {
        match event {
            ServiceEvent::Asked { call, request } => {
                let reply = match request {
                    Request::Charge { payment, word } => {
                        self.charge(now, payment, word);
                        Reply::Done
                    }
                    Request::Refund(payment) if !self.charged.contains(&payment) => Reply::Refused,
                    Request::Refund(payment) => {
                        *self.refunded.entry(payment).or_default() += 1;
                        Reply::Done
                    }
                    Request::Confirm(number) => {
                        self.notices.remove(&number);
                        Reply::Done
                    }
                };
                out.push(ServiceEffect::Answered { call, reply });
            }
            ServiceEvent::Woken => {
                for (at, notice) in self.notices.values_mut().filter(|(at, _)| *at <= now.mono) {
                    if notice.verdict == Verdict::Succeeded {
                        self.succeeded.insert(notice.payment);
                    }
                    *at = now.mono.after_ms(AGAIN_MS);
                    self.due.push(*notice);
                }
            }
        }
    }

    fn wake_at(&self) -> Option<(Mono, &'static str)> {
        self.notices.values().map(|(at, _)| (*at, "a notice is due")).min()
    }
}
