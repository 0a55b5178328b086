use mlua::{Function, Lua, MultiValue, Result, Table, Value};

use super::{bits, call, packing, raise};

/// What a script may name of the language; the rest is missing, which is stricter than the server.
///
/// Left out is what could tell one run from another or reach around the sandbox: `os`, `math.random`, `load` and
/// its kin, metatables, coroutines, and the collector.
const NAMES: &[&str] = &[
    "assert", "error", "ipairs", "next", "pairs", "rawequal", "rawget", "select", "tonumber", "tostring", "type",
    "unpack", "_VERSION",
];

/// The libraries, whole but for these members.
const LIBRARIES: &[(&str, &[&str])] = &[("string", &["dump"]), ("table", &[]), ("math", &["random", "randomseed"])];

/// What a script sees, and what runs it.
pub struct Sandbox {
    /// Names and their values.
    pub visible: Table,
    /// An empty table in front of them that refuses every assignment.
    pub environment: Table,
    /// The language's own `xpcall`.
    pub protected_call: Function,
    /// Says where an error came from, while that can still be seen.
    pub explain: Function,
}

/// Builds the environment of all scripts.
///
/// # Errors
/// The interpreter has no memory.
pub fn build(lua: &Lua) -> Result<Sandbox> {
    let globals = lua.globals();
    let visible = lua.create_table()?;
    for name in NAMES {
        visible.raw_set(*name, globals.raw_get::<Value>(*name)?)?;
    }
    for (name, hidden) in LIBRARIES {
        let library: Table = globals.raw_get(*name)?;
        for member in *hidden {
            library.raw_set(*member, Value::Nil)?;
        }
        visible.raw_set(*name, read_only(lua, &library)?)?;
    }
    visible.raw_set("pcall", protected(lua, globals.raw_get("pcall")?)?)?;
    visible.raw_set("redis", read_only(lua, &call::library(lua)?)?)?;
    visible.raw_set("struct", read_only(lua, &packing::library(lua)?)?)?;
    visible.raw_set("bit", read_only(lua, &bits::library(lua)?)?)?;
    let missing = lua.create_table()?;
    missing.raw_set("__index", lua.create_function(missing_global)?)?;
    visible.set_metatable(Some(missing))?;
    let environment = read_only(lua, &visible)?;
    visible.raw_set("_G", environment.clone())?;
    Ok(Sandbox {
        visible,
        environment,
        protected_call: globals.raw_get("xpcall")?,
        explain: lua.create_function(raise::explain)?,
    })
}

/// An empty table through which `inside` is read and not written.
fn read_only(lua: &Lua, inside: &Table) -> Result<Table> {
    let outside = lua.create_table()?;
    let metatable = lua.create_table()?;
    metatable.raw_set("__index", inside.clone())?;
    metatable.raw_set("__newindex", lua.create_function(refuse_assignment)?)?;
    outside.set_metatable(Some(metatable))?;
    Ok(outside)
}

fn refuse_assignment(lua: &Lua, _: MultiValue) -> Result<()> {
    Err(raise::at_caller(lua, "Attempt to modify a readonly table"))
}

fn missing_global(lua: &Lua, (_, name): (Value, Value)) -> Result<Value> {
    let name = name.to_string()?;
    Err(raise::at_caller(lua, &format!("Script attempted to access nonexistent global variable '{name}'")))
}

/// `pcall` as the server has it: an error of `redis.call` arrives as its text.
fn protected(lua: &Lua, pcall: Function) -> Result<Function> {
    lua.create_function(move |lua, arguments: MultiValue| {
        let mut values: Vec<Value> = pcall.call::<MultiValue>(arguments)?.into_iter().collect();
        if let [Value::Boolean(false), error] = values.as_mut_slice() {
            *error = raise::as_script_sees_it(lua, error)?;
        }
        Ok(MultiValue::from_vec(values))
    })
}
