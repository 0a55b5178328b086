//! Calls by kind: what is asked, how it is named in reports, and what an answer says.

use super::brief::brief;
use super::edge::{EdgeReply, EdgeRequest};
use super::world::{Address, Answer, At, Away, Continuation, Request, World};
use crate::explore::fingerprint;
use crate::services::embedded::DurableRequest;
use crate::services::{broker, database, node, provider, search};
use doorbuster_core::ids::ShardId;
use doorbuster_core::outcome::Outcome;

impl World {
    /// Asks the database.
    pub fn ask_database(
        &mut self,
        at: At,
        request: database::Request,
        then: impl FnOnce(&mut World, At, Outcome<database::Reply, Away>) + 'static,
    ) {
        self.ask(at, Request::Database(request), Continuation::Database(Box::new(then)));
    }

    /// Asks the broker.
    pub fn ask_broker(
        &mut self,
        at: At,
        request: broker::Request,
        then: impl FnOnce(&mut World, At, Outcome<broker::Reply, Away>) + 'static,
    ) {
        // An attendance is held for a heartbeat's time.
        let attends = matches!(request, broker::Request::Attend { .. });
        let patience_us = if attends { 2 * broker::group::BEAT_MS * 1000 } else { super::world::PATIENCE_US };
        self.ask_within(at, Request::Broker(request), patience_us, Continuation::Broker(Box::new(then)));
    }

    /// Asks the server that this host takes for the one in charge.
    pub fn ask_node(
        &mut self,
        at: At,
        request: node::Request,
        then: impl FnOnce(&mut World, At, Outcome<node::Reply, Away>) + 'static,
    ) {
        let believed = self.hosts[at.host].believes;
        self.ask(at, Request::Node(believed, request), Continuation::Node(Box::new(then)));
    }

    /// Asks this server and no other.
    pub fn ask_this_node(
        &mut self,
        at: At,
        node: usize,
        request: node::Request,
        then: impl FnOnce(&mut World, At, Outcome<node::Reply, Away>) + 'static,
    ) {
        self.ask(at, Request::Node(node, request), Continuation::Node(Box::new(then)));
    }

    /// Asks the provider.
    pub fn ask_provider(
        &mut self,
        at: At,
        request: provider::Request,
        then: impl FnOnce(&mut World, At, Outcome<provider::Reply, Away>) + 'static,
    ) {
        self.ask(at, Request::Provider(request), Continuation::Provider(Box::new(then)));
    }

    /// Asks the search index.
    pub fn ask_search(
        &mut self,
        at: At,
        request: search::Request,
        then: impl FnOnce(&mut World, At, Outcome<search::Reply, Away>) + 'static,
    ) {
        self.ask(at, Request::Search(request), Continuation::Search(Box::new(then)));
    }

    /// Asks one of our own edges.
    pub fn ask_edge(
        &mut self,
        at: At,
        host: usize,
        request: EdgeRequest,
        then: impl FnOnce(&mut World, At, Outcome<EdgeReply, Away>) + 'static,
    ) {
        let patience_us = 8_000_000;
        self.ask_within(at, Request::Edge(host, request), patience_us, Continuation::Edge(Box::new(then)));
    }
}

impl Request {
    /// Where it goes.
    pub fn address(&self) -> Address {
        match self {
            Request::Database(_) => Address::Database,
            Request::Broker(_) => Address::Broker,
            Request::Node(n, _) => Address::Node(*n),
            Request::Provider(_) => Address::Provider,
            Request::Search(_) => Address::Search,
            Request::Edge(host, _) => Address::Host(*host),
        }
    }

    /// What of it goes into the hash of the run.
    pub fn fingerprint(&self) -> u64 {
        let whole = match self {
            Request::Database(request) => fingerprint::of(request),
            Request::Broker(request) => fingerprint::of(request),
            Request::Node(n, request) => fingerprint::of(&(n, request)),
            Request::Provider(request) => fingerprint::of(request),
            Request::Search(request) => fingerprint::of(request),
            Request::Edge(host, request) => fingerprint::of(&(host, request)),
        };
        whole as u64
    }

    /// What is in flight while it is.
    pub fn stage(&self) -> &'static str {
        match self {
            Request::Database(request) => database::stage_of(request),
            Request::Broker(request) => broker::stage_of(request),
            Request::Node(_, request) => request.stage(),
            Request::Provider(_) => "a call to the provider",
            Request::Search(_) => "a product not indexed",
            Request::Edge(..) => "a buyer's request",
        }
    }

    /// The line of it.
    pub fn describe(&self) -> String {
        match self {
            Request::Database(request) => brief(request),
            Request::Broker(request) => brief(request),
            Request::Node(_, request) => brief(request),
            Request::Provider(request) => brief(request),
            Request::Search(request) => brief(request),
            Request::Edge(_, request) => brief(request),
        }
    }
}

