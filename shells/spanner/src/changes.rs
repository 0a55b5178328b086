//! The change stream of the outbox behind its port, and the rows that tell how far it is relayed.
//!
//! The stream's partitions have long names, core's have short ones: a hash. A child's name is kept here between the page
//! that says it and the transaction that writes it down; another process reads that page again.

mod record;
mod relayed;
mod stream;

use crate::connection::{Connection, within};
use crate::read::{Reader, parse};
use crate::rows::{Before, Partitions, StoredPartition, Table, put};
use crate::schema::ROOT;
use crate::trouble::Trouble;
use async_trait::async_trait;
use doorbuster_core::limits::RELAY_PARTITIONS_MAX;
use doorbuster_core::outcome::Outcome;
use doorbuster_core::relay::partitions::{
    Child, PartitionChange, PartitionRefusal, PartitionRow, PartitionState, StreamToken,
};
use doorbuster_core::relay::{ChangePage, Place};
use doorbuster_runtime::ports::changes::Changes;
use google_cloud_spanner::statement::Statement;
use google_cloud_spanner::transaction::ReadWriteTransaction;
use relayed::Stored;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use stream::{OpenStream, Page};

/// Names of children that nobody has written down: those whose relay lost its lease at the very end are left over, so a
/// bound is needed; this one is weeks of them, in 16 MB.
const ANNOUNCED_MAX: usize = 65_536;

/// The change stream, as relays read it.
pub struct SpannerChanges {
    connection: Connection,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    /// Names of the partitions that are not finished, as they were read last.
    names: BTreeMap<StreamToken, String>,
    /// Names of children that no row has yet.
    announced: BTreeMap<StreamToken, String>,
    /// Partitions between two of their pages; at most as many as a relay reads.
    open: BTreeMap<StreamToken, OpenStream>,
}

