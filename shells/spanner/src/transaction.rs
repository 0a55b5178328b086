//! Transactions that write: run again after an abort, unknown when nobody can say what became of them.

use crate::connection::{Connection, within};
use crate::read::Moment;
use crate::rows::Misread;
use crate::trouble::Trouble;
use google_cloud_spanner::Error;
use google_cloud_spanner::transaction::ReadWriteTransaction;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// Work in a transaction.
pub(crate) type Work<T> = Pin<Box<dyn Future<Output = Result<T, Trouble>> + Send>>;

/// An attempt as the client sees it.
type Settled<T> = Pin<Box<dyn Future<Output = Result<Result<T, Stop>, Error>> + Send>>;

impl Connection {
    /// Runs `work` in a transaction and commits it; work that buffers nothing commits its reads, so that what it answers
    /// was true at one time. An aborted attempt is run again, so `work` has no effect beside the transaction.
    ///
    /// # Errors
    /// Written or not: nobody knows.
    pub(crate) async fn transact<T, W>(&self, tag: &'static str, work: W) -> Result<T, Trouble>
    where
        T: Send + 'static,
        W: Fn(ReadWriteTransaction) -> Work<T> + Send,
    {
        let limit_ms = self.config().transaction_ms;
        within(limit_ms, async {
            let writer = self.writer().await?;
            let runner = writer
                .client
                .read_write_transaction()
                .with_transaction_timeout(Duration::from_millis(limit_ms))
                .set_transaction_tag(tag)
                .build();
            let attempt = move |transaction: ReadWriteTransaction| {
                let work = work(transaction);
                let settled: Settled<T> = Box::pin(async move { settle(work.await) });
                settled
            };
            let ended = runner.run(attempt).await?.into_inner();
            self.put_back(writer);
            ended.map_err(|stop| match stop {
                Stop::Misread(misread) => Trouble::Misread(misread),
                Stop::Broken(what) => Trouble::Broken(what),
                Stop::Late(millis) => Trouble::Late(millis),
            })
        })
        .await
    }

    /// One state of the database, of now: it sees every commit that was answered before.
    pub(crate) async fn snapshot_now(&self) -> Result<Moment, Trouble> {
        use google_cloud_spanner::transaction::BeginTransactionOption::ExplicitBegin;
        // It is begun only for the time that it is given.
        let builder = self.reads().read_only_transaction().set_begin_transaction_option(ExplicitBegin);
        let begun = within(self.config().scan_ms, async { Ok(builder.build().await?) }).await?;
        let at = begun.read_timestamp();
        let at = at.ok_or_else(|| Trouble::Broken("a snapshot does not tell its time".to_owned()))?;
        Ok(Moment { client: self.reads().clone(), at })
    }
}

/// Why work ended that has buffered nothing.
enum Stop {
    Misread(Misread),
    Broken(String),
    Late(u64),
}

/// Errors of the client go to the client, which knows an abort from the rest; others end the transaction as it is.
fn settle<T>(result: Result<T, Trouble>) -> Result<Result<T, Stop>, Error> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(Trouble::Client(error)) => Err(error),
        Err(Trouble::Misread(misread)) => Ok(Err(Stop::Misread(misread))),
        Err(Trouble::Broken(what)) => Ok(Err(Stop::Broken(what))),
        Err(Trouble::Late(millis)) => Ok(Err(Stop::Late(millis))),
    }
}
