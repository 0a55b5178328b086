//! Late money's new reservation: what is asked for, by the ordinary path, and when nothing is asked any more.

use crate::database::rows::{PaymentStatus, SaleRow, SaleState};
use crate::database::tables::{Reads, Rows};
use crate::ids::{Key, OrderId, PaymentId, ReservationId};
use crate::ledger::page::Acceptance;
use crate::ledger::reserve::{ReserveItem, ReserveRefusal};
use crate::time::Wall;

/// Why no unit was taken for a late payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NotReserved {
    /// For good: sold out, the limit, the sale's end.
    Never,
    /// The shard is not open now, or stopped: try again.
    NotReady,
}

/// The ended order's basket again, for its user, under the payment's own key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LateReservation {
    /// The order to be.
    pub order: OrderId,
    /// What its shard is asked for.
    pub item: ReserveItem,
    sale: SaleRow,
}

/// The rows that say what to reserve, to be read in one snapshot.
pub fn reads(payment: PaymentId, ended: OrderId) -> Reads {
    Reads { payments: [payment].into(), orders: [ended].into(), sales: [ended.shard.sale].into(), ..Reads::default() }
}

impl LateReservation {
    /// Of these rows.
    pub fn of(rows: &Rows, payment: PaymentId, ended: OrderId, key: &Key) -> Result<LateReservation, NotReserved> {
        // Its event may be delivered again long after the money found its place: a unit would be held that nobody has
        // paid for.
        if rows.payments.get(&payment).is_some_and(|row| row.status != PaymentStatus::Late) {
            return Err(NotReserved::Never);
        }
        let (Some(row), Some(sale)) = (rows.orders.get(&ended), rows.sales.get(&ended.shard.sale)) else {
            return Err(NotReserved::NotReady);
        };
        let origin = row.origin.as_ref().ok_or(NotReserved::Never)?;
        let id = ReservationId::derive(ended.shard.sale, &row.user, key);
        Ok(LateReservation {
            order: OrderId { shard: ended.shard, reservation: id },
            item: ReserveItem { id, user: row.user.clone(), body: origin.body, basket: origin.basket.clone() },
            sale: sale.clone(),
        })
    }

    /// The row of the order to be, if an attempt whose answer was lost has made it.
    pub fn own_reads(&self) -> Reads {
        Reads { orders: [self.order].into(), ..Reads::default() }
    }

    /// What is known without asking the shard, where something is: a row that is there is the answer, and a sale that is
    /// over will not open again, so that waiting for it would only keep the buyer's money.
    pub fn known(&self, own: &Rows, now: Wall) -> Option<Result<Acceptance, NotReserved>> {
        if let Some(origin) = own.orders.get(&self.order).and_then(|row| row.origin.as_ref()) {
            return Some(Ok(origin.acceptance));
        }
        let over = self.sale.state == SaleState::Closed || now >= self.sale.window.ends_at;
        over.then_some(Err(NotReserved::Never))
    }
}

impl From<ReserveRefusal> for NotReserved {
    fn from(refusal: ReserveRefusal) -> NotReserved {
        match refusal {
            ReserveRefusal::NotReady | ReserveRefusal::Stopped | ReserveRefusal::NotStarted => NotReserved::NotReady,
            ReserveRefusal::KeyReused
            | ReserveRefusal::Ended
            | ReserveRefusal::KeysExhausted
            | ReserveRefusal::LimitReached
            | ReserveRefusal::UnknownSku(_)
            | ReserveRefusal::SoldOut(_) => NotReserved::Never,
        }
    }
}