impl Answer {
    /// What is in flight while the answer is: the thing is done, and its caller does not know.
    pub fn stage(&self) -> &'static str {
        match self {
            Answer::Database(database::Reply::Applied(_)) => "committed, not told",
            Answer::Database(_) => "a row on its way",
            Answer::Broker(broker::Reply::Published(_) | broker::Reply::Kept) => "published, not acknowledged",
            Answer::Broker(_) => "a record on its way",
            Answer::Node(node::Reply::Reserved(_)) => "reserved, not told",
            Answer::Node(node::Reply::Settled(_)) => "given back, not told",
            Answer::Node(node::Reply::Claimed(_)) => "claimed, not told",
            Answer::Node(_) => "an answer of a server",
            Answer::Provider(_) => "an answer of the provider",
            Answer::Search(_) => "indexed, not answered",
            Answer::Edge(_) => "an answer to a buyer",
            Answer::Away | Answer::Lost => "nothing",
        }
    }

    /// The line of it.
    pub fn describe(&self) -> String {
        let text = match self {
            Answer::Database(reply) => brief(reply),
            Answer::Broker(reply) => brief(reply),
            Answer::Node(reply) => brief(reply),
            Answer::Provider(reply) => brief(reply),
            Answer::Search(reply) => brief(reply),
            Answer::Edge(reply) => brief(reply),
            Answer::Away => "refused".to_owned(),
            Answer::Lost => "no answer".to_owned(),
        };
        format!("<- {text}")
    }
}

macro_rules! heard {
    ($($name:ident: $kind:ident => $reply:ty, $unknown:path;)*) => {
        impl Answer {
            $(
                /// What a caller of this kind knows now.
                pub fn $name(self) -> Outcome<$reply, Away> {
                    match self {
                        Answer::$kind($unknown) => Outcome::Unknown,
                        Answer::$kind(reply) => Outcome::Done(reply),
                        Answer::Away => Outcome::Refused(Away),
                        Answer::Lost => Outcome::Unknown,
                        other => unreachable!("{other:?} answers another kind of call"),
                    }
                }
            )*
        }
    };
}

heard! {
    database: Database => database::Reply, database::Reply::Unknown;
    broker: Broker => broker::Reply, broker::Reply::Unknown;
    edge: Edge => EdgeReply, EdgeReply::Unknown;
    search: Search => search::Reply, search::Reply::Unknown;
}

impl Answer {
    /// What a caller of a server knows now: an error reply is a certain no.
    pub fn node(self) -> Outcome<node::Reply, Away> {
        match self {
            Answer::Node(node::Reply::Unknown) | Answer::Lost => Outcome::Unknown,
            Answer::Node(node::Reply::Error) | Answer::Away => Outcome::Refused(Away),
            Answer::Node(reply) => Outcome::Done(reply),
            other => unreachable!("{other:?} answers another kind of call"),
        }
    }

    /// What a caller of the provider knows now.
    pub fn provider(self) -> Outcome<provider::Reply, Away> {
        match self {
            Answer::Provider(reply) => Outcome::Done(reply),
            Answer::Away => Outcome::Refused(Away),
            Answer::Lost => Outcome::Unknown,
            other => unreachable!("{other:?} answers another kind of call"),
        }
    }
}

impl node::Request {
    /// The shard that it is about, if it is about one.
    pub fn shard(&self) -> Option<ShardId> {
        match self {
            node::Request::Reserve { shard, .. }
            | node::Request::Settle { shard, .. }
            | node::Request::Withdraw { shard, .. }
            | node::Request::SetState { shard, .. }
            | node::Request::Seal { shard, .. }
            | node::Request::Load { shard, .. }
            | node::Request::Open { shard, .. }
            | node::Request::Inspect(shard)
            | node::Request::LookUp { shard, .. }
            | node::Request::ReadLog { shard, .. }
            | node::Request::Ack { shard, .. }
            | node::Request::Trim { shard, .. }
            | node::Request::Durable(DurableRequest::AppendSeal { shard, .. }) => Some(*shard),
            node::Request::Schedule(_)
            | node::Request::Claim { .. }
            | node::Request::Recover(_)
            | node::Request::Complete(_)
            | node::Request::Cache(_)
            | node::Request::Durable(_) => None,
        }
    }
}
