//! The oracle must also be able to say yes: random runs, with epochs that end and logs that are lost, are sound.

use crate::common::{HOLD_MS, World, basket, key, payment, user};
use crate::sound::{Clients, audit_of};
use doorbuster_core::ids::{Epoch, OrderId, Seq};
use doorbuster_core::oracle::history::{Answer, Became, Exchange};
use doorbuster_core::oracle::judge::{Inputs, Losses, Options, judge};
use doorbuster_core::oracle::verdict::Check;
use doorbuster_core::order::command::OrderCommand;
use doorbuster_core::order::status::{Ending, Restock, Status};
use doorbuster_core::payment::command::{PaymentCommand, Verdict};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Reserve(usize, usize, u32),
    Cancel(usize, usize),
    Abandon(usize, usize),
    LookUp(usize, usize),
    Look(usize, usize),
    Pay(usize, usize),
    PayLate(usize, usize),
    Refund(usize, usize, bool),
    Expire(u64),
    Drain,
    Settle,
    EndEpoch(u16),
    LoseEpoch(u16),
}

fn step() -> impl Strategy<Value = Step> {
    let who = || (0usize..5, 0usize..3);
    prop_oneof![
        9 => (0usize..5, 0usize..3, 1u32..3).prop_map(|(who, n, units)| Step::Reserve(who, n, units)),
        2 => who().prop_map(|(who, n)| Step::Cancel(who, n)),
        2 => who().prop_map(|(who, n)| Step::Abandon(who, n)),
        3 => who().prop_map(|(who, n)| Step::LookUp(who, n)),
        3 => who().prop_map(|(who, n)| Step::Look(who, n)),
        2 => who().prop_map(|(who, n)| Step::Pay(who, n)),
        1 => who().prop_map(|(who, n)| Step::PayLate(who, n)),
        1 => (0usize..5, 0usize..3, any::<bool>()).prop_map(|(who, n, restock)| Step::Refund(who, n, restock)),
        1 => (0..HOLD_MS * 2).prop_map(Step::Expire),
        4 => Just(Step::Drain),
        2 => Just(Step::Settle),
        1 => (0u16..2).prop_map(Step::EndEpoch),
        1 => (0u16..2).prop_map(Step::LoseEpoch),
    ]
}

/// A run in the making.
struct Run {
    world: World,
    clients: Clients,
    payments: usize,
    lost: bool,
}

impl Run {
    fn take(&mut self, step: &Step) {
        let id = |world: &World, who: usize, n: usize| world.order_id(&user(who), &key(n));
        match step {
            Step::Reserve(who, n, units) => {
                self.clients.reserve(&mut self.world, *who, *n, &basket(&[(0, *units), (1, 1)]))
            }
            Step::Cancel(who, n) => {
                let order = id(&self.world, *who, *n);
                let cancel = OrderCommand::Cancel { order, user: Some(user(*who)), ending: Ending::Buyer };
                if self.world.order_command(cancel).is_ok() {
                    self.clients.look(&self.world, order, |order, answer| Exchange::Cancel { order, answer });
                }
            }
            Step::Abandon(who, n) => self.abandon(*who, *n),
            Step::LookUp(who, n) => self.look_up(*who, *n),
            Step::Look(who, n) => {
                let order = id(&self.world, *who, *n);
                if self.world.rows.orders.contains_key(&order) {
                    self.clients.look(&self.world, order, |order, answer| Exchange::Look { order, answer });
                }
            }
            Step::Pay(who, n) | Step::PayLate(who, n) => {
                let order = id(&self.world, *who, *n);
                self.pay(order, matches!(step, Step::PayLate(..)));
            }
            Step::Refund(who, n, restock) => {
                let order = id(&self.world, *who, *n);
                let restock = if *restock { Restock::Yes } else { Restock::No };
                if self.world.order_command(OrderCommand::Refund { order, restock }).is_ok() {
                    let payment = self.world.order(order).payment.unwrap();
                    self.world.pay(PaymentCommand::Refunded { payment }).unwrap();
                }
            }
            Step::Expire(millis) => self.expire(*millis),
            Step::Drain => self.world.drain(),
            Step::Settle => self.world.settle(),
            Step::EndEpoch(k) => {
                self.world.drain();
                self.world.end_epoch(*k);
                self.world.open_epoch(*k);
            }
            Step::LoseEpoch(k) => self.lose_epoch(*k),
        }
    }

