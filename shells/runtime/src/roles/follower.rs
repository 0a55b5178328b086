//! Reading one topic into a machine's inbox, from the committed place on, as long as the machine wants more.

use super::Ports;
use crate::drive::{Inbox, Stop, spawn};
use crate::ports::Offset;
use doorbuster_core::database::event::{Event, Topic};
use doorbuster_core::limits::FETCH_RECORDS_MAX;
use std::time::Duration;
use tokio::sync::watch;

/// Who reads what.
#[derive(Clone, Copy, Debug)]
pub struct Reader {
    /// The group whose place is kept.
    pub group: &'static str,
    /// The topic.
    pub topic: Topic,
}

/// A feed that cannot be asked is asked again after this.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// Starts reading; `delivered` makes the machine's event of a record. Nothing is read while `paused` says true.
pub fn start<E: Send + 'static>(
    reader: Reader,
    ports: &Ports,
    stop: &Stop,
    paused: watch::Receiver<bool>,
    events: Inbox<E>,
    delivered: fn(u64, Event) -> E,
) {
    let (ports, mut stop) = (ports.clone(), stop.clone());
    spawn(async move {
        tokio::select! {
            biased;
            _ = stop.wait_for(|stopped| *stopped) => {}
            () = follow(reader, &ports, paused, events, delivered) => {}
        }
    });
}

async fn follow<E>(
    reader: Reader,
    ports: &Ports,
    mut paused: watch::Receiver<bool>,
    events: Inbox<E>,
    delivered: fn(u64, Event) -> E,
) {
    let mut from = committed(reader, ports).await;
    while paused.wait_for(|paused| !*paused).await.is_ok() {
        let Ok(found) = ports.feed.fetch(reader.group, reader.topic, from, FETCH_RECORDS_MAX).await else {
            tokio::time::sleep(RETRY_AFTER).await;
            continue;
        };
        for (offset, event) in found {
            from = offset.next();
            if events.send(delivered(offset.0, event)).await.is_err() {
                return;
            }
        }
    }
}

async fn committed(reader: Reader, ports: &Ports) -> Offset {
    loop {
        match ports.feed.committed(reader.group, reader.topic).await {
            Ok(offset) => return offset,
            Err(_) => tokio::time::sleep(RETRY_AFTER).await,
        }
    }
}
