//! The payment worker with the real rows and the real memory: money ends in one place, once.

use super::feed::Feed;
use super::hosts::Hosts;
use super::world::{World, shard, skus};
use super::{at_rest, heal};
use doorbuster_core::database::command::{Command, Refusal, Reply};
use doorbuster_core::database::event::Event;
use doorbuster_core::database::rows::{PaymentRow, PaymentStatus, Phase, SaleState};
use doorbuster_core::database::tables::Rows;
use doorbuster_core::ids::{Key, OrderId, PaymentId, ReservationId};
use doorbuster_core::ledger::page::Acceptance;
use doorbuster_core::ledger::reserve::ItemReply;
use doorbuster_core::limits::PAYMENTS_MAX;
use doorbuster_core::machine::Machine;
use doorbuster_core::order::command::OrderCommand;
use doorbuster_core::order::fate::Fate;
use doorbuster_core::order::status::{Ending, Status};
use doorbuster_core::outcome::Outcome;
use doorbuster_core::payment::command::{PaymentCommand, Verdict};
use doorbuster_core::payment::late::{LateReservation, NotReserved};
use doorbuster_core::payment::worker::{PaymentEffect, PaymentEvent, PaymentWorker};
use doorbuster_core::time::{Mono, Now, Wall};
use proptest::prelude::*;
use std::collections::BTreeSet;

struct Office {
    world: World,
    worker: PaymentWorker,
    life: u64,
    tasks: Vec<(u64, PaymentEffect)>,
    feed: Feed,
    /// What the provider has sent back; it knows a refund by its payment.
    refunds: BTreeSet<PaymentId>,
    healed: bool,
}

impl Office {
    /// A shard that sells, and buyers whose orders ended just before their money came.
    fn new(seed: u64) -> Office {
        let mut hosts = Hosts::new(seed);
        hosts.world.enter(SaleState::Open);
        heal(&mut hosts, at_rest);
        let mut world = hosts.world;
        for _ in 0..12 {
            world.click();
        }
        world.forward(usize::MAX);
        let orders: Vec<_> = world.rows.orders.values().cloned().collect();
        for (number, order) in orders.into_iter().enumerate() {
            let payment = PaymentId::parse(&format!("p{number}")).unwrap();
            let (id, user) = (order.id, order.user.clone());
            let start = PaymentCommand::Start { payment, order: id, user };
            world.transact(&Command::Payment(start)).unwrap();
            let cancel = OrderCommand::Cancel { order: id, user: None, ending: Ending::Operator };
            world.transact(&Command::Order(cancel)).unwrap();
            // Of some the units come back to the memory, so that a late reservation finds one.
            if world.below(2) == 0 {
                let epoch = world.row().epoch;
                world.server.settle(epoch, &order.user, id.reservation);
            }
            let settle = PaymentCommand::Settle { payment, verdict: Verdict::Succeeded };
            world.transact(&Command::Payment(settle)).unwrap();
        }
        let worker = PaymentWorker::new(world.rng.draw());
        let (tasks, refunds) = (Vec::new(), BTreeSet::new());
        let feed = Feed::default();
        let mut office = Office { world, worker, life: 0, tasks, feed, refunds, healed: false };
        let assigned = office.feed.assign();
        office.tell(PaymentEvent::Inbox(assigned));
        office
    }

    fn tell(&mut self, event: PaymentEvent) {
        let mut out = Vec::new();
        self.worker.step(self.world.now(), event, &mut out);
        self.tasks.extend(out.into_iter().map(|effect| (self.life, effect)));
    }

    fn deliver(&mut self) {
        let payments = &self.world.payments;
        if let Some(fetched) = self.feed.deliver(1, false, |offset| payments.get(offset).cloned()) {
            self.tell(PaymentEvent::Inbox(fetched));
        }
    }

    fn crash(&mut self) {
        self.life += 1;
        self.worker = PaymentWorker::new(self.world.rng.draw());
        let assigned = self.feed.assign();
        self.tell(PaymentEvent::Inbox(assigned));
    }

    fn faulty(&mut self, one_in: usize) -> bool {
        !self.healed && self.world.below(one_in) == 0
    }

