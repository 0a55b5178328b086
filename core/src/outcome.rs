//! What is known after asking another system.

/// The three answers of anything remote.
///
/// `Unknown` means applied or not applied: whoever handles it writes down why both are safe.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Outcome<T, R> {
    /// It happened, with this result.
    Done(T),
    /// It certainly did not happen, for this reason.
    Refused(R),
    /// Nobody knows yet: timed out, cut off, or the other side died after the request left.
    Unknown,
}

impl<T, R> Outcome<T, R> {
    /// Changes the result of `Done`.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Outcome<U, R> {
        match self {
            Outcome::Done(value) => Outcome::Done(change(value)),
            Outcome::Refused(reason) => Outcome::Refused(reason),
            Outcome::Unknown => Outcome::Unknown,
        }
    }
}
