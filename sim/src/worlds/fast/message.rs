//! What travels: where a call goes, what is asked, what is told, and what goes on then.

use super::edge::{EdgeReply, EdgeRequest};
use super::world::World;
use crate::services::{broker, database, node, provider, search};
use doorbuster_core::outcome::Outcome;
use std::sync::Arc;

/// Where a call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// The database.
    Database,
    /// The broker of topics.
    Broker,
    /// A server of shards.
    Node(usize),
    /// The payment provider.
    Provider,
    /// The search index.
    Search,
    /// One of our own hosts.
    Host(usize),
}

/// One life of one host: what it asked for dies with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct At {
    /// Which host.
    pub host: usize,
    /// Which of its lives.
    pub life: u32,
}

/// The other side certainly did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Away;

/// What is asked of whom.
#[derive(Clone, Debug)]
pub enum Request {
    Database(database::Request),
    Broker(broker::Request),
    Node(usize, node::Request),
    Provider(provider::Request),
    Search(search::Request),
    Edge(usize, EdgeRequest),
}

/// What goes on when an answer is there. It dies with the life that asked.
pub type Then<R> = Box<dyn FnOnce(&mut World, At, Outcome<R, Away>)>;

/// The same, of every kind of answer.
pub enum Continuation {
    Database(Then<database::Reply>),
    Broker(Then<broker::Reply>),
    Node(Then<node::Reply>),
    Provider(Then<provider::Reply>),
    Edge(Then<EdgeReply>),
    Search(Then<search::Reply>),
}

/// What a service says.
#[derive(Clone, Debug)]
pub enum Answer {
    Database(database::Reply),
    Broker(broker::Reply),
    Node(node::Reply),
    Provider(provider::Reply),
    Search(search::Reply),
    Edge(EdgeReply),
    Away,
    Lost,
}

/// Names for lines, made once.
pub struct Names {
    pub world: Arc<str>,
    pub database: Arc<str>,
    pub broker: Arc<str>,
    pub provider: Arc<str>,
    pub search: Arc<str>,
    pub nodes: [Arc<str>; 2],
    pub buyers: Arc<str>,
}

impl Names {
    /// All of them.
    pub fn new() -> Names {
        Names {
            world: Arc::from("world"),
            database: Arc::from("database"),
            broker: Arc::from("broker"),
            provider: Arc::from("provider"),
            search: Arc::from("search"),
            nodes: [Arc::from("redis-0"), Arc::from("redis-1")],
            buyers: Arc::from("buyers"),
        }
    }
}
