//! What can go wrong between a question and its answer.

use crate::rows::Misread;
use doorbuster_runtime::ports::Unavailable;
use google_cloud_spanner::Error;

/// Why there is no answer. Whether a transaction that failed so was committed, nobody knows.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The server said no, or nothing.
    #[error("{0}")]
    Client(#[from] Error),
    /// It said what this program does not understand.
    #[error("{0}")]
    Misread(#[from] Misread),
    /// It took longer than it may.
    #[error("no answer within {0} ms")]
    Late(u64),
    /// What is kept contradicts itself.
    #[error("{0}")]
    Broken(String),
}

impl From<Trouble> for Unavailable {
    fn from(trouble: Trouble) -> Unavailable {
        Unavailable(trouble.to_string())
    }
}
