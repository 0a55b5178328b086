//! What every request shares: ports, secrets, limits, and what is remembered between requests.

use crate::board::Board;
use crate::directory::Directory;
use crate::door::Door;
use crate::etag;
use crate::problem::{Problem, Slug};
use crate::token::Tokens;
use doorbuster_core::database::command::{Command, Refusal, Reply};
use doorbuster_core::database::tables::{Reads, Rows};
use doorbuster_core::limits::{USER_BURST, USER_PER_SECOND};
use doorbuster_core::outcome::Outcome;
use doorbuster_core::receipt::ReceiptKey;
use doorbuster_core::time::Now;
use doorbuster_runtime::env::SharedEnv;
use doorbuster_runtime::ports::Unavailable;
use doorbuster_runtime::ports::admit::Admit;
use doorbuster_runtime::ports::ledger::Ledger;
use doorbuster_runtime::ports::provider::Provider;
use doorbuster_runtime::ports::store::{Snapshot, Store};
use doorbuster_runtime::roles::cache::Products;
use doorbuster_runtime::telemetry::Telemetry;
use std::sync::Arc;
use tokio::sync::watch;

/// The secrets of the edge.
#[derive(Clone)]
pub struct Secrets {
    /// Signs tokens.
    pub tokens: Vec<u8>,
    /// Signs receipts.
    pub receipts: Vec<u8>,
    /// Shared with the payment provider.
    pub webhooks: Vec<u8>,
}

/// What an operator may set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whether buyers may tell the simulated provider how to behave, and everybody may see the console's feed.
    pub dev: bool,
    /// Clicks per second of one buyer, over all sales.
    pub clicks_per_second: u32,
    /// Clicks that one buyer may make at once.
    pub clicks_burst: u32,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { dev: false, clicks_per_second: USER_PER_SECOND, clicks_burst: USER_BURST }
    }
}

/// Whether an invariant holds now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Light {
    /// It holds.
    Green,
    /// It is broken.
    Red,
    /// Its input is missing: nothing is known.
    NotChecked,
}

/// What the live oracle says of one invariant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveVerdict {
    /// Its id.
    pub id: &'static str,
    /// Whether it holds.
    pub state: Light,
    /// What was compared, or what is wrong.
    pub detail: String,
    /// When it was looked at.
    pub checked_at: doorbuster_core::time::Mono,
}

/// What the binary brings.
pub struct Ports {
    /// The database.
    pub store: Arc<dyn Store>,
    /// The shards' servers.
    pub ledger: Arc<dyn Ledger>,
    /// The lanes.
    pub admit: Arc<dyn Admit>,
    /// The payment provider.
    pub provider: Arc<dyn Provider>,
    /// The products, through the cache of this process.
    pub products: Arc<Products>,
    /// Clocks and entropy.
    pub env: SharedEnv,
    /// Counters.
    pub telemetry: Arc<Telemetry>,
    /// What the live oracle says; `None` where no oracle runs.
    pub verdicts: Option<watch::Receiver<Vec<LiveVerdict>>>,
    /// Lines of an audit that only the adapters know: memories, ends of logs, the delay queue; `None` without them.
    pub depths: Option<Arc<dyn crate::admin::audit::Depths>>,
}

/// What every request shares.
pub struct Api {
    pub(crate) ports: Ports,
    pub(crate) settings: Settings,
    pub(crate) tokens: Tokens,
    pub(crate) receipts: ReceiptKey,
    pub(crate) webhooks: Vec<u8>,
    pub(crate) directory: Directory,
    pub(crate) door: Door,
    pub(crate) board: Board,
    pub(crate) closing: watch::Sender<bool>,
}

/// The state of the router.
pub type Shared = Arc<Api>;

impl Api {
    /// Over these ports.
    pub fn shared(ports: Ports, secrets: Secrets, settings: Settings) -> Shared {
        let door = Door::new(&settings);
        Arc::new(Api {
            ports,
            tokens: Tokens::new(&secrets.tokens),
            receipts: ReceiptKey::new(&secrets.receipts),
            webhooks: secrets.webhooks,
            directory: Directory::default(),
            door,
            board: Board::default(),
            closing: watch::Sender::new(false),
            settings,
        })
    }

    /// Tokens of this platform.
    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    pub(crate) fn now(&self) -> Now {
        self.ports.env.now()
    }

    pub(crate) async fn read(&self, reads: Reads) -> Result<Rows, Problem> {
        Ok(self.ports.store.read(reads).await?)
    }

    pub(crate) async fn snapshot(&self) -> Result<Arc<dyn Snapshot>, Problem> {
        Ok(self.ports.store.snapshot().await?)
    }

    /// One transaction. `Unknown` is told to the caller as such: every command is safe to repeat.
    pub(crate) async fn apply(&self, command: Command) -> Result<Reply, Problem> {
        match self.ports.store.apply(command).await {
            Outcome::Done(reply) => Ok(reply),
            Outcome::Refused(refusal) => Err(refusal.into()),
            Outcome::Unknown => Err(Slug::OutcomeUnknown.into()),
        }
    }
}

impl From<Unavailable> for Problem {
    fn from(unavailable: Unavailable) -> Problem {
        tracing::warn!(%unavailable, "a port does not answer");
        Slug::Unavailable.into()
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Problem {
        match refusal {
            Refusal::NotYet => Slug::NotYet.into(),
            Refusal::NoSale => Slug::UnknownSale.into(),
            Refusal::NoSku => Slug::UnknownSku.into(),
            Refusal::NoPayment => Slug::UnknownPayment.into(),
            Refusal::NotYours => Slug::UnknownOrder.into(),
            Refusal::Forbidden(edge) => {
                let (from, to) = (edge.from.name(), edge.to.name());
                let detail = format!("The order is {from}; it cannot become {to}.");
                Slug::ForbiddenTransition.because(detail).with("from", from).with("to", to)
            }
            Refusal::SaleConflict(why) => Slug::SaleConflict.because(why),
            Refusal::KeyReused | Refusal::PaymentConflict => Slug::KeyReused.into(),
            Refusal::PaymentState(status) => Slug::PaymentState.because(format!("The payment is {status:?}.")),
            Refusal::StaleVersion(version) => etag::stale(version),
            Refusal::StaleRung | Refusal::LeaseHeld => Slug::ShardNotOpen.into(),
            // Expiry is asked by the reaper and sales are counted by their worker, never through this API.
            Refusal::NotExpired | Refusal::StaleOffset | Refusal::WindowOpen => Slug::Internal.into(),
            Refusal::Invalid(what) => Slug::InvalidValue.because(what),
        }
    }
}
