//! What is mounted: a service machine, and what its values weigh on a link.

use super::frame::WEIGHT_MAX;
use crate::services::{ServiceEffect, ServiceEvent, broker, database, provider, search};
use doorbuster_core::database::command::Command;
use doorbuster_core::machine::Machine;
use std::fmt::Debug;

/// Bytes of one row, record or event, roughly: enough that a page of many takes several segments.
const ITEM_BYTES: usize = 160;

/// A service behind the network.
pub trait Service:
    Machine<Event = ServiceEvent<Self::Request>, Effect = ServiceEffect<Self::Reply>> + Send + 'static
{
    /// What is asked of it.
    type Request: Debug + Send + 'static;
    /// What it tells.
    type Reply: Debug + Send + 'static;

    /// Its name in reports.
    const NAME: &'static str;

    /// What is in flight while this request is.
    fn stage_of(request: &Self::Request) -> &'static str;
    /// Rows, records or events of a request.
    fn items_asked(request: &Self::Request) -> usize;
    /// Rows, records or events of a reply.
    fn items_told(reply: &Self::Reply) -> usize;
    /// Whether this reply says that nobody knows.
    fn is_unknown(reply: &Self::Reply) -> bool;
}

/// Bytes of so many items, and no fewer than these words.
pub fn weight_of(items: usize, text: &[u8]) -> u32 {
    u32::try_from(items * ITEM_BYTES).unwrap_or(WEIGHT_MAX).min(WEIGHT_MAX).max(text.len() as u32)
}

impl Service for database::Database {
    type Request = database::Request;
    type Reply = database::Reply;

    const NAME: &'static str = "database";

    fn stage_of(request: &database::Request) -> &'static str {
        database::stage_of(request)
    }

    fn items_asked(request: &database::Request) -> usize {
        let database::Request::Apply(Command::Intake(batch)) = request else { return 0 };
        batch.intents.len()
    }

    fn items_told(reply: &database::Reply) -> usize {
        match reply {
            database::Reply::Rows(_, rows) => rows.len(),
            database::Reply::Due(_, tasks) => tasks.len(),
            database::Reply::Rings(rings) => rings.len(),
            database::Reply::Documents(documents) => documents.len(),
            database::Reply::Ready(rows) => rows.len(),
            database::Reply::Page(page) => page.records.len(),
            database::Reply::Applied(_) | database::Reply::Changed(_) => 1,
            database::Reply::Snapshot(_) | database::Reply::Lease(_) | database::Reply::Unknown => 0,
        }
    }

    fn is_unknown(reply: &database::Reply) -> bool {
        *reply == database::Reply::Unknown
    }
}

impl Service for broker::Broker {
    type Request = broker::Request;
    type Reply = broker::Reply;

    const NAME: &'static str = "broker";

    fn stage_of(request: &broker::Request) -> &'static str {
        broker::stage_of(request)
    }

    fn items_asked(request: &broker::Request) -> usize {
        match request {
            broker::Request::PublishIntents { intents, .. } => intents.len(),
            broker::Request::PublishEvents(events) => events.len(),
            broker::Request::TakeProducer(_)
            | broker::Request::Fetch { .. }
            | broker::Request::Commit { .. }
            | broker::Request::SetAside { .. }
            | broker::Request::Attend { .. }
            | broker::Request::Leave { .. } => 0,
        }
    }

    fn items_told(reply: &broker::Reply) -> usize {
        match reply {
            broker::Reply::Records(records) => records.len(),
            broker::Reply::Producer(_)
            | broker::Reply::Published(_)
            | broker::Reply::Kept
            | broker::Reply::Committed(_)
            | broker::Reply::Assigned { .. }
            | broker::Reply::Unknown => 0,
        }
    }

    fn is_unknown(reply: &broker::Reply) -> bool {
        *reply == broker::Reply::Unknown
    }
}

impl Service for provider::Provider {
    type Request = provider::Request;
    type Reply = provider::Reply;

    const NAME: &'static str = "provider";

    fn stage_of(_: &provider::Request) -> &'static str {
        "a call to the provider"
    }

    fn items_asked(_: &provider::Request) -> usize {
        0
    }

    fn items_told(_: &provider::Reply) -> usize {
        0
    }

    fn is_unknown(_: &provider::Reply) -> bool {
        false
    }
}

impl Service for search::Search {
    type Request = search::Request;
    type Reply = search::Reply;

    const NAME: &'static str = "search";

    fn stage_of(_: &search::Request) -> &'static str {
        search::STAGE
    }

    fn items_asked(search::Request::Bulk(documents): &search::Request) -> usize {
        documents.len()
    }

    fn items_told(_: &search::Reply) -> usize {
        0
    }

    fn is_unknown(reply: &search::Reply) -> bool {
        *reply == search::Reply::Unknown
    }
}