impl SpannerChanges {
    /// Over this connection, whose schema must be this program's.
    pub fn new(connection: Connection) -> SpannerChanges {
        SpannerChanges { connection, memory: Mutex::default() }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn list(&self, owner: u64, limit: usize) -> Result<Vec<PartitionRow>, Trouble> {
        let scan_ms = self.connection.config().scan_ms;
        let (at, mut stored) = within(scan_ms, self.unfinished()).await?;
        if let Some(root) = stored.get(&ROOT).filter(|root| root.row.state != PartitionState::Finished) {
            self.begin(owner, root.row.clone()).await?;
            (_, stored) = within(scan_ms, self.unfinished()).await?;
        }
        let named = stored.iter().filter_map(|(token, stored)| Some((*token, stored.token.clone()?)));
        self.memory().names = named.collect();
        Ok(relayed::ready(&stored, owner, at, limit))
    }

    /// Every row that is not finished, and its parents; with the database's clock.
    async fn unfinished(&self) -> Result<(doorbuster_core::time::Wall, Stored), Trouble> {
        let moment = self.connection.snapshot_now().await?;
        let reader = Reader::Snapshot(&moment);
        let at = reader.clock().await?;
        let columns = Partitions::COLUMNS.join(", ");
        let sql = format!("SELECT {columns} FROM relay_partition WHERE state IN ('created', 'running')");
        let mut found = reader.query(Statement::builder(sql).build()).await?;
        let mut stored = Stored::new();
        while let Some(row) = found.next().await {
            let (token, row) = parse::<Partitions>(&row?)?;
            stored.insert(token, row);
        }
        let parents: BTreeSet<StreamToken> = stored.values().flat_map(|stored| stored.row.parents.clone()).collect();
        let missing = parents.into_iter().filter(|parent| !stored.contains_key(parent)).collect();
        stored.extend(reader.by_key::<Partitions>(&missing).await?);
        Ok((at, stored))
    }

    /// Asks for the stream's first partitions and writes them down; of two relays at once, the second is refused.
    async fn begin(&self, owner: u64, root: PartitionRow) -> Result<(), Trouble> {
        let mut stream = OpenStream::ask(&self.connection, None, Place::From(root.start));
        let scan_ms = self.connection.config().scan_ms;
        let children = loop {
            let Page { page, names } = stream.page(1, scan_ms).await?;
            if let Some(children) = page.end {
                self.announce(names);
                break children;
            }
            if page.through.is_none() {
                return Err(Trouble::Late(scan_ms));
            }
        };
        match self.transact(owner, ROOT, PartitionChange::Finish(children)).await? {
            Ok(_) | Err(PartitionRefusal::Finished | PartitionRefusal::LeaseHeld) => Ok(()),
            Err(refusal) => Err(Trouble::Broken(format!("the stream cannot be begun: {refusal:?}"))),
        }
    }

    fn announce(&self, names: Vec<(Child, String)>) {
        let mut memory = self.memory();
        memory.announced.extend(names.into_iter().map(|(child, name)| (child.token, name)));
        while memory.announced.len() > ANNOUNCED_MAX {
            memory.announced.pop_first();
        }
    }

    async fn transact(
        &self,
        owner: u64,
        token: StreamToken,
        change: PartitionChange,
    ) -> Result<Result<PartitionRow, PartitionRefusal>, Trouble> {
        let children: Vec<StreamToken> = match &change {
            PartitionChange::Finish(children) => children.iter().map(|child| child.token).collect(),
            PartitionChange::Begin | PartitionChange::Advance(_) => Vec::new(),
        };
        let names = Arc::new(self.names(&children));
        let change = Arc::new(change);
        let work = move |transaction| -> crate::transaction::Work<_> {
            Box::pin(attempt(transaction, owner, token, change.clone(), names.clone()))
        };
        let outcome = self.connection.transact("relay", work).await?;
        let mut memory = self.memory();
        if outcome.is_err() || !children.is_empty() {
            memory.open.remove(&token);
        }
        for child in &children {
            if let Some(name) = memory.announced.remove(child) {
                memory.names.insert(*child, name);
            }
        }
        Ok(outcome)
    }

    fn names(&self, children: &[StreamToken]) -> BTreeMap<StreamToken, String> {
        let memory = self.memory();
        let name = |child: &StreamToken| memory.announced.get(child).or_else(|| memory.names.get(child));
        children.iter().filter_map(|child| Some((*child, name(child)?.clone()))).collect()
    }

    async fn page(&self, token: StreamToken, from: Place, limit: usize) -> Result<ChangePage, Trouble> {
        let open = self.memory().open.remove(&token).filter(|open| open.goes_on_at(from));
        let mut open = match open {
            Some(open) => open,
            None => OpenStream::ask(&self.connection, Some(self.name(token).await?), from),
        };
        let Page { page, names } = open.page(limit, self.connection.config().block_ms).await?;
        if page.end.is_some() {
            self.announce(names);
            return Ok(page);
        }
        let mut memory = self.memory();
        if memory.open.len() >= RELAY_PARTITIONS_MAX {
            memory.open.pop_first();
        }
        memory.open.insert(token, open);
        Ok(page)
    }

    /// What the stream calls a partition.
    async fn name(&self, token: StreamToken) -> Result<String, Trouble> {
        if let Some(name) = self.names(&[token]).remove(&token) {
            return Ok(name);
        }
        let row = within(self.connection.config().scan_ms, async {
            let moment = self.connection.snapshot_now().await?;
            Ok(Reader::Snapshot(&moment).by_key::<Partitions>(&[token].into()).await?.remove(&token))
        });
        let name = row.await?.and_then(|stored| stored.token);
        name.ok_or_else(|| Trouble::Broken(format!("nobody knows the partition {token:?}")))
    }
}

/// One attempt at a change of a partition's row.
async fn attempt(
    transaction: ReadWriteTransaction,
    owner: u64,
    token: StreamToken,
    change: Arc<PartitionChange>,
    names: Arc<BTreeMap<StreamToken, String>>,
) -> Result<Result<PartitionRow, PartitionRefusal>, Trouble> {
    let reader = Reader::Writing(&transaction);
    let at = reader.clock().await?;
    let mut wanted = BTreeSet::from([token]);
    if let PartitionChange::Finish(children) = change.as_ref() {
        wanted.extend(children.iter().map(|child| child.token));
    }
    let mut stored: Stored = reader.by_key::<Partitions>(&wanted).await?;
    let parents = stored.get(&token).map(|stored| stored.row.parents.clone()).unwrap_or_default();
    let missing = parents.into_iter().filter(|parent| !stored.contains_key(parent)).collect();
    stored.extend(reader.by_key::<Partitions>(&missing).await?);
    if let Some((child, _)) = names.iter().find(|(child, name)| is_another(&stored, child, name)) {
        return Err(Trouble::Broken(format!("two partitions of the stream are called {child:?}")));
    }
    let (row, announced) = match relayed::apply(&stored, owner, at, token, &change) {
        Ok(done) => done,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let before = &stored[&token];
    let after = StoredPartition { row: row.clone(), token: before.token.clone() };
    let mut mutations = vec![put::<Partitions>(&token, &after, Before::Known(before)).mutation];
    for child in announced {
        let name = names.get(&child.token).cloned();
        let name = name.ok_or_else(|| Trouble::Broken(format!("nobody knows the name of {:?}", child.token)))?;
        let token = child.token;
        let stored = StoredPartition { row: child, token: Some(name) };
        mutations.push(put::<Partitions>(&token, &stored, Before::Absent).mutation);
    }
    transaction.buffer(mutations)?;
    Ok(Ok(row))
}

/// Whether the name that a partition is known by stands for another one.
fn is_another(stored: &Stored, token: &StreamToken, name: &str) -> bool {
    stored.get(token).is_some_and(|stored| stored.token.as_deref() != Some(name))
}

#[async_trait]
impl Changes for SpannerChanges {
    async fn ready(&self, owner: u64, limit: usize) -> Outcome<Vec<PartitionRow>, Infallible> {
        match self.list(owner, limit).await {
            Ok(rows) => Outcome::Done(rows),
            Err(trouble) => {
                tracing::warn!(%trouble, "the partitions of the change stream cannot be read");
                Outcome::Unknown
            }
        }
    }

    async fn change(
        &self,
        owner: u64,
        token: StreamToken,
        change: PartitionChange,
    ) -> Outcome<PartitionRow, PartitionRefusal> {
        match self.transact(owner, token, change).await {
            Ok(Ok(row)) => Outcome::Done(row),
            Ok(Err(refusal)) => Outcome::Refused(refusal),
            Err(trouble) => {
                tracing::warn!(%trouble, ?token, "nobody knows whether a partition's row was changed");
                Outcome::Unknown
            }
        }
    }

    async fn read(&self, token: StreamToken, from: Place, limit: usize) -> Outcome<ChangePage, Infallible> {
        match self.page(token, from, limit).await {
            Ok(page) => Outcome::Done(page),
            Err(trouble) => {
                tracing::warn!(%trouble, ?token, "a partition of the change stream cannot be read");
                Outcome::Unknown
            }
        }
    }
}
