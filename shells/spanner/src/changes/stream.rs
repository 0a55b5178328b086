//! One partition of the change stream, open: the server goes on saying, pages are taken from what it has said.

use super::record::{Said, parse};
use crate::connection::Connection;
use crate::trouble::Trouble;
use crate::value::timestamp;
use doorbuster_core::limits::CHANGES_MAX;
use doorbuster_core::relay::partitions::{Child, CommitTime};
use doorbuster_core::relay::{ChangePage, Place};
use doorbuster_runtime::drive::spawn;
use google_cloud_spanner::statement::Statement;
use google_cloud_spanner::types;
use std::time::Duration;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::JoinHandle;

/// An open partition. Its question is cancelled when it is dropped.
pub struct OpenStream {
    said: Receiver<Result<Said, Trouble>>,
    asking: JoinHandle<()>,
    /// Where the next page begins.
    place: Place,
    /// What follows the partition, as far as it was said.
    children: Vec<(Child, String)>,
    broken: bool,
}

/// A page, with the stream's own names of what follows the partition.
pub struct Page {
    /// For the relay.
    pub page: ChangePage,
    /// The children's names; empty before the end.
    pub names: Vec<(Child, String)>,
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.asking.abort();
    }
}

impl OpenStream {
    /// Asks for everything of a partition from this place on; without a token, for the first partitions.
    ///
    /// The stream can be asked for a time only, so what stands before the place at its own time comes once more.
    pub fn ask(connection: &Connection, token: Option<String>, place: Place) -> OpenStream {
        let (Place::From(start) | Place::Behind(start, _)) = place;
        // As many as one page has, and no more: a slow relay slows the server down, not this process's memory.
        let (to, said) = mpsc::channel(CHANGES_MAX);
        let asking = spawn(ask(connection.clone(), token, start, to));
        OpenStream { said, asking, place: Place::From(start), children: Vec::new(), broken: false }
    }

    /// Whether the page behind `from` can be taken from it.
    pub fn goes_on_at(&self, from: Place) -> bool {
        !self.broken && self.place == from
    }

    /// Up to `limit` records; waits for the first word so many milliseconds.
    ///
    /// # Errors
    /// When the stream is broken and nothing of it is left to tell.
    pub async fn page(&mut self, limit: usize, block_ms: u64) -> Result<Page, Trouble> {
        let mut page = ChangePage { records: Vec::new(), through: None, next: self.place, end: None };
        let mut names = Vec::new();
        while page.records.len() < limit && page.through.is_none() {
            match self.next(page.records.is_empty(), block_ms).await {
                Next::Silence => break,
                Next::Said(Said::Told(at, event)) => {
                    self.place = behind(self.place, at);
                    page.records.push((at, event));
                }
                // Nothing stands at or before it any more, so that is not read again however long the stream lives.
                Next::Said(Said::Beat(at)) => {
                    page.through = Some(at);
                    self.place = Place::From(CommitTime(at.0 + 1));
                }
                Next::Said(Said::Followed(children)) => self.children.extend(children),
                Next::Over if self.children.is_empty() => {
                    self.broken = true;
                    if page.records.is_empty() {
                        return Err(Trouble::Broken("a partition has ended, and nothing follows it".to_owned()));
                    }
                    break;
                }
                Next::Over => {
                    names = std::mem::take(&mut self.children);
                    page.end = Some(names.iter().map(|(child, _)| child.clone()).collect());
                    break;
                }
                Next::Broken(trouble) => {
                    self.broken = true;
                    if page.records.is_empty() {
                        return Err(trouble);
                    }
                    break;
                }
            }
        }
        page.next = self.place;
        Ok(Page { page, names })
    }

    async fn next(&mut self, wait: bool, block_ms: u64) -> Next {
        let said = if wait || !self.children.is_empty() {
            match tokio::time::timeout(Duration::from_millis(block_ms), self.said.recv()).await {
                Ok(said) => said,
                Err(_) => return Next::Silence,
            }
        } else {
            match self.said.try_recv() {
                Ok(said) => Some(said),
                Err(TryRecvError::Empty) => return Next::Silence,
                Err(TryRecvError::Disconnected) => None,
            }
        };
        match said {
            Some(Ok(said)) => Next::Said(said),
            Some(Err(trouble)) => Next::Broken(trouble),
            None => Next::Over,
        }
    }
}

enum Next {
    Said(Said),
    Silence,
    Over,
    Broken(Trouble),
}

/// One record further, at this time.
fn behind(place: Place, at: CommitTime) -> Place {
    match place {
        Place::Behind(time, count) if time == at => Place::Behind(at, count + 1),
        Place::From(_) | Place::Behind(..) => Place::Behind(at, 1),
    }
}

async fn ask(connection: Connection, token: Option<String>, start: CommitTime, to: Sender<Result<Said, Trouble>>) {
    if let Err(trouble) = tell(&connection, token, start, &to).await {
        // Nobody listens any more when it cannot be sent.
        let _ = to.send(Err(trouble)).await;
    }
}

async fn tell(
    connection: &Connection,
    token: Option<String>,
    start: CommitTime,
    to: &Sender<Result<Said, Trouble>>,
) -> Result<(), Trouble> {
    let sql = "SELECT ChangeRecord FROM READ_outbox_stream(start_timestamp => @start, end_timestamp => NULL, \
               partition_token => @token, heartbeat_milliseconds => @heartbeat)";
    let statement = Statement::builder(sql)
        .add_typed_param("start", timestamp(start.0), types::timestamp())
        .add_typed_param("token", token, types::string())
        .add_typed_param("heartbeat", connection.config().heartbeat_ms.cast_signed(), types::int64())
        .build();
    let mut rows = connection.reads().single_use().build().execute_query(statement).await?;
    while let Some(row) = rows.next().await {
        for said in parse(&row?)? {
            if to.send(Ok(said)).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_counts_the_records_of_its_time() {
        let first = behind(Place::From(CommitTime(3)), CommitTime(3));
        assert_eq!(first, Place::Behind(CommitTime(3), 1));
        assert_eq!(behind(first, CommitTime(3)), Place::Behind(CommitTime(3), 2));
        assert_eq!(behind(first, CommitTime(4)), Place::Behind(CommitTime(4), 1));
    }
}
