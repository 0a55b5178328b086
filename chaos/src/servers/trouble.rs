use std::fmt;

/// Why a server is not up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It cannot be had on this machine.
    Missing {
        reason: String,
        /// What somebody who wants it can do.
        remedy: String,
    },
    /// It is here, and did not do what it should.
    Failed(String),
}

impl From<String> for Trouble {
    fn from(why: String) -> Trouble {
        Trouble::Failed(why)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Missing { reason, remedy } => write!(formatter, "cannot be had here: {reason}; {remedy}"),
            Trouble::Failed(why) => write!(formatter, "FAILED: {why}"),
        }
    }
}
