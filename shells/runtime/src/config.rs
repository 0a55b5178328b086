//! What the sections of a configuration have in common: how an error is told.

use std::fmt;

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The section's name in the file.
    pub section: &'static str,
    /// The field's name in it.
    pub field: &'static str,
    /// What is wrong, and what would be right.
    pub problem: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {}: {}", self.section, self.field, self.problem)
    }
}

impl std::error::Error for ConfigError {}
