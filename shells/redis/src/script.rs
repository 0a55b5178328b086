//! One call of a script on one link: EVALSHA, and what its answer means.

use crate::connection::Connection;
use crate::link::Link;
use crate::trouble::{Trouble, meaning_of};
use crate::value::code;
use doorbuster_lua::call::{Call, Invocation};
use doorbuster_lua::keys::ShardKeys;
use doorbuster_lua::reply::Reply;
use doorbuster_lua::script::Script;
use doorbuster_lua::value::Value;
use redis::{Cmd, Pipeline};
use std::sync::Arc;
use std::time::Duration;

/// What a server said to a call, and on which connection.
pub struct Answered<T> {
    pub value: T,
    pub connection: Arc<Connection>,
}

/// Runs a script on `wanted`, or on whatever connection the link has.
///
/// A server that does not know the script ran nothing, so the call is sent again behind the script itself, on the same
/// connection: on another one it could be another server. Later calls of the same caller may have been answered by then:
/// this is the one case in which two calls that are both done are applied out of order.
pub async fn run(
    link: &Link,
    call: &Call,
    keys: &ShardKeys,
    wanted: Option<&Arc<Connection>>,
    answer: Duration,
) -> Result<Answered<Reply>, Trouble> {
    let invocation = call.invocation(keys);
    let mut commands = Pipeline::new();
    commands.add_command(evalsha(&invocation));
    let (mut replies, connection) = link.send(&commands, wanted, answer).await?;
    let mut value = replies.pop().expect("one reply per command");
    if code(&value) == Some("NOSCRIPT") {
        let mut again = Pipeline::new();
        again.cmd("SCRIPT").arg("LOAD").arg(invocation.script.source);
        again.add_command(evalsha(&invocation));
        let (mut replies, _) = link.send(&again, Some(&connection), answer).await?;
        value = replies.pop().expect("one reply per command");
    }
    let decoded = decode(call, invocation.script, &connection, &value)?;
    Ok(Answered { value: decoded, connection })
}

fn evalsha(invocation: &Invocation) -> Cmd {
    let mut command = Cmd::new();
    command.arg("EVALSHA").arg(invocation.script.sha1.as_str());
    command.arg(invocation.keys.len()).arg(&invocation.keys).arg(&invocation.arguments);
    command
}

fn decode(call: &Call, script: &Script, connection: &Connection, value: &Value) -> Result<Reply, Trouble> {
    if value.is_fenced() {
        // The script has compared the server first: if it only found another memory, this is still the server that the
        // connection knows, and a new connection would learn nothing.
        if matches!(value, Value::Error(error) if error.contains("another server")) {
            connection.hang_up();
        }
        return Err(Trouble::Fenced);
    }
    judge(connection, value, script.name)?;
    call.decode(value).map_err(|error| {
        tracing::error!(script = script.name, %error, "a reply that means nothing");
        Trouble::Unknown(error.to_string())
    })
}

/// Lets pass what is no error.
///
/// # Errors
/// What the error means for the call.
pub fn judge(connection: &Connection, value: &Value, what: &str) -> Result<(), Trouble> {
    let Value::Error(error) = value else { return Ok(()) };
    let meaning = meaning_of(code(value).unwrap_or_default());
    if meaning.hangs_up {
        connection.hang_up();
    }
    let why = format!("{what}: {} ({})", error.trim_end(), meaning.why);
    if meaning.nothing_applied {
        tracing::warn!(server = %connection.address(), why, "a call was refused");
        return Err(Trouble::Nothing(why));
    }
    tracing::error!(server = %connection.address(), why, "a call ended in an error");
    Err(Trouble::Unknown(why))
}
