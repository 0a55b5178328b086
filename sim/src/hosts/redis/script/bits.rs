use mlua::{Lua, MultiValue, Result, Table, Value};

use super::raise::bad_argument;

/// The library `bit`: operations on 32-bit numbers, whose results are signed.
///
/// Source: <https://bitop.luajit.org/semantics.html>.
///
/// # Errors
/// The interpreter has no memory.
pub fn library(lua: &Lua) -> Result<Table> {
    let library = lua.create_table()?;
    for (name, join) in [
        ("band", (|one, other| one & other) as fn(u32, u32) -> u32),
        ("bor", |one, other| one | other),
        ("bxor", |one, other| one ^ other),
    ] {
        let function = lua.create_function(move |lua, arguments: MultiValue| fold(lua, name, &arguments, join))?;
        library.raw_set(name, function)?;
    }
    for (name, shift) in [
        ("lshift", (|number, places| number << places) as fn(u32, u32) -> u32),
        ("rshift", |number, places| number >> places),
    ] {
        let function = lua.create_function(move |lua, arguments: MultiValue| {
            let number = argument(lua, name, &arguments, 0)?;
            // Only the lower five bits of the distance count.
            let places = argument(lua, name, &arguments, 1)? & 31;
            Ok(signed(shift(number, places)))
        })?;
        library.raw_set(name, function)?;
    }
    let tobit = lua.create_function(|lua, arguments: MultiValue| Ok(signed(argument(lua, "tobit", &arguments, 0)?)))?;
    library.raw_set("tobit", tobit)?;
    Ok(library)
}

fn fold(lua: &Lua, name: &str, arguments: &MultiValue, join: fn(u32, u32) -> u32) -> Result<i32> {
    let mut result = argument(lua, name, arguments, 0)?;
    for index in 1..arguments.len() {
        result = join(result, argument(lua, name, arguments, index)?);
    }
    Ok(signed(result))
}

/// The number at `index`, rounded and cut to its lower 32 bits.
fn argument(lua: &Lua, name: &str, arguments: &MultiValue, index: usize) -> Result<u32> {
    let given = arguments.get(index);
    let number = given.and_then(|value| lua.coerce_number(value.clone()).ok().flatten());
    let Some(number) = number else {
        let kind = given.map_or("no value", Value::type_name);
        return Err(bad_argument(lua, index + 1, name, &format!("number expected, got {kind}")));
    };
    Ok(lower_bits(number))
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the library is defined as the lower 32 bits"
)]
fn lower_bits(number: f64) -> u32 {
    number.round_ties_even() as i64 as u32
}

fn signed(number: u32) -> i32 {
    number.cast_signed()
}
