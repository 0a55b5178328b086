//! A rule that fell.

use std::fmt;

/// Which rule, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The invariant's id.
    pub id: &'static str,
    /// What was seen.
    pub what: String,
}

impl Violation {
    /// Names a rule and says how it fell.
    pub fn new(id: &'static str, what: impl Into<String>) -> Violation {
        Violation { id, what: what.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.id, self.what)
    }
}

/// Fails with this violation unless the condition holds.
pub fn ensure(holds: bool, id: &'static str, what: impl FnOnce() -> String) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(Violation::new(id, what())) }
}
