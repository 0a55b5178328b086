//! The sales that this process has met: what the hot route must know of a sale without asking the database.
//!
//! A sale's rules are fixed at its creation, so what is remembered of them never goes stale. SKUs are only ever added:
//! one that is not remembered is looked for again.

use crate::api::Api;
use crate::problem::{Problem, Slug};
use doorbuster_core::database::rows::SaleRow;
use doorbuster_core::database::tables::Reads;
use doorbuster_core::ids::{SaleId, SkuId};
use doorbuster_core::ledger::basket::Basket;
use doorbuster_core::time::Mono;
use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

/// How long a missing sale or SKU is taken as missing without asking again: a flood of wrong names costs one read
/// per name and period, and a new one is known a moment later at worst.
const ABSENT_MS: u64 = 50;

/// Sales that are remembered, absent ones included; above that all are forgotten and learned again. Names that do not
/// exist come from strangers and must not fill the memory.
const REMEMBERED_MAX: usize = 10_000;

/// One sale as it was last read.
#[derive(Debug)]
pub struct Known {
    /// The row; its state and version may be old, its rules cannot.
    pub row: SaleRow,
    /// Sorted.
    skus: Vec<SkuId>,
}

#[derive(Clone, Debug)]
struct Remembered {
    sale: Option<Arc<Known>>,
    read_at: Mono,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Directory {
    sales: RwLock<BTreeMap<SaleId, Remembered>>,
}

impl Known {
    /// The SKUs, sorted.
    pub fn skus(&self) -> &[SkuId] {
        &self.skus
    }

    /// Whether the sale has this SKU, as far as is known.
    pub fn has(&self, sku: SkuId) -> bool {
        self.skus.binary_search(&sku).is_ok()
    }
}

impl Directory {
    fn recall(&self, sale: SaleId) -> Option<Remembered> {
        self.sales.read().expect("no holder of this lock panics").get(&sale).cloned()
    }

    /// Forgets a sale, so that a change made through this process is seen by it at once.
    pub fn forget(&self, sale: SaleId) {
        self.sales.write().expect("no holder of this lock panics").remove(&sale);
    }

    fn keep(&self, id: SaleId, remembered: Remembered) {
        let mut sales = self.sales.write().expect("no holder of this lock panics");
        if sales.len() >= REMEMBERED_MAX {
            sales.clear();
        }
        sales.insert(id, remembered);
    }
}

impl Api {
    /// The sale, read at most once while it is remembered.
    pub(crate) async fn sale(&self, id: SaleId) -> Result<Arc<Known>, Problem> {
        match self.directory.recall(id) {
            Some(Remembered { sale: Some(known), .. }) => Ok(known),
            Some(Remembered { sale: None, read_at }) if !self.is_old(read_at) => Err(Slug::UnknownSale.into()),
            Some(_) | None => self.learn(id).await,
        }
    }

    /// The sale, if it and every SKU of the basket are remembered: nothing is asked.
    pub(crate) fn recall(&self, id: SaleId, basket: &Basket) -> Option<Arc<Known>> {
        let known = self.directory.recall(id)?.sale?;
        basket.lines().iter().all(|line| known.has(line.sku)).then_some(known)
    }

    /// The sale as it is now: for whatever depends on its state.
    pub(crate) async fn learn(&self, id: SaleId) -> Result<Arc<Known>, Problem> {
        let read_at = self.now().mono;
        let mut rows = self.read(Reads { sales: [id].into(), ranges: [id].into(), ..Reads::default() }).await?;
        let skus = rows.ranges.remove(&id).unwrap_or_default().skus;
        let sale = rows.sales.remove(&id).map(|row| Arc::new(Known { row, skus }));
        self.directory.keep(id, Remembered { sale: sale.clone(), read_at });
        sale.ok_or_else(|| Slug::UnknownSale.into())
    }

    /// Checks that the sale has these SKUs, looking again before it says no.
    pub(crate) async fn check_skus(
        &self,
        known: &Known,
        skus: impl Iterator<Item = SkuId> + Clone,
    ) -> Result<(), Problem> {
        if skus.clone().all(|sku| known.has(sku)) {
            return Ok(());
        }
        let id = known.row.id;
        let fresh = match self.directory.recall(id) {
            Some(Remembered { sale: Some(sale), read_at }) if !self.is_old(read_at) => sale,
            Some(_) | None => self.learn(id).await?,
        };
        match skus.clone().find(|sku| !fresh.has(*sku)) {
            None => Ok(()),
            Some(sku) => Err(unknown_sku(sku)),
        }
    }

    fn is_old(&self, read_at: Mono) -> bool {
        self.now().mono >= read_at.after_ms(ABSENT_MS)
    }
}

/// The refusal that names the SKU.
pub fn unknown_sku(sku: SkuId) -> Problem {
    Slug::UnknownSku.because(format!("The sale has no SKU {sku}.")).with("sku", sku.as_str())
}
