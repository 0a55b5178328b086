//! A decision's change as the mutations of one commit.

use crate::rows::{
    Before, Counted, Orders, Payments, Products, Quotas, Sales, SalesCursors, SalesRings, Shards, Skus, Stock, Table,
    TopUps, Write, outbox_mutations, put, remove,
};
use doorbuster_core::database::command::Refusal;
use doorbuster_core::database::draft::Change;
use doorbuster_core::database::tables::View;
use google_cloud_spanner::mutation::Mutation;
use std::collections::{BTreeMap, BTreeSet};

/// Cells of one commit, index entries included: Spanner's own limit
/// (https://docs.cloud.google.com/spanner/quotas, "Mutations per commit").
pub const CELLS_MAX: usize = 80_000;

/// The mutations of a change.
///
/// # Errors
/// Refused as invalid when it is more than one commit takes: nothing is written of it.
pub fn mutations(view: &View, change: Change, batch: &str) -> Result<Vec<Mutation>, Refusal> {
    let writes = writes(view, change, batch);
    let cells: usize = writes.iter().map(|write| write.cells).sum();
    if cells > CELLS_MAX {
        let what =
            format!("this is {cells} cells, and the database takes at most {CELLS_MAX} at once: send less at a time");
        return Err(Refusal::Invalid(what));
    }
    Ok(writes.into_iter().map(|write| write.mutation).collect())
}

/// Parents before what stands in them.
fn writes(view: &View, change: Change, batch: &str) -> Vec<Write> {
    let mut writes = Vec::new();
    let Change { rows, removed, events } = change;
    // The ranges are the keys of the SKUs.
    let before = &view.rows;
    table::<Sales>(&mut writes, (&view.asked.sales, &before.sales), &rows.sales, &removed.sales);
    table::<Products>(&mut writes, (&view.asked.products, &before.products), &rows.products, &removed.products);
    table::<Skus>(&mut writes, (&view.asked.skus, &before.skus), &rows.skus, &removed.skus);
    table::<Shards>(&mut writes, (&view.asked.shards, &before.shards), &rows.shards, &removed.shards);
    table::<Stock>(&mut writes, (&view.asked.stock, &before.stock), &rows.stock, &removed.stock);
    table::<Orders>(&mut writes, (&view.asked.orders, &before.orders), &rows.orders, &removed.orders);
    table::<Quotas>(&mut writes, (&view.asked.quotas, &before.quotas), &rows.quotas, &removed.quotas);
    table::<Payments>(&mut writes, (&view.asked.payments, &before.payments), &rows.payments, &removed.payments);
    table::<TopUps>(&mut writes, (&view.asked.top_ups, &before.top_ups), &rows.top_ups, &removed.top_ups);
    let rings = (&view.asked.sales_rings, &before.sales_rings);
    table::<SalesRings>(&mut writes, rings, &rows.sales_rings, &removed.sales_rings);
    let cursors = (&view.asked.sales_cursors, &before.sales_cursors);
    table::<SalesCursors>(&mut writes, cursors, &rows.sales_cursors, &removed.sales_cursors);
    table::<Counted>(&mut writes, (&view.asked.counted, &before.counted), &rows.counted, &removed.counted);
    writes.extend(outbox_mutations(events, batch));
    writes
}

/// The keys of a table that were asked for, and the rows that were found.
type Known<'a, T> = (&'a BTreeSet<<T as Table>::Key>, &'a BTreeMap<<T as Table>::Key, <T as Table>::Row>);

