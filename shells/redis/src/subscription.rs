//! Who listens to changes of products: messages come at most once, so every silence that may have lost one is told.

use crate::cache::{CHANNEL, read_announcement};
use crate::connection::{RawConnection, TakePush};
use crate::servers::Servers;
use async_trait::async_trait;
use doorbuster_core::call::Call as Attempt;
use doorbuster_core::ids::{ProductId, Version};
use doorbuster_core::rng::Rng;
use doorbuster_lua::keys::cache_key;
use doorbuster_runtime::drive::{Stop, spawn};
use doorbuster_runtime::ports::cache::{Listen, Notice};
use redis::{Pipeline, PushInfo, PushKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

/// Changes that wait for their listener: more than a catalogue's import tells at once. A listener who lets more come is
/// told that it may have missed some.
const NOTICES_MAX: usize = 4_096;

/// What was heard and not yet read.
pub(crate) struct Heard(mpsc::Receiver<Notice>);

/// Listens until it is told to stop or nobody reads what it hears.
pub(crate) fn listen(servers: Arc<Servers>, stop: Stop) -> Heard {
    let (notices, heard) = mpsc::channel(NOTICES_MAX);
    let listener = Listener { servers, notices, missed: Arc::new(AtomicBool::new(false)) };
    spawn(listener.run(stop));
    Heard(heard)
}

#[async_trait]
impl Listen for Heard {
    async fn next(&mut self) -> Option<Notice> {
        self.0.recv().await
    }
}

struct Listener {
    servers: Arc<Servers>,
    notices: mpsc::Sender<Notice>,
    /// A message came for which there was no room.
    missed: Arc<AtomicBool>,
}

impl Listener {
    async fn run(self, mut stop: Stop) {
        tokio::select! {
            biased;
            _ = stop.wait_for(|stopped| *stopped) => {}
            () = self.notices.closed() => {}
            () = self.stay_subscribed() => {}
        }
    }

    async fn stay_subscribed(&self) {
        let env = &self.servers.connector.env;
        let (mut rng, mut attempt) = (Rng::seeded(env.entropy()), Attempt::QUIET);
        loop {
            match self.subscribe().await {
                Ok(connection) => {
                    attempt.rest();
                    // Room for it comes as soon as the listener reads on; nothing else would be worth its place.
                    if self.notices.send(Notice::Reconnected).await.is_err() {
                        return;
                    }
                    self.stay(&connection).await;
                }
                Err(error) => {
                    self.servers.doubt();
                    tracing::warn!(error, "no subscription to changes of products");
                }
            }
            let now = env.now().mono;
            attempt.retry(now, &mut rng);
            let until = attempt.wake_at().expect("a retry has a time");
            sleep(Duration::from_micros(until.0.saturating_sub(now.0))).await;
        }
    }

    async fn subscribe(&self) -> Result<RawConnection, String> {
        // Any server tells all messages; one that has a key is one that is alive.
        let place = cache_key(ProductId::parse("any").expect("a name"));
        let link =
            self.servers.link(&place, crate::servers::Purpose::Cache).await.map_err(|error| error.to_string())?;
        let connector = &self.servers.connector;
        let opening = async {
            let stream = connector.dial.dial(link.address()).await.map_err(|error| error.to_string())?;
            let connection = RawConnection::open(stream, &connector.credentials, Some(self.take_push())).await?;
            connection.subscribe(CHANNEL).await?;
            Ok(connection)
        };
        timeout(connector.connect, opening).await.unwrap_or_else(|_| Err("no subscription in time".to_owned()))
    }

    fn take_push(&self) -> TakePush {
        let (notices, missed) = (self.notices.clone(), self.missed.clone());
        Box::new(move |pushed| {
            let Some((product, version)) = message(&pushed) else { return };
            if notices.try_send(Notice::Invalidated(product, version)).is_err() {
                missed.store(true, Ordering::Relaxed);
            }
        })
    }

    /// Returns when the subscription may have lost something: a server that is silent looks like one that is cut off.
    async fn stay(&self, connection: &RawConnection) {
        let ping = Duration::from_millis(self.servers.config.ping_ms);
        let mut question = Pipeline::new();
        question.cmd("PING");
        loop {
            sleep(ping).await;
            if self.missed.swap(false, Ordering::Relaxed) {
                return;
            }
            match timeout(self.servers.answer(), connection.send(&question)).await {
                Ok(Ok(_)) => {}
                Ok(Err(_)) | Err(_) => return,
            }
        }
    }
}

fn message(pushed: &PushInfo) -> Option<(ProductId, Version)> {
    match (&pushed.kind, &pushed.data[..]) {
        (PushKind::Message, [_, redis::Value::BulkString(text)]) => {
            let read = read_announcement(text);
            if read.is_none() {
                tracing::warn!("a message on the channel of changes that tells of none");
            }
            read
        }
        _ => None,
    }
}
