//! What a caller knows of a service's answer, in the words of whoever asked: the same in every world.
//!
//! A service that could not be asked (`A`) has certainly done nothing; where the asker has no word for that it is taken as
//! not known, which is always safe.

use super::{broker, database, search};
use doorbuster_core::database::command::{Refusal, Reply};
use doorbuster_core::database::tables::Rows;
use doorbuster_core::forwarder::{LeaseHeld, Producer, ProducerFenced};
use doorbuster_core::ids::SkuId;
use doorbuster_core::inbox::NotAssigned;
use doorbuster_core::outcome::Outcome;
use doorbuster_core::relay::partitions::{PartitionRefusal, PartitionRow};
use doorbuster_core::relay::{ChangePage, TopicAway};
use doorbuster_core::search::document::Document;
use doorbuster_core::search::indexer::{PushedBack, Written};
use doorbuster_core::time::Wall;
use std::convert::Infallible;

/// Of a transaction.
pub fn applied<A>(outcome: Outcome<database::Reply, A>) -> Outcome<Reply, Refusal> {
    match outcome {
        Outcome::Done(database::Reply::Applied(Ok(reply))) => Outcome::Done(reply),
        Outcome::Done(database::Reply::Applied(Err(refusal))) => Outcome::Refused(refusal),
        Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unknown => Outcome::Unknown,
    }
}

/// Of a read: the rows, and the database's clock at that time.
pub fn rows<A>(outcome: Outcome<database::Reply, A>) -> Option<(Wall, Rows)> {
    match outcome {
        Outcome::Done(database::Reply::Rows(at, rows)) => Some((at, rows)),
        Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unknown => None,
    }
}

/// Of a list of SKUs with a ring.
pub fn rings<A>(outcome: Outcome<database::Reply, A>) -> Option<Vec<SkuId>> {
    match outcome {
        Outcome::Done(database::Reply::Rings(skus)) => Some(skus),
        Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unknown => None,
    }
}

/// Of documents of one snapshot.
pub fn documents<A>(outcome: Outcome<database::Reply, A>) -> Option<Vec<Document>> {
    match outcome {
        Outcome::Done(database::Reply::Documents(documents)) => Some(documents),
        Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unknown => None,
    }
}

/// Of a bulk. An index that could not be asked has taken nothing, and wants the same pause.
pub fn written<A>(outcome: Outcome<search::Reply, A>) -> Outcome<Vec<Written>, PushedBack> {
    match outcome {
        Outcome::Done(search::Reply::Written(written)) => Outcome::Done(written),
        Outcome::Done(search::Reply::PushedBack) | Outcome::Refused(_) => Outcome::Refused(PushedBack),
        Outcome::Done(search::Reply::Unknown) | Outcome::Unknown => Outcome::Unknown,
    }
}

/// Of a forwarder's lease.
pub fn lease<A>(outcome: Outcome<database::Reply, A>) -> Outcome<(), LeaseHeld> {
    match outcome {
        Outcome::Done(database::Reply::Lease(true)) => Outcome::Done(()),
        Outcome::Done(database::Reply::Lease(false)) => Outcome::Refused(LeaseHeld),
        Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unknown => Outcome::Unknown,
    }
}

/// Of a list of partitions of the change stream.
pub fn ready<A>(outcome: Outcome<database::Reply, A>) -> Outcome<Vec<PartitionRow>, Infallible> {
    match outcome {
        Outcome::Done(database::Reply::Ready(rows)) => Outcome::Done(rows),
        Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unknown => Outcome::Unknown,
    }
}

/// Of a transaction on such a partition's row.
pub fn changed<A>(outcome: Outcome<database::Reply, A>) -> Outcome<PartitionRow, PartitionRefusal> {
    match outcome {
        Outcome::Done(database::Reply::Changed(Ok(row))) => Outcome::Done(row),
        Outcome::Done(database::Reply::Changed(Err(refusal))) => Outcome::Refused(refusal),
        Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unknown => Outcome::Unknown,
    }
}

/// Of a read of the change stream.
pub fn page<A>(outcome: Outcome<database::Reply, A>) -> Outcome<ChangePage, Infallible> {
    match outcome {
        Outcome::Done(database::Reply::Page(page)) => Outcome::Done(page),
        Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unknown => Outcome::Unknown,
    }
}

/// Of a taking of a producer.
pub fn producer<A>(outcome: Outcome<broker::Reply, A>) -> Outcome<Producer, Infallible> {
    match outcome {
        Outcome::Done(broker::Reply::Producer(producer)) => Outcome::Done(producer),
        Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unknown => Outcome::Unknown,
    }
}

/// Of a producer's transaction.
pub fn published<A>(outcome: Outcome<broker::Reply, A>) -> Outcome<(), ProducerFenced> {
    match outcome {
        Outcome::Done(broker::Reply::Published(Ok(()))) => Outcome::Done(()),
        Outcome::Done(broker::Reply::Published(Err(fenced))) => Outcome::Refused(fenced),
        Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unknown => Outcome::Unknown,
    }
}

/// Of published events.
pub fn kept<A>(outcome: Outcome<broker::Reply, A>) -> Outcome<(), TopicAway> {
    match outcome {
        Outcome::Done(broker::Reply::Kept) => Outcome::Done(()),
        Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unknown => Outcome::Unknown,
    }
}

/// Of a record on its way to the dead letters.
pub fn set_aside<A>(outcome: Outcome<broker::Reply, A>) -> Outcome<(), NotAssigned> {
    match outcome {
        Outcome::Done(_) => Outcome::Done(()),
        Outcome::Refused(_) | Outcome::Unknown => Outcome::Unknown,
    }
}

/// Of a place that a group wanted to keep.
pub fn committed<A>(outcome: Outcome<broker::Reply, A>) -> Outcome<(), NotAssigned> {
    match outcome {
        Outcome::Done(broker::Reply::Committed(Ok(()))) => Outcome::Done(()),
        Outcome::Done(broker::Reply::Committed(Err(NotAssigned))) => Outcome::Refused(NotAssigned),
        Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unknown => Outcome::Unknown,
    }
}
