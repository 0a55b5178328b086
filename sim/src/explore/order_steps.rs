//! What buyers, the provider and the operator ask of the database.

use super::action::Action;
use super::model::{LATER, Model, NOW};
use super::state::State;
use super::violation::{Violation, ensure};
use doorbuster_core::database::command::{Command, Reply};
use doorbuster_core::ids::Key;
use doorbuster_core::order::command::OrderCommand;
use doorbuster_core::order::status::Ending;
use doorbuster_core::payment::command::{PaymentCommand, Verdict};
use doorbuster_core::sale::command::SaleCommand;
use doorbuster_core::time::Wall;

impl Model {
    pub(super) fn command(&self, state: &mut State, action: Action) -> Result<(), Violation> {
        let Some((command, at)) = self.command_of(state, action) else { return Ok(()) };
        if let Action::Abandon { wish } = action {
            state.light.touched |= 1 << wish;
        }
        let Some(reply) = self.transact(state, &command, at)? else { return Ok(()) };
        if let (Action::Abandon { .. }, Reply::Order(row)) = (action, &reply) {
            let waits = row.status == doorbuster_core::order::status::Status::PendingPayment;
            ensure(!waits, "S25", || format!("{} was abandoned and still waits for money", row.id))?;
        }
        let budgets = &mut state.light.budgets;
        let spent = match action {
            Action::Cancel { .. } | Action::Expire { .. } => &mut budgets.endings,
            Action::Abandon { .. } => &mut budgets.abandons,
            Action::StartPayment { .. } => &mut budgets.pays,
            Action::Refund { .. } => &mut budgets.refunds,
            Action::TopUp => &mut budgets.top_ups,
            Action::Enter { state: doorbuster_core::database::rows::SaleState::Closed } => &mut budgets.closes,
            Action::Enter { .. } => &mut budgets.stops,
            _ => return Ok(()),
        };
        *spent = spent.saturating_sub(1);
        Ok(())
    }

    fn command_of(&self, state: &State, action: Action) -> Option<(Command, Wall)> {
        let click = |wish: usize| &self.cast.clicks[wish];
        let command = match action {
            Action::Cancel { wish } => {
                let user = Some(click(wish).item.user.clone());
                Command::Order(OrderCommand::Cancel { order: click(wish).order, user, ending: Ending::Buyer })
            }
            Action::Expire { wish } => {
                let orders = vec![click(wish).order];
                let command = OrderCommand::Expire { shard: self.cast.shard, orders };
                return Some((Command::Order(command), LATER));
            }
            Action::Abandon { wish } => {
                let (order, user) = (click(wish).order, click(wish).item.user.clone());
                Command::Order(OrderCommand::Abandon { order, user })
            }
            Action::StartPayment { wish } => {
                let (payment, order, user) = (click(wish).payment, click(wish).order, click(wish).item.user.clone());
                Command::Payment(PaymentCommand::Start { payment, order, user })
            }
            Action::TakePayment { wish } => {
                let payment = click(wish).payment;
                Command::Payment(PaymentCommand::Settle { payment, verdict: Verdict::Succeeded })
            }
            Action::Refund { wish, restock } => {
                Command::Order(OrderCommand::Refund { order: click(wish).order, restock })
            }
            Action::FinishRefund { wish } => {
                Command::Payment(PaymentCommand::Refunded { payment: click(wish).payment })
            }
            Action::TopUp => {
                let (sale, sku) = (self.cast.sale, self.cast.skus[0]);
                // Named after what is left to do, so that the same top-ups in another order are the same state.
                let key = Key::parse(&format!("top-up-{}", state.light.budgets.top_ups)).expect("printable ASCII");
                Command::Sale(SaleCommand::TopUp { sale, sku, quantity: 1, key })
            }
            Action::Enter { state } => Command::Sale(SaleCommand::Enter { sale: self.cast.sale, state }),
            _ => return None,
        };
        Some((command, NOW))
    }
}
