use mlua::{Lua, Result, Table, Value};

use crate::hosts::redis::Bytes;
use crate::hosts::redis::reply::Reply;
use crate::hosts::redis::resp::c_float;

/// Fields of a returned table that mean something in the third version of the protocol; no script of ours says so.
const FOREIGN: &[&str] = &["double", "map", "set", "big_number", "verbatim_string"];

/// Integers up to here look the same by the integer's and by the float's way of printing.
const PLAIN_MAX: u64 = 1_000_000_000_000_000;

/// A word of a command out of a script's argument; `None` where it is neither string nor number.
pub fn word(value: &Value) -> Option<Bytes> {
    match value {
        Value::String(text) => Some(text.as_bytes().to_vec()),
        Value::Integer(number) if number.unsigned_abs() < PLAIN_MAX => Some(number.to_string().into_bytes()),
        #[allow(clippy::cast_precision_loss, reason = "the language's numbers are floats: this one came from a float")]
        Value::Integer(number) => Some(c_float(*number as f64).into_bytes()),
        Value::Number(number) => Some(c_float(*number).into_bytes()),
        _ => None,
    }
}

/// A reply as a script sees it, by the rules of the protocol's second version.
///
/// # Errors
/// The interpreter has no memory.
pub fn to_lua(lua: &Lua, reply: &Reply) -> Result<Value> {
    match reply {
        Reply::Status(text) => single(lua, "ok", text),
        Reply::Error(text) => single(lua, "err", text),
        Reply::Integer(number) => Ok(Value::Integer(*number)),
        Reply::Bulk(bytes) => lua.create_string(bytes).map(Value::String),
        Reply::Text(text) => lua.create_string(text).map(Value::String),
        Reply::Double(number) => lua.create_string(c_float(*number)).map(Value::String),
        Reply::Nil | Reply::NilArray => Ok(Value::Boolean(false)),
        Reply::Array(items) | Reply::Push(items) => list(lua, items.iter()),
        Reply::Map(pairs) => list(lua, pairs.iter().flat_map(|(name, value)| [name, value])),
        Reply::Pairs(pairs) => {
            let table = lua.create_table_with_capacity(pairs.len(), 0)?;
            for (name, value) in pairs {
                table.raw_push(list(lua, [name, value].into_iter())?)?;
            }
            Ok(Value::Table(table))
        }
    }
}

fn single(lua: &Lua, name: &str, text: &str) -> Result<Value> {
    let table = lua.create_table_with_capacity(0, 1)?;
    table.raw_set(name, text)?;
    Ok(Value::Table(table))
}

fn list<'reply>(lua: &Lua, items: impl Iterator<Item = &'reply Reply>) -> Result<Value> {
    let table = lua.create_table()?;
    for item in items {
        table.raw_push(to_lua(lua, item)?)?;
    }
    Ok(Value::Table(table))
}

/// What the client gets for what a script returned: numbers lose their fraction, a list ends at its first nil, true
/// is one, and everything that has no place in the protocol is nothing.
///
/// # Panics
/// On a table that asks for a type of the protocol's third version.
pub fn to_reply(value: &Value) -> Reply {
    match value {
        Value::String(text) => Reply::bulk(text.as_bytes().to_vec()),
        Value::Integer(number) => Reply::Integer(*number),
        Value::Number(number) => Reply::Integer(whole(*number)),
        Value::Boolean(true) => Reply::Integer(1),
        Value::Table(table) => of_table(table),
        _ => Reply::Nil,
    }
}

/// The number without its fraction; one that does not fit becomes the lowest, as the processor of the server makes it.
#[allow(clippy::cast_possible_truncation, reason = "the range is looked at before")]
fn whole(number: f64) -> i64 {
    if (-9.3e18..9.2e18).contains(&number) { number as i64 } else { i64::MIN }
}

fn of_table(table: &Table) -> Reply {
    let field = |name: &str| match table.raw_get(name) {
        Ok(Value::String(text)) => Some(text.to_string_lossy()),
        _ => None,
    };
    if let Some(text) = field("err") {
        return Reply::Error(text);
    }
    if let Some(text) = field("ok") {
        return Reply::Status(text);
    }
    for name in FOREIGN {
        let present = !matches!(table.raw_get(*name), Ok(Value::Nil));
        assert!(!present, "the simulated Redis knows no table with the field {name} as a reply");
    }
    let items = (1..).map_while(|index: i64| table.raw_get(index).ok().filter(|value| !matches!(value, Value::Nil)));
    Reply::Array(items.map(|item: Value| to_reply(&item)).collect())
}