    fn perform(&mut self) {
        if self.tasks.is_empty() {
            return;
        }
        let index = if self.healed { 0 } else { self.world.below(self.tasks.len()) };
        let (life, effect) = self.tasks.remove(index);
        let never_arrived = self.faulty(8);
        let event = match effect {
            PaymentEffect::ReserveLate { ticket, payment, order, key } => {
                let outcome = if never_arrived { Outcome::Unknown } else { self.reserve(payment, (order, key)) };
                PaymentEvent::LateReserved { ticket, outcome: self.unknown(outcome) }
            }
            PaymentEffect::LookUp { ticket, order, acceptance } => {
                let fate = self.fate(order, acceptance);
                PaymentEvent::LookedUp { ticket, fate: (!never_arrived).then_some(fate) }
            }
            PaymentEffect::Apply(ticket, command) => {
                let outcome = if never_arrived { Outcome::Unknown } else { self.apply(command) };
                PaymentEvent::Applied { ticket, outcome: self.unknown(outcome) }
            }
            PaymentEffect::RefundAtProvider { ticket, payment } => {
                if !never_arrived {
                    self.refunds.insert(payment);
                }
                let outcome = if never_arrived { Outcome::Unknown } else { Outcome::Done(()) };
                PaymentEvent::RefundedAtProvider { ticket, outcome: self.unknown(outcome) }
            }
            PaymentEffect::Inbox(effect) if life == self.life => match self.feed.perform(effect, never_arrived) {
                Some(event) => PaymentEvent::Inbox(event),
                None => return,
            },
            PaymentEffect::Inbox(_) => return,
            PaymentEffect::Alarm { payment, why } => panic!("{payment} is stuck: {why}"),
        };
        if life == self.life && !self.faulty(8) {
            if self.faulty(8) {
                self.tell(event.clone());
            }
            self.tell(event);
        }
    }

    fn unknown<T, R>(&mut self, outcome: Outcome<T, R>) -> Outcome<T, R> {
        if self.faulty(8) { Outcome::Unknown } else { outcome }
    }

    fn reserve(
        &mut self,
        payment: PaymentId,
        (old, key): (OrderId, Key),
    ) -> Outcome<(OrderId, Acceptance), NotReserved> {
        let late = match LateReservation::of(&self.world.rows, payment, old, &key) {
            Ok(late) => late,
            Err(refusal) => return Outcome::Refused(refusal),
        };
        match late.known(&self.world.rows, self.world.now().wall) {
            Some(Ok(acceptance)) => return Outcome::Done((late.order, acceptance)),
            Some(Err(refusal)) => return Outcome::Refused(refusal),
            None => {}
        }
        let fence = self.world.row().fence();
        match self.world.reserve(fence, &[late.item]) {
            Ok(replies) => match replies[0] {
                ItemReply::Accepted(acceptance) | ItemReply::Replayed(acceptance) => {
                    Outcome::Done((late.order, acceptance))
                }
                ItemReply::Refused(refusal) => Outcome::Refused(refusal.into()),
            },
            Err(_) => Outcome::Refused(NotReserved::NotReady),
        }
    }

    fn fate(&self, order: OrderId, acceptance: Acceptance) -> Fate {
        Fate::of(self.world.rows.orders.get(&order), &self.world.row(), acceptance.epoch, acceptance.seq)
    }

    fn apply(&mut self, command: PaymentCommand) -> Outcome<PaymentRow, Refusal> {
        match self.world.transact(&Command::Payment(command)) {
            Ok(Reply::Payment(row)) => Outcome::Done(row),
            Ok(reply) => panic!("a payment's command answered {reply:?}"),
            Err(refusal) => Outcome::Refused(refusal),
        }
    }

