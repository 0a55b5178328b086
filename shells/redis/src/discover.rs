//! Which server has a key.

mod cluster;
mod sentinel;
mod slot;

pub use cluster::Cluster;
pub use sentinel::Sentinel;
pub use slot::slot_of;

use crate::connection::{Credentials, RawConnection};
use crate::dial::{Address, Dial};
use async_trait::async_trait;
use doorbuster_lua::value::Value;
use redis::Pipeline;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Knows where keys live.
///
/// Contract: an answer may be old at any time. Whoever connects asks the server itself whether it is a master, and
/// writes only under a fence that names it.
#[async_trait]
pub trait Discover: Send + Sync + 'static {
    /// The master of this key or hash tag as last heard, without asking anybody; nothing before the first refresh.
    fn known(&self, key: &str) -> Option<Address>;
    /// Asks again.
    ///
    /// # Errors
    /// Nobody who knows could be asked; what was known stands.
    async fn refresh(&self) -> Result<(), String>;
}

/// One server for everything, which is always where it is.
#[derive(Clone, Debug)]
pub struct Standalone(pub Address);

#[async_trait]
impl Discover for Standalone {
    fn known(&self, _: &str) -> Option<Address> {
        Some(self.0.clone())
    }

    async fn refresh(&self) -> Result<(), String> {
        Ok(())
    }
}

/// Asks servers that know where others are.
pub(crate) struct Guides {
    pub dial: Arc<dyn Dial>,
    pub credentials: Credentials,
    /// The longest time of one question, connection included.
    pub patience: Duration,
}

impl Guides {
    /// One question to one of them.
    pub async fn ask(&self, guide: &Address, question: &[&str]) -> Result<Value, String> {
        let mut questions = Pipeline::new();
        questions.cmd(question[0]).arg(&question[1..]);
        let asking = async {
            let stream = self.dial.dial(guide).await.map_err(|error| error.to_string())?;
            let connection = RawConnection::open(stream, &self.credentials, None).await?;
            connection.send(&questions).await
        };
        let answered = timeout(self.patience, asking).await.unwrap_or_else(|_| Err("no answer in time".to_owned()));
        let reply = answered.map_err(|error| format!("{guide}: {error}"))?.pop();
        reply.ok_or_else(|| format!("{guide}: no reply"))
    }
}

/// Which guide is asked first the next time: the one that has answered, unless it only said again what was doubted. It
/// may be cut off from the others itself.
fn first_of_next(answered: usize, is_unchanged: bool) -> usize {
    if is_unchanged { answered + 1 } else { answered }
}
