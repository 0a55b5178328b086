use mlua::{Error, Lua, MultiValue, Result, Table, Value};

use super::raise::Raised;
use super::{convert, sha1_hex};
use crate::hosts::redis::Bytes;
use crate::hosts::redis::command::{self, Run};
use crate::hosts::redis::context::Context;
use crate::hosts::redis::reply::Reply;
use crate::hosts::redis::trouble;

/// The data set while a script works on it.
pub struct Running {
    context: Context,
    /// Whether the script has called a command that may write, even one that found nothing to change.
    began_to_write: bool,
}

impl Running {
    /// Hands the data set to a script.
    pub fn new(context: Context) -> Running {
        Running { context, began_to_write: false }
    }

    /// Takes it back.
    pub fn into_context(self) -> Context {
        self.context
    }
}

/// The library `redis`.
///
/// # Errors
/// The interpreter has no memory.
pub fn library(lua: &Lua) -> Result<Table> {
    let library = lua.create_table()?;
    library.raw_set("call", lua.create_function(call)?)?;
    library.raw_set("pcall", lua.create_function(protected_call)?)?;
    library.raw_set("sha1hex", lua.create_function(sha1hex)?)?;
    library.raw_set("error_reply", lua.create_function(error_reply)?)?;
    library.raw_set("status_reply", lua.create_function(status_reply)?)?;
    Ok(library)
}

fn call(lua: &Lua, arguments: MultiValue) -> Result<Value> {
    match perform(lua, arguments) {
        Reply::Error(text) => Err(Error::external(Raised(text))),
        reply => convert::to_lua(lua, &reply),
    }
}

fn protected_call(lua: &Lua, arguments: MultiValue) -> Result<Value> {
    convert::to_lua(lua, &perform(lua, arguments))
}

fn perform(lua: &Lua, arguments: MultiValue) -> Reply {
    if arguments.is_empty() {
        return Reply::error("ERR Please specify at least one argument for this redis lib call");
    }
    let Some(words) = arguments.iter().map(convert::word).collect::<Option<Vec<Bytes>>>() else {
        return Reply::error("ERR Lua redis lib command arguments must be strings or integers");
    };
    let specification =
        command::specification(&words).unwrap_or_else(|name| panic!("the simulated Redis knows no command {name}"));
    if !specification.takes(words.len()) {
        return Reply::error("ERR Wrong number of args calling Redis command from script");
    }
    let mut running = lua.app_data_mut::<Running>().expect("scripts run with a data set");
    let refusal = trouble::refusal_in_script(&running.context.facts, specification, running.began_to_write);
    if let Some(text) = refusal {
        return Reply::Error(text);
    }
    running.began_to_write |= specification.flags.writes;
    match specification.run {
        Run::Data(run) => command::perform(&mut running.context, run, &words),
        Run::Connection(_) => unreachable!("no such command is allowed in scripts"),
    }
}

fn sha1hex(lua: &Lua, arguments: MultiValue) -> Result<Value> {
    let [body] = arguments.iter().collect::<Vec<_>>()[..] else {
        return Err(Error::external(Raised("ERR wrong number of arguments".to_owned())));
    };
    let body = lua.coerce_string(body.clone())?.map(|text| text.as_bytes().to_vec()).unwrap_or_default();
    lua.create_string(sha1_hex(&body)).map(Value::String)
}

fn error_reply(lua: &Lua, arguments: MultiValue) -> Result<Value> {
    let text = only_string(&arguments).map_or_else(|| WRONG.to_owned(), |text| with_code(&text));
    convert::to_lua(lua, &Reply::Error(text))
}

fn status_reply(lua: &Lua, arguments: MultiValue) -> Result<Value> {
    let reply = only_string(&arguments).map_or_else(|| Reply::error(WRONG), Reply::Status);
    convert::to_lua(lua, &reply)
}

const WRONG: &str = "ERR wrong number or type of arguments";

fn only_string(arguments: &MultiValue) -> Option<String> {
    match arguments.iter().collect::<Vec<_>>()[..] {
        [Value::String(text)] => Some(text.to_string_lossy()),
        _ => None,
    }
}

/// A text of one word has no code, so it gets the general one; a leading minus is not part of the text.
fn with_code(text: &str) -> String {
    let text = text.strip_prefix('-').unwrap_or(text);
    if text.contains(' ') { text.to_owned() } else { format!("ERR {text}") }
}
