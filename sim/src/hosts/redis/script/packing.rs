use mlua::{Lua, MultiValue, Result, Table, Value};

use super::raise::{at_caller, bad_argument};

/// The library `struct` for the formats `> < b B h H i I l L c s x`, unaligned as it is by default.
///
/// Source: <https://www.inf.puc-rio.br/~roberto/struct/>, as Redis carries it.
///
/// # Errors
/// The interpreter has no memory.
pub fn library(lua: &Lua) -> Result<Table> {
    let library = lua.create_table()?;
    library.raw_set("pack", lua.create_function(pack)?)?;
    library.raw_set("unpack", lua.create_function(unpack)?)?;
    library.raw_set("size", lua.create_function(size)?)?;
    Ok(library)
}

/// The largest integer of the library's `iN` and `IN`, in bytes.
const INTEGER_BYTES_MAX: usize = 32;

/// One item of a format.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Item {
    BigEndian,
    LittleEndian,
    Integer { bytes: usize, signed: bool },
    Characters { count: usize },
    ZeroTerminated,
    Padding,
    Space,
}

/// The items of a format, each read when its turn comes: one that is never reached may be wrong.
struct Format<'text> {
    text: &'text [u8],
    at: usize,
}

impl Format<'_> {
    fn next(&mut self, lua: &Lua, function: &str) -> Result<Option<Item>> {
        let Some(letter) = self.text.get(self.at).copied() else { return Ok(None) };
        self.at += 1;
        Ok(Some(match letter {
            b'>' => Item::BigEndian,
            b'<' => Item::LittleEndian,
            b' ' => Item::Space,
            b'b' | b'B' => Item::Integer { bytes: 1, signed: letter == b'b' },
            b'h' | b'H' => Item::Integer { bytes: 2, signed: letter == b'h' },
            b'l' | b'L' => Item::Integer { bytes: 8, signed: letter == b'l' },
            b'i' | b'I' => {
                let bytes = self.number(lua, 4)?;
                if bytes > INTEGER_BYTES_MAX {
                    let text = format!("integral size {bytes} is larger than limit of {INTEGER_BYTES_MAX}");
                    return Err(at_caller(lua, &text));
                }
                assert!((1..=8).contains(&bytes), "the simulated struct library knows integers of 1 to 8 bytes");
                Item::Integer { bytes, signed: letter == b'i' }
            }
            b'c' => Item::Characters { count: self.number(lua, 1)? },
            b's' => Item::ZeroTerminated,
            b'x' => Item::Padding,
            b'!' | b'f' | b'd' | b'T' => panic!("the simulated struct library knows no format {}", char::from(letter)),
            // The size of a letter that means nothing is nothing.
            _ if function == "size" && letter.is_ascii_alphanumeric() => Item::Space,
            _ => {
                let text = format!("invalid format option '{}'", char::from(letter));
                return Err(bad_argument(lua, 1, function, &text));
            }
        }))
    }

    fn number(&mut self, lua: &Lua, otherwise: usize) -> Result<usize> {
        let digits = self.text[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let text = std::str::from_utf8(&self.text[self.at..self.at + digits]).expect("digits are text");
        self.at += digits;
        if digits == 0 {
            return Ok(otherwise);
        }
        // The library counts in 32 bits and says so when that is not enough.
        let number = text.parse::<i32>().ok().and_then(|number| usize::try_from(number).ok());
        number.ok_or_else(|| at_caller(lua, "integral size overflow"))
    }
}

fn pack(lua: &Lua, arguments: MultiValue) -> Result<mlua::LuaString> {
    let text = string(lua, "pack", &arguments, 0)?;
    let mut format = Format { text: &text, at: 0 };
    let mut out = Vec::new();
    let mut big = false;
    let mut next = 1;
    while let Some(item) = format.next(lua, "pack")? {
        match item {
            Item::BigEndian => big = true,
            Item::LittleEndian => big = false,
            Item::Space => {}
            Item::Padding => out.push(0),
            Item::Integer { bytes, .. } => {
                put(&mut out, whole(number(lua, "pack", &arguments, next)?), bytes, big);
                next += 1;
            }
            Item::Characters { count } => {
                let value = string(lua, "pack", &arguments, next)?;
                let count = if count == 0 { value.len() } else { count };
                let taken =
                    value.get(..count).ok_or_else(|| bad_argument(lua, next + 2, "pack", "string too short"))?;
                out.extend_from_slice(taken);
                next += 1;
            }
            Item::ZeroTerminated => {
                out.extend_from_slice(&string(lua, "pack", &arguments, next)?);
                out.push(0);
                next += 1;
            }
        }
    }
    lua.create_string(out)
}

