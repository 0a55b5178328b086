//! Reads of one transaction, whether it writes or not: by key, and in the order of keys.

use crate::rows::{
    Cells, Counted, Orders, Payments, Products, Quotas, Sales, SalesCursors, SalesRings, Shards, Skus, Stock, Table,
    TopUps,
};
use crate::trouble::Trouble;
use crate::value::wall_of;
use doorbuster_core::database::rows::RangeRow;
use doorbuster_core::database::tables::{Reads, Rows};
use doorbuster_core::ids::{SaleId, SkuId};
use doorbuster_core::time::Wall;
use google_cloud_spanner::Error;
use google_cloud_spanner::client::DatabaseClient;
use google_cloud_spanner::key::{Key, KeyRange, KeySet};
use google_cloud_spanner::read::ReadRequest;
use google_cloud_spanner::result::{ResultSet, Row};
use google_cloud_spanner::statement::Statement;
use google_cloud_spanner::transaction::{
    ReadWriteTransaction, SingleUseReadOnlyTransaction, Timestamp, TimestampBound,
};
use google_cloud_spanner::value::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A transaction, as whoever only reads sees it.
#[derive(Clone, Copy)]
pub enum Reader<'a> {
    /// One that writes.
    Writing(&'a ReadWriteTransaction),
    /// One state of the database.
    Snapshot(&'a Moment),
}

/// One state of the database, named by its time: every read of it is a transaction of its own at that time. An emulator
/// forgets a longer one when its session begins another.
#[derive(Clone, Debug)]
pub struct Moment {
    /// For the reads.
    pub client: DatabaseClient,
    /// Which state.
    pub at: Timestamp,
}

impl Moment {
    fn transaction(&self) -> SingleUseReadOnlyTransaction {
        self.client.single_use().set_timestamp_bound(TimestampBound::read_timestamp(self.at)).build()
    }
}

impl Reader<'_> {
    /// The database's clock.
    pub async fn clock(&self) -> Result<Wall, Trouble> {
        let mut found = self.query(Statement::builder("SELECT CURRENT_TIMESTAMP()").build()).await?;
        let row = found.next().await.transpose()?;
        let row = row.ok_or_else(|| Trouble::Broken("the database does not tell its time".to_owned()))?;
        Ok(wall_of(row.get::<Timestamp>(0)?))
    }

    /// Rows with these keys.
    pub async fn rows(&self, reads: &Reads) -> Result<Rows, Trouble> {
        // The tables are read side by side: a round of a decision is one round trip.
        let (sales, ranges, products, skus, shards, stock, orders, quotas, payments, top_ups, rings, cursors, counted) =
            tokio::try_join!(
                self.by_key::<Sales>(&reads.sales),
                self.ranges(&reads.ranges),
                self.by_key::<Products>(&reads.products),
                self.by_key::<Skus>(&reads.skus),
                self.by_key::<Shards>(&reads.shards),
                self.by_key::<Stock>(&reads.stock),
                self.by_key::<Orders>(&reads.orders),
                self.by_key::<Quotas>(&reads.quotas),
                self.by_key::<Payments>(&reads.payments),
                self.by_key::<TopUps>(&reads.top_ups),
                self.by_key::<SalesRings>(&reads.sales_rings),
                self.by_key::<SalesCursors>(&reads.sales_cursors),
                self.by_key::<Counted>(&reads.counted),
            )?;
        Ok(Rows {
            sales,
            ranges,
            products,
            skus,
            shards,
            stock,
            orders,
            quotas,
            payments,
            top_ups,
            sales_rings: rings,
            sales_cursors: cursors,
            counted,
        })
    }

    /// Rows of one table.
    pub async fn by_key<T: Table>(&self, keys: &BTreeSet<T::Key>) -> Result<BTreeMap<T::Key, T::Row>, Trouble> {
        if keys.is_empty() {
            return Ok(BTreeMap::new());
        }
        let add = |set: google_cloud_spanner::key::KeySetBuilder, key| set.add_key(Key::new(T::key(key)));
        let set = keys.iter().fold(KeySet::builder(), add).build();
        let found = self.read(ReadRequest::builder(T::NAME, T::COLUMNS.iter().copied()).with_keys(set).build()).await?;
        Ok(collect::<T>(found).await?.into_iter().collect())
    }

    /// Up to `limit` rows of a table in the order of their keys: those whose keys begin with `prefix`, behind `after`.
    pub async fn scan<T: Table>(
        &self,
        prefix: Vec<Value>,
        after: Option<Vec<Value>>,
        limit: Option<usize>,
    ) -> Result<Vec<(T::Key, T::Row)>, Trouble> {
        let request = ReadRequest::builder(T::NAME, T::COLUMNS.iter().copied()).with_keys(range(prefix, after));
        let request = limit.into_iter().fold(request, |request, limit| request.set_limit(most(limit)));
        collect::<T>(self.read(request.build()).await?).await
    }

    /// Reads by keys.
    pub async fn read(&self, request: ReadRequest) -> Result<ResultSet, Error> {
        match self {
            Reader::Writing(transaction) => transaction.execute_read(request).await,
            Reader::Snapshot(moment) => moment.transaction().execute_read(request).await,
        }
    }

    /// Reads by SQL.
    pub async fn query(&self, statement: Statement) -> Result<ResultSet, Error> {
        match self {
            Reader::Writing(transaction) => transaction.execute_query(statement).await,
            Reader::Snapshot(moment) => moment.transaction().execute_query(statement).await,
        }
    }

    /// The SKUs of sales, from the keys of their rows. A sale without SKUs has no range, which reads like an empty one.
    async fn ranges(&self, sales: &BTreeSet<SaleId>) -> Result<BTreeMap<SaleId, RangeRow>, Trouble> {
        if sales.is_empty() {
            return Ok(BTreeMap::new());
        }
        let all_of = |sale: &SaleId| range(vec![sale.as_str().into()], None);
        let set = sales.iter().fold(KeySet::builder(), |set, sale| set.add_range(all_of(sale))).build();
        let mut found = self.read(ReadRequest::builder(Skus::NAME, ["sale", "sku"]).with_keys(set).build()).await?;
        let mut ranges: BTreeMap<SaleId, RangeRow> = BTreeMap::new();
        while let Some(row) = found.next().await {
            let row = row?;
            let mut cells = Cells::of(Skus::NAME, row.raw_values());
            let (sale, sku): (SaleId, SkuId) = (cells.named()?, cells.named()?);
            ranges.entry(sale).or_default().skus.push(sku);
        }
        for row in ranges.values_mut() {
            row.skus.sort_unstable();
        }
        Ok(ranges)
    }
}

/// The keys that begin with `prefix` and stand behind `after`.
pub fn range(prefix: Vec<Value>, after: Option<Vec<Value>>) -> KeyRange {
    let end = Key::new(prefix.clone());
    match after {
        Some(after) => KeyRange::open_closed(Key::new(after), end),
        None => KeyRange::closed_closed(Key::new(prefix), end),
    }
}

/// A number of rows as the client says it.
pub fn most(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// One row of a table.
pub fn parse<T: Table>(row: &Row) -> Result<(T::Key, T::Row), Trouble> {
    Ok(T::parse(&mut Cells::of(T::NAME, row.raw_values()))?)
}

async fn collect<T: Table>(mut found: ResultSet) -> Result<Vec<(T::Key, T::Row)>, Trouble> {
    let mut rows = Vec::new();
    while let Some(row) = found.next().await {
        rows.push(parse::<T>(&row?)?);
    }
    Ok(rows)
}