    fn abandon(&mut self, who: usize, n: usize) {
        let order = self.world.order_id(&user(who), &key(n));
        self.world.order_command(OrderCommand::Abandon { order, user: user(who) }).unwrap();
        let exchange = [
            |_, answer| Exchange::Abandon { key: key(0), answer },
            |_, answer| Exchange::Abandon { key: key(1), answer },
            |_, answer| Exchange::Abandon { key: key(2), answer },
        ];
        self.clients.look(&self.world, order, exchange[n]);
    }

    /// What the platform answers to a receipt: from the row, else from (epoch, seq).
    fn look_up(&mut self, who: usize, n: usize) {
        let order = self.world.order_id(&user(who), &key(n));
        let told = self.clients.history.acceptances().filter(|(_, _, _, accepted)| accepted.id == order).last();
        let Some((epoch, seq)) = told.and_then(|(_, _, _, accepted)| accepted.place()) else { return };
        let became = self.became(order, epoch, seq);
        let exchange = Exchange::LookUp { key: key(n), answer: Answer::Accepted(became) };
        self.clients.push(&self.world, user(who), exchange);
    }

    fn became(&self, order: OrderId, epoch: Epoch, seq: Seq) -> Became {
        let row = self.world.row(order.shard.k);
        if self.world.rows.orders.contains_key(&order) || (row.epoch == epoch && row.cursor < seq) {
            Became::Accepted(order)
        } else {
            Became::Lost(epoch, seq)
        }
    }

    fn pay(&mut self, order: OrderId, late: bool) {
        if self.world.rows.orders.get(&order).is_none_or(|row| row.status != Status::PendingPayment) {
            return;
        }
        self.payments += 1;
        if !late {
            return self.clients.pay(&mut self.world, order, self.payments);
        }
        let (id, user) = (payment(self.payments), self.world.order(order).user.clone());
        self.world.pay(PaymentCommand::Start { payment: id, order, user }).unwrap();
        let cancel = OrderCommand::Cancel { order, user: None, ending: Ending::Operator };
        self.world.order_command(cancel).unwrap();
        self.world.pay(PaymentCommand::Settle { payment: id, verdict: Verdict::Succeeded }).unwrap();
        self.world.pay(PaymentCommand::GiveUpLate { payment: id }).unwrap();
    }

    fn expire(&mut self, millis: u64) {
        self.world.now = self.world.now.after_ms(millis);
        for k in 0..2 {
            let orders: Vec<OrderId> = self.world.rows.orders.keys().copied().filter(|id| id.shard.k == k).collect();
            if !orders.is_empty() {
                self.world.expire(orders);
            }
        }
    }

    /// The seal overtakes what is not decided yet: it arrives later, of an epoch that has ended.
    fn lose_epoch(&mut self, k: u16) {
        let index = usize::from(k);
        let stale = self.world.log[index].split_off(self.world.read[index]);
        self.lost |= !stale.is_empty();
        self.world.end_epoch(k);
        self.world.log[index].extend(stale);
        self.world.drain();
        self.world.open_epoch(k);
    }

    fn rest(&mut self) {
        self.world.drain();
        self.expire(HOLD_MS * 2);
        self.world.settle();
        self.world.check_at_rest();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_random_run_is_never_red(steps in prop::collection::vec(step(), 1..60)) {
        let mut run = Run { world: World::open(2, 5, &[6, 9]), clients: Clients::default(), payments: 0, lost: false };
        steps.iter().for_each(|step| run.take(step));
        let (busy, mut options) = (audit_of(&run.world), Options::default());
        options.losses = if run.lost { Losses::Uncounted } else { Losses::Forbidden };
        run.clients.history.is_complete = true;
        let verdict = |audit, replayed, options: &Options, run: &Run| {
            judge(Inputs { history: Some(&run.clients.history), audit, replayed, probes: None, options })
        };
        // While it runs: the queue is not part of this world.
        let mut busy = busy;
        busy.delay = None;
        let judged = verdict(&busy, None, &options, &run);
        prop_assert!(judged.holds(), "{judged}");
        run.rest();
        options.at_rest = true;
        let still = audit_of(&run.world);
        let mut again = run.world.clone();
        for k in 0..2 {
            let log = again.log[usize::from(k)].clone();
            log.chunks(5).for_each(|batch| drop(again.intake(k, batch)));
        }
        again.settled = again.outbox.len();
        let replayed = audit_of(&again);
        let judged = verdict(&still, Some(&replayed), &options, &run);
        prop_assert!(judged.holds(), "{judged}");
        for check in [Check::S5, Check::S15, Check::S25, Check::S14, Check::S23, Check::S7, Check::L4, Check::L5] {
            prop_assert!(judged.of(check).is_green(), "{check}: {judged}");
        }
    }
}