fn unpack(lua: &Lua, arguments: MultiValue) -> Result<MultiValue> {
    let text = string(lua, "unpack", &arguments, 0)?;
    let data = string(lua, "unpack", &arguments, 1)?;
    let first = if arguments.len() > 2 { number(lua, "unpack", &arguments, 2)? } else { 1.0 };
    let short = || bad_argument(lua, 2, "unpack", "data string too short");
    if whole(first) == 0 {
        return Err(bad_argument(lua, 3, "unpack", "offset must be 1 or greater"));
    }
    // A position below zero is a very large one to the library.
    let mut at = usize::try_from(whole(first) - 1).map_err(|_| short())?;
    let mut format = Format { text: &text, at: 0 };
    let mut values: Vec<Value> = Vec::new();
    let mut big = false;
    while let Some(item) = format.next(lua, "unpack")? {
        let taken = match item {
            Item::BigEndian | Item::LittleEndian | Item::Space => 0,
            Item::Padding => 1,
            Item::Integer { bytes, .. } => bytes,
            Item::Characters { count: 0 } => previous_size(lua, &mut values)?,
            Item::Characters { count } => count,
            Item::ZeroTerminated => {
                let rest = data.get(at..).ok_or_else(short)?;
                let end = rest.iter().position(|byte| *byte == 0);
                end.ok_or_else(|| at_caller(lua, "unfinished string in data"))? + 1
            }
        };
        let bytes = at.checked_add(taken).and_then(|end| data.get(at..end)).ok_or_else(short)?;
        at += taken;
        match item {
            Item::BigEndian => big = true,
            Item::LittleEndian => big = false,
            Item::Space | Item::Padding => {}
            Item::Integer { signed, .. } => values.push(Value::Number(take(bytes, big, signed))),
            Item::Characters { .. } => values.push(Value::String(lua.create_string(bytes)?)),
            Item::ZeroTerminated => values.push(Value::String(lua.create_string(&bytes[..taken - 1])?)),
        }
    }
    values.push(Value::Integer(i64::try_from(at + 1).expect("a position in memory fits in 63 bits")));
    Ok(MultiValue::from_vec(values))
}

fn size(lua: &Lua, arguments: MultiValue) -> Result<usize> {
    let text = string(lua, "size", &arguments, 0)?;
    let mut format = Format { text: &text, at: 0 };
    let mut total = 0;
    while let Some(item) = format.next(lua, "size")? {
        total += match item {
            Item::BigEndian | Item::LittleEndian | Item::Space => 0,
            Item::Padding => 1,
            Item::Integer { bytes, .. } => bytes,
            Item::Characters { count: 0 } => {
                return Err(bad_argument(lua, 1, "size", "option 'c0' has no fixed size"));
            }
            Item::Characters { count } => count,
            Item::ZeroTerminated => return Err(bad_argument(lua, 1, "size", "option 's' has no fixed size")),
        };
    }
    Ok(total)
}

/// The number before a `c0` says how many characters there are, and is not itself a result.
fn previous_size(lua: &Lua, values: &mut Vec<Value>) -> Result<usize> {
    let needed = || at_caller(lua, "format 'c0' needs a previous size");
    let number = values.pop().and_then(|value| lua.coerce_number(value).ok().flatten()).ok_or_else(needed)?;
    usize::try_from(whole(number).cast_signed()).map_err(|_| bad_argument(lua, 2, "unpack", "data string too short"))
}

fn put(out: &mut Vec<u8>, number: u64, bytes: usize, big: bool) {
    if big {
        out.extend_from_slice(&number.to_be_bytes()[8 - bytes..]);
    } else {
        out.extend_from_slice(&number.to_le_bytes()[..bytes]);
    }
}

#[allow(clippy::cast_precision_loss, reason = "the language's numbers are floats")]
fn take(bytes: &[u8], big: bool, signed: bool) -> f64 {
    let join = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
    let number = if big { bytes.iter().fold(0, join) } else { bytes.iter().rev().fold(0, join) };
    if !signed {
        return number as f64;
    }
    let unused = 64 - 8 * bytes.len();
    (number << unused).cast_signed().wrapping_shr(u32::try_from(unused).expect("below 64")) as f64
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the library casts just so")]
fn whole(number: f64) -> u64 {
    if number < 0.0 { (number as i64).cast_unsigned() } else { number as u64 }
}

fn string(lua: &Lua, function: &str, arguments: &MultiValue, index: usize) -> Result<Vec<u8>> {
    let text = arguments.get(index).and_then(|value| lua.coerce_string(value.clone()).ok().flatten());
    text.map(|text| text.as_bytes().to_vec()).ok_or_else(|| expected(lua, function, arguments, index, "string"))
}

fn number(lua: &Lua, function: &str, arguments: &MultiValue, index: usize) -> Result<f64> {
    let number = arguments.get(index).and_then(|value| lua.coerce_number(value.clone()).ok().flatten());
    number.ok_or_else(|| expected(lua, function, arguments, index, "number"))
}

fn expected(lua: &Lua, function: &str, arguments: &MultiValue, index: usize, kind: &str) -> mlua::Error {
    // The packer puts a nil behind its arguments, which is what it finds where one is missing.
    let missing = if function == "pack" && index > 0 { "nil" } else { "no value" };
    let given = arguments.get(index).map_or(missing, Value::type_name);
    let given = if given == "integer" { "number" } else { given };
    bad_argument(lua, index + 1, function, &format!("{kind} expected, got {given}"))
}