    /// The epoch ends with entries undrained: some late reservations are lost for good, and the shard opens anew.
    fn lose_epoch(&mut self) {
        let mut hosts = Hosts::around(std::mem::replace(&mut self.world, World::new(0)));
        hosts.world.lose_server();
        heal(&mut hosts, |hosts| {
            hosts.world.row().phase == Phase::Open
                && hosts.world.server.meta().is_some_and(|meta| meta.epoch == hosts.world.row().epoch)
        });
        self.world = hosts.world;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn late_money_pays_one_order_or_goes_back_once(seed: u64) {
        let mut office = Office::new(seed);
        for _ in 0..400 {
            match office.world.below(40) {
                0..=19 => office.perform(),
                20..=26 => office.deliver(),
                27..=29 => {
                    office.world.mono.0 += office.world.rng.below(500_000);
                    office.tell(PaymentEvent::Tick);
                }
                30..=32 => office.world.forward(1),
                33 => office.crash(),
                34 if office.world.below(6) == 0 => office.lose_epoch(),
                _ => office.tell(PaymentEvent::Tick),
            }
        }
        office.healed = true;
        for _ in 0..4_000 {
            office.perform();
            office.deliver();
            office.world.forward(usize::MAX);
            if office.tasks.is_empty() && let Some((at, _)) = office.worker.wake_at() {
                office.world.mono = office.world.mono.max(at);
                office.tell(PaymentEvent::Tick);
            }
        }
        prop_assert_eq!(office.worker.pending(), None);
        for payment in office.world.rows.payments.values() {
            let back = office.refunds.contains(&payment.id);
            let order = &office.world.rows.orders[&payment.order];
            match payment.status {
                PaymentStatus::Paid => prop_assert!(!back && order.status == Status::Paid, "{payment:?} {order:?}"),
                PaymentStatus::Refunded => prop_assert!(back && order.payment.is_none(), "{payment:?} {order:?}"),
                PaymentStatus::Started
                | PaymentStatus::Declined
                | PaymentStatus::Late
                | PaymentStatus::RefundDue => prop_assert!(false, "{payment:?} is not at its end"),
            }
        }
        prop_assert!(office.world.rows.stock[&(shard(), skus()[0])].consumed <= 5);
    }
}

#[test]
fn money_that_has_found_its_place_takes_no_unit_and_unread_rows_say_nothing() {
    let mut office = Office::new(3);
    let (payment, row) = office.world.rows.payments.iter().find(|(_, row)| row.status == PaymentStatus::Late).unwrap();
    let (payment, order) = (*payment, row.order);
    let key = Key::of_late_payment(payment);
    assert!(LateReservation::of(&office.world.rows, payment, order, &key).is_ok());
    assert_eq!(LateReservation::of(&Rows::default(), payment, order, &key), Err(NotReserved::NotReady));
    for status in [PaymentStatus::Paid, PaymentStatus::RefundDue, PaymentStatus::Refunded] {
        office.world.rows.payments.get_mut(&payment).unwrap().status = status;
        assert_eq!(office.reserve(payment, (order, key)), Outcome::Refused(NotReserved::Never));
    }
}

/// A worker that has been given so many refunds at once, and what it asks then.
fn refunds(count: u64) -> (PaymentWorker, Vec<PaymentEffect>) {
    let (mut worker, mut feed, mut out) = (PaymentWorker::new(1), Feed::default(), Vec::new());
    let order = OrderId { shard: shard(), reservation: ReservationId([7; 16]) };
    let refund = |number: usize| {
        let payment = PaymentId::parse(&format!("p{number}")).unwrap();
        ((number as u64) < count).then_some(Event::RefundDue { payment, order })
    };
    worker.step(at(0), PaymentEvent::Inbox(feed.assign()), &mut out);
    while let Some(effect) = out.pop() {
        if let PaymentEffect::Inbox(effect) = effect {
            feed.perform::<Event>(effect, false);
        }
    }
    let fetched = feed.deliver(count as usize, false, refund).expect("it fetches");
    worker.step(at(0), PaymentEvent::Inbox(fetched), &mut out);
    (worker, out)
}

fn at(ms: u64) -> Now {
    Now { mono: Mono(0).after_ms(ms), wall: Wall(0) }
}

fn questions(out: &[PaymentEffect]) -> usize {
    out.iter().filter(|effect| matches!(effect, PaymentEffect::RefundAtProvider { .. })).count()
}

#[test]
fn while_all_places_are_taken_a_due_payment_does_not_wake_the_worker() {
    let (worker, out) = refunds(PAYMENTS_MAX as u64 + 1);
    assert_eq!(questions(&out), PAYMENTS_MAX);
    let woken = worker.wake_at().unwrap().0;
    assert!(woken > Mono(0), "a worker that is always due keeps its processor from the very answers it waits for");
}

#[test]
fn answers_that_never_come_hold_no_place_for_ever() {
    let (mut worker, _) = refunds(PAYMENTS_MAX as u64 + 1);
    let mut again = Vec::new();
    for seconds in 0..120 {
        worker.step(at(1_000 * seconds), PaymentEvent::Tick, &mut again);
    }
    let asked = |number: usize| {
        let payment = PaymentId::parse(&format!("p{number}")).unwrap();
        let of_it = |effect: &&PaymentEffect| {
            let PaymentEffect::RefundAtProvider { payment: asked, .. } = effect else { return false };
            *asked == payment
        };
        again.iter().filter(of_it).count()
    };
    assert!((0..=PAYMENTS_MAX).all(|number| asked(number) > 0), "every refund is asked for again");
}
