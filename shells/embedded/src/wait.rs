//! Waiting for news, but not for ever.

use doorbuster_runtime::ports::FETCH_WAIT_MS;
use std::future::Future;
use std::time::Duration;
use tokio::sync::watch;

/// How a wait ended.
pub enum Waited {
    /// There is something to read.
    Ready,
    /// Not yet.
    TimedOut,
    /// There never will be: the writer is gone.
    Ended,
}

/// Waits for the future, at most as long as a fetch may wait.
pub async fn until<T>(news: impl Future<Output = Result<T, watch::error::RecvError>>) -> Waited {
    match tokio::time::timeout(Duration::from_millis(FETCH_WAIT_MS), news).await {
        Ok(Ok(_)) => Waited::Ready,
        Ok(Err(_)) => Waited::Ended,
        Err(_) => Waited::TimedOut,
    }
}
