use std::fmt;

/// A server that a process reaches through a proxy of its own. Kafka's brokers, Sentinels and cluster nodes tell their clients
/// where they are, so nothing can stand between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Link {
    Redis,
    Spanner,
    Elasticsearch,
}

impl fmt::Display for Link {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Link::Redis => "redis",
            Link::Spanner => "spanner",
            Link::Elasticsearch => "elasticsearch",
        })
    }
}
