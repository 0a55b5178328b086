use mlua::{Error, Lua, Result, Value};

use crate::hosts::redis::reply::Reply;

/// How far the innermost Lua function may be from the failure: the handler, the failed call, and what called that.
const FRAMES_MAX: usize = 4;

/// An error reply that `redis.call` raises: its text, code included.
#[derive(Debug)]
pub struct Raised(pub String);

impl std::fmt::Display for Raised {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Raised {}

/// An error with the place of the script's line in front, as the language's own errors have it.
pub fn at_caller(lua: &Lua, text: &str) -> Error {
    let place =
        lua.inspect_stack(1, |frame| (frame.source().short_src.map(|name| name.into_owned()), frame.current_line()));
    match place {
        Some((Some(name), Some(line))) => Error::RuntimeError(format!("{name}:{line}: {text}")),
        _ => Error::RuntimeError(text.to_owned()),
    }
}

/// The error of a wrong argument, in the words of the language's own library.
pub fn bad_argument(lua: &Lua, position: usize, function: &str, text: &str) -> Error {
    // The library names the function as the script called it.
    let called = lua.inspect_stack(0, |frame| frame.names().name.map(|name| name.into_owned())).flatten();
    let function = called.as_deref().unwrap_or(function);
    at_caller(lua, &format!("bad argument #{position} to '{function}' ({text})"))
}

/// What a script's `pcall` gets: a table's `err`, or the text.
pub fn as_script_sees_it(lua: &Lua, error: &Value) -> Result<Value> {
    match error {
        Value::Error(error) => lua.create_string(text_of(error)).map(Value::String),
        Value::Table(table) => match table.raw_get("err")? {
            text @ Value::String(_) => Ok(text),
            _ => Ok(error.clone()),
        },
        other => Ok(other.clone()),
    }
}

/// The handler of an error that nothing in the script has caught: a table of text, source and line.
///
/// It runs while the failed call is still on the stack: the place is that of the innermost function which is Lua.
pub fn explain(lua: &Lua, error: Value) -> Result<Value> {
    let table = match &error {
        Value::Table(table) => table.clone(),
        other => {
            let table = lua.create_table()?;
            table.raw_set("err", first_text(lua, other)?)?;
            table
        }
    };
    let place = |level| {
        lua.inspect_stack(level, |frame| {
            let source = frame.source();
            (source.what != "C").then(|| (source.source.map(|name| name.into_owned()), frame.current_line()))
        })
    };
    if let Some((source, line)) = (0..=FRAMES_MAX).find_map(|level| place(level).flatten()) {
        table.raw_set("source", source)?;
        table.raw_set("line", line)?;
    }
    Ok(Value::Table(table))
}

fn first_text(lua: &Lua, error: &Value) -> Result<mlua::LuaString> {
    match error {
        Value::Error(error) => match raised(error) {
            Some(raised) => lua.create_string(&raised.0),
            None => lua.create_string(format!("ERR {}", text_of(error))),
        },
        Value::String(text) => {
            let mut bytes = b"ERR ".to_vec();
            bytes.extend_from_slice(&text.as_bytes());
            lua.create_string(bytes)
        }
        other => lua.create_string(format!("ERR {}", other.to_string()?)),
    }
}

/// What the client gets for an error that nothing in the script has caught.
pub fn final_reply(error: &Value, sha: &str) -> Reply {
    let Value::Table(table) = error else { panic!("the handler makes a table of every error: {error:?}") };
    let field = |name| table.raw_get::<Option<mlua::LuaString>>(name).ok().flatten().map(|text| text.to_string_lossy());
    let text = field("err").unwrap_or_else(|| "ERR unknown error".to_owned());
    match (field("source"), field("line")) {
        (Some(source), Some(line)) => Reply::error(format!("{text} script: {sha}, on {source}:{line}.")),
        _ => Reply::error(text),
    }
}

fn raised(error: &Error) -> Option<&Raised> {
    match error {
        Error::CallbackError { cause, .. } => raised(cause),
        other => other.downcast_ref::<Raised>(),
    }
}

fn text_of(error: &Error) -> String {
    match error {
        Error::CallbackError { cause, .. } => text_of(cause),
        Error::RuntimeError(text) => text.clone(),
        other => other.to_string(),
    }
}
