//! Sales of seven days, as every world judges them: every window that is told, every document that is shown, and both when
//! everything has come to rest.

use super::watch::Broken;
use crate::services::broker::Broker;
use crate::services::broker::group::Group;
use crate::services::database::{Commit, Database};
use crate::services::search::Search;
use doorbuster_core::ids::{ProductId, SkuId};
use doorbuster_core::limits::SALES_EMIT_DELAY_MS;
use doorbuster_core::oracle::verdict::{Checked, Judgement};
use doorbuster_core::oracle::window_watch::WindowWatch;
use doorbuster_core::search::document::Document;
use doorbuster_core::time::Wall;
use doorbuster_core::window::hour::Hour;
use doorbuster_core::window::rows::SalesRingRow;
use std::collections::BTreeMap;

/// The roles through which what was sold comes to search.
pub const ROLES: [&str; 3] = ["relay", "sales", "indexer"];
/// After an hour has ended, its windows are told and shown within so many seconds.
pub const CONVERGED_S: u64 = 300;

/// A transaction was committed: orders that it moved, movements that it counted, windows that it told. Whether it told any.
pub fn committed(windows: &mut WindowWatch, commit: &Commit) -> bool {
    let change = &commit.decision.change;
    change.rows.orders.values().for_each(|order| windows.order_moved(order));
    change.rows.counted.keys().for_each(|id| windows.movement_counted(*id));
    let hour = Hour::of(commit.at.before_ms(SALES_EMIT_DELAY_MS));
    let mut told = false;
    for (sku, row) in &change.rows.sales_rings {
        let before = commit.before.sales_rings.get(sku).and_then(|row| row.emitted_hour);
        if row.emitted_hour.is_some() && row.emitted_hour != before {
            told = true;
            windows.window_emitted(*sku, hour.0, row.emitted);
        }
    }
    for sku in &change.removed.sales_rings {
        told = true;
        windows.window_emitted(*sku, hour.0, 0);
    }
    told
}

/// Search shows a document that it did not show before.
pub fn shown(windows: &mut WindowWatch, document: &Document) {
    windows.document_shown(document.product, document.version.0, document.sales_7d);
}

/// S18 of what was told and shown so far; for when something was.
pub fn broken(windows: &WindowWatch) -> Option<Broken> {
    objection(windows.judge()).map(|what| ("S18", what))
}

/// What a judgement finds. That something is missing is a finding too: nobody else looks at the windows.
fn objection(judged: Checked) -> Option<String> {
    match judged.unwrap_or_else(Judgement::from) {
        Judgement::Green => None,
        Judgement::Red { findings, count } => {
            let first = findings.first().map_or(String::new(), |first| format!("{}: {}", first.place, first.what));
            Some(format!("{count} times, first {first}"))
        }
        Judgement::NotChecked { missing } => Some(format!("cannot be judged: {missing}")),
    }
}

/// A world in which what was sold should have come to search.
pub struct Ending<'a> {
    /// What was seen of the windows.
    pub windows: &'a WindowWatch,
    /// The rows, and the outbox.
    pub database: &'a Database,
    /// The topics.
    pub broker: &'a Broker,
    /// The index.
    pub search: &'a Search,
    /// Those of the groups on this way that have members.
    pub groups: &'a [Group],
    /// Every product that was ever written.
    pub products: &'a [ProductId],
    /// The database's clock.
    pub at: Wall,
}

impl Ending<'_> {
    /// What is still on its way.
    pub fn undone(&self) -> Option<Broken> {
        if self.database.stream.unsent() > 0 {
            return Some(("L7", "the outbox is not relayed".to_owned()));
        }
        if let Some(group) = self.groups.iter().find(|group| self.broker.lag(**group) > 0) {
            return Some(("L2", format!("{group:?} has not done {} records", self.broker.lag(*group))));
        }
        self.search.is_busy().then(|| ("L9", "search has something to show".to_owned()))
    }

    /// What is on its way, or told or shown otherwise than it is, for a time when the hour's windows should be told.
    pub fn owes(&self) -> Option<Broken> {
        if let Some(undone) = self.undone() {
            return Some(undone);
        }
        let hour = Hour::of(self.at.before_ms(SALES_EMIT_DELAY_MS));
        let told = |(sku, row): (&SkuId, &SalesRingRow)| (*sku, row.emitted);
        let told: BTreeMap<SkuId, u64> = self.database.rows().sales_rings.iter().map(told).collect();
        if let Some(what) = objection(self.windows.judge_converged(hour.0, &told)) {
            return Some(("L9", what));
        }
        let indexed = self.groups.contains(&Group::Indexer);
        self.products.iter().filter(|_| indexed).find_map(|product| self.unlike(*product))
    }

    /// How search shows a product otherwise than its rows are.
    fn unlike(&self, product: ProductId) -> Option<Broken> {
        let rows = self.database.rows();
        let shown = self.search.shown(product);
        let now = Document::of(product, Default::default(), rows.products.get(&product), rows.sales_rings.values());
        let shown_row = shown.and_then(|document| document.row.as_ref());
        if shown_row != now.row.as_ref() {
            return Some(("L8", format!("search shows {product} as {shown_row:?}, its row is {:?}", now.row)));
        }
        let shown_sales = shown.map_or(0, |document| document.sales_7d);
        let differs = shown_sales != now.sales_7d;
        differs.then(|| ("L9", format!("search shows {shown_sales} of {product}, its windows say {}", now.sales_7d)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorbuster_core::oracle::verdict::Missing;

    #[test]
    fn what_cannot_be_judged_is_a_finding() {
        assert_eq!(objection(Ok(Judgement::Green)), None);
        let missing = objection(Err(Missing("windows that were told".to_owned())));
        assert_eq!(missing.as_deref(), Some("cannot be judged: windows that were told"));
    }
}
