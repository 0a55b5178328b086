//! What a server said, and what is known when it said nothing.

use elasticsearch::Error;
use elasticsearch::http::response::Response;
use serde_json::Value;
use std::error::Error as _;
use std::io;

/// Why a call has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// No connection was made: nothing happened.
    #[error("unreached: {0}")]
    Unreached(String),
    /// The call may have been done, now or later.
    #[error("unanswered: {0}")]
    Unanswered(String),
    /// The server said no.
    #[error("refused with {status} {kind}: {reason}")]
    Refused {
        /// Of the answer.
        status: u16,
        /// The server's name for it.
        kind: String,
        /// Its sentence for people.
        reason: String,
    },
}

/// A whole answer.
pub(crate) struct Answer {
    /// Of HTTP.
    pub status: u16,
    /// `Null` where it was no JSON, as answers of proxies.
    pub body: Value,
}

/// Reads an answer to its end.
pub(crate) async fn heard(sent: Result<Response, Error>) -> Result<Answer, Trouble> {
    let response = sent.map_err(|error| trouble(&error))?;
    let status = response.status_code().as_u16();
    let bytes = response.bytes().await.map_err(|error| Trouble::Unanswered(told(&error)))?;
    Ok(Answer { status, body: serde_json::from_slice(&bytes).unwrap_or(Value::Null) })
}

impl Answer {
    /// The body of a success.
    ///
    /// # Errors
    /// Anything else: a refusal of the server, or, where something in between answered for it, nothing that is known.
    pub fn success(self) -> Result<Value, Trouble> {
        if (200..300).contains(&self.status) {
            return Ok(self.body);
        }
        let refusal = self.refusal();
        match self.body.get("error") {
            Some(_) => Err(refusal),
            None => Err(Trouble::Unanswered(refusal.to_string())),
        }
    }

    /// The same of a change that every node must have heard of.
    ///
    /// # Errors
    /// As above; `Unanswered` where it was made and some node has not heard of it in time.
    pub fn acknowledged(self) -> Result<Value, Trouble> {
        let body = self.success()?;
        let all = |field| body.get(field).is_none_or(|value| value == true);
        match body.get("acknowledged").is_some() && all("acknowledged") && all("shards_acknowledged") {
            true => Ok(body),
            false => Err(Trouble::Unanswered(format!("not acknowledged by every node: {body}"))),
        }
    }

    /// What it says of an error.
    pub fn refusal(&self) -> Trouble {
        let error = &self.body["error"];
        let text = |field: &str| error[field].as_str().unwrap_or_default().to_owned();
        Trouble::Refused { status: self.status, kind: text("type"), reason: text("reason") }
    }
}

fn trouble(error: &Error) -> Trouble {
    let mut cause = error.source();
    while let Some(inner) = cause {
        // Only what says so for certain: a handshake that was cut off, or a time-out, may have come later than the request.
        let refused = inner.downcast_ref::<io::Error>().map(io::Error::kind) == Some(io::ErrorKind::ConnectionRefused);
        if refused {
            return Trouble::Unreached(told(error));
        }
        cause = inner.source();
    }
    Trouble::Unanswered(told(error))
}

/// The error with its causes: the outermost one names only the URL.
fn told(error: &Error) -> String {
    let (mut text, mut cause) = (error.to_string(), error.source());
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