fn table<T: Table>(
    writes: &mut Vec<Write>,
    (asked, known): Known<'_, T>,
    rows: &BTreeMap<T::Key, T::Row>,
    removed: &BTreeSet<T::Key>,
) {
    for (key, row) in rows {
        let before = match known.get(key) {
            // Nothing to write: decisions put rows that they have only looked at.
            Some(before) if before == row => continue,
            Some(before) => Before::Known(before),
            None if asked.contains(key) => Before::Absent,
            None => Before::Unread,
        };
        writes.push(put::<T>(key, row, before));
    }
    writes.extend(removed.iter().map(|key| remove::<T>(key)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorbuster_core::database::command::Command;
    use doorbuster_core::database::decide::{decide, reads};
    use doorbuster_core::database::rows::{AckLevel, Currency, ProductRow};
    use doorbuster_core::database::tables::Rows;
    use doorbuster_core::ids::{Epoch, ProductId, ReservationId, SaleId, Seq, ShardId, SkuId, UserId, Version};
    use doorbuster_core::intake::IntakeBatch;
    use doorbuster_core::ledger::basket::{Basket, Line};
    use doorbuster_core::ledger::entry::{Entry, EntryKind, Intent, Reserved};
    use doorbuster_core::ledger::shard::Window;
    use doorbuster_core::limits::{INTAKE_RESERVATIONS_MAX, STOCK_MAX};
    use doorbuster_core::order::command::OrderCommand;
    use doorbuster_core::sale::command::{NewSale, NewSku, SaleCommand};
    use doorbuster_core::time::Wall;

    const AT: Wall = Wall(1_790_000_000_000);

    /// Runs a command on rows in memory; tells what its commit counts.
    fn cells(rows: &mut Rows, command: &Command) -> usize {
        let mut view = View::default();
        loop {
            let wanted = reads(command, &view);
            if wanted.is_empty() {
                break;
            }
            let found = rows.select(&wanted);
            view.absorb(wanted, found);
        }
        let change = decide(&view, command, AT).expect("nothing speaks against it").change;
        let cells = writes(&view, change.clone(), "b").iter().map(|write| write.cells).sum();
        change.write_to(rows);
        cells
    }

    fn sale() -> SaleId {
        SaleId::parse("demo").unwrap()
    }

    fn sku(number: usize) -> SkuId {
        SkuId::parse(&format!("s-{number}")).unwrap()
    }

    fn created(shards: u16) -> Rows {
        let mut rows = Rows::default();
        let new = NewSale {
            id: sale(),
            title: "Demo".to_owned(),
            window: Window { starts_at: Wall(0), ends_at: Wall(u64::MAX) },
            limit: 100,
            hold_ms: 30_000,
            shards,
            ack: AckLevel::Log,
            currency: Currency::parse("EUR").unwrap(),
        };
        assert!(cells(&mut rows, &Command::Sale(SaleCommand::Create(new))) < 3_000);
        rows
    }

    fn import(count: usize) -> Command {
        let product = |number: usize| ProductRow {
            id: ProductId::parse(&format!("p-{number}")).unwrap(),
            name: "a thing".to_owned(),
            category: "things".to_owned(),
            image_url: "/a.png".to_owned(),
            version: Version(0),
        };
        let new = |number: usize| NewSku {
            sku: sku(number),
            product: product(number).id,
            name: "a variant".to_owned(),
            price_minor: 100,
            stock: STOCK_MAX,
        };
        let (products, skus) = ((0..count).map(product).collect(), (0..count).map(new).collect());
        Command::Sale(SaleCommand::Import { sale: sale(), products, skus })
    }

    #[test]
    fn the_largest_intake_and_its_endings_fit_into_a_commit() {
        let mut rows = created(1);
        cells(&mut rows, &import(8));
        let shard = ShardId { sale: sale(), k: 0 };
        let reserved = |number: usize| {
            let lines: Vec<Line> = (0..8).map(|of| Line { sku: sku(of), quantity: 1 }).collect();
            let basket = Basket::parse(&lines).unwrap();
            let id = ReservationId((number as u128).to_be_bytes());
            let (user, body) = (UserId::parse(&format!("u-{number}")).unwrap(), basket.body_hash());
            Reserved { id, user, body, basket, reserved_at: AT }
        };
        let items: Vec<Reserved> = (0..INTAKE_RESERVATIONS_MAX).map(reserved).collect();
        let orders = items
            .iter()
            .take(256)
            .map(|item| item.id)
            .map(|reservation| doorbuster_core::ids::OrderId { shard, reservation });
        let orders: Vec<_> = orders.collect();
        let entry = Entry { epoch: Epoch(1), seq: Seq(1), kind: EntryKind::Reserved(items) };
        let intake = Command::Intake(IntakeBatch { shard, intents: vec![Intent::Entry(shard, entry)] });
        let counted = cells(&mut rows, &intake);
        assert!((50_000..CELLS_MAX).contains(&counted), "{counted}");
        let expired: OrderCommand = OrderCommand::Cancel {
            order: orders[0],
            user: None,
            ending: doorbuster_core::order::status::Ending::Operator,
        };
        let counted = cells(&mut rows, &Command::Order(expired));
        assert!(counted < 100, "only what changes is written: {counted}");
    }

    #[test]
    fn an_import_of_new_rows_is_limited_by_its_shards() {
        for (shards, fits, too_many) in [(1, 3_400, 3_500), (4, 1_900, 2_000)] {
            assert!(cells(&mut created(shards), &import(fits)) <= CELLS_MAX, "{fits} rows over {shards} shards");
            assert!(cells(&mut created(shards), &import(too_many)) > CELLS_MAX, "{too_many} rows over {shards} shards");
        }
    }
}
