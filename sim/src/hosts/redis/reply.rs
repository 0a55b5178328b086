use super::Bytes;

/// What a command answers, before the protocol version of the connection gives it bytes.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// A short word such as `OK`.
    Status(String),
    /// An error with its code as the first word and without the leading minus.
    Error(String),
    /// A whole number.
    Integer(i64),
    /// A string of bytes.
    Bulk(Bytes),
    /// A missing value.
    Nil,
    /// A missing list: another null than [`Reply::Nil`] in the second version of the protocol.
    NilArray,
    /// A list.
    Array(Vec<Reply>),
    /// Names and values: a flat list in the second version of the protocol.
    Map(Vec<(Reply, Reply)>),
    /// Names and values: a list of two-element lists in the second version of the protocol.
    Pairs(Vec<(Reply, Reply)>),
    /// A floating-point number: a string in the second version of the protocol.
    Double(f64),
    /// Text that has a format: a plain string in the second version of the protocol.
    Text(String),
    /// Something that the client did not ask for: a list in the second version of the protocol.
    Push(Vec<Reply>),
}

impl Reply {
    /// The status `OK`.
    pub fn ok() -> Reply {
        Reply::Status("OK".to_owned())
    }

    /// A string of bytes.
    pub fn bulk(bytes: impl Into<Bytes>) -> Reply {
        Reply::Bulk(bytes.into())
    }

    /// An error; the text begins with its code.
    pub fn error(text: impl Into<String>) -> Reply {
        Reply::Error(text.into())
    }

    /// A count as a number.
    ///
    /// # Panics
    /// When the count does not fit, which no data set in memory reaches.
    pub fn count(count: usize) -> Reply {
        Reply::Integer(i64::try_from(count).expect("a count of things in memory fits in 63 bits"))
    }

    /// The string, or nothing.
    pub fn optional(bytes: Option<&Bytes>) -> Reply {
        bytes.map_or(Reply::Nil, |bytes| Reply::Bulk(bytes.clone()))
    }

    /// Whether this is an error.
    pub fn is_error(&self) -> bool {
        matches!(self, Reply::Error(_))
    }
}

/// The texts of errors that more than one place answers with; each is Redis 7.0.15's own, word for word.
pub mod texts {
    /// A key holds another type of value than the command is for.
    pub const WRONG_TYPE: &str = "WRONGTYPE Operation against a key holding the wrong kind of value";
    /// A word of a command is not understood.
    pub const SYNTAX: &str = "ERR syntax error";
    /// A number is not a whole number of 64 bits.
    pub const NOT_AN_INTEGER: &str = "ERR value is not an integer or out of range";
    /// A number is not a floating-point number.
    pub const NOT_A_FLOAT: &str = "ERR value is not a valid float";
    /// The script is not in the cache.
    pub const NO_SCRIPT: &str = "NOSCRIPT No matching script. Please use EVAL.";
    /// A stream's id is not understood.
    pub const BAD_STREAM_ID: &str = "ERR Invalid stream ID specified as stream command argument";
    /// A replica was asked to write.
    pub const READ_ONLY: &str = "READONLY You can't write against a read only replica.";
    /// The memory is full and nothing may be evicted.
    pub const OUT_OF_MEMORY: &str = "OOM command not allowed when used memory > 'maxmemory'.";
    /// The data set is being read from the disk.
    pub const LOADING: &str = "LOADING Redis is loading the dataset in memory";
    /// A replica has lost its primary and does not serve what it has.
    pub const MASTER_DOWN: &str = "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.";
    /// A script has been running for too long.
    pub const BUSY: &str = "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.";
    /// The disk refuses a snapshot.
    pub const MISCONFIGURED: &str = "MISCONF Redis is configured to save RDB snapshots, but it's currently unable \
         to persist to disk. Commands that may modify the data set are disabled, because this instance is configured \
         to report errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check \
         the Redis logs for details about the RDB error.";
    /// A blocked reader whose server became a replica.
    pub const UNBLOCKED: &str =
        "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)";
}
