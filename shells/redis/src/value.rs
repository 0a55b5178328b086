//! Replies as the client library gives them, in the words of the scripts' crate.

use doorbuster_lua::value::Value;

/// A reply of either version of the protocol.
pub fn understand(value: redis::Value) -> Value {
    match value {
        redis::Value::Nil => Value::Nil,
        redis::Value::Int(number) => Value::Integer(number),
        redis::Value::Boolean(truth) => Value::Integer(i64::from(truth)),
        redis::Value::BulkString(bytes) => Value::Bytes(bytes),
        redis::Value::SimpleString(text) | redis::Value::VerbatimString { text, .. } => Value::Bytes(text.into_bytes()),
        redis::Value::Okay => Value::Bytes(b"OK".to_vec()),
        redis::Value::Array(values) | redis::Value::Set(values) => {
            Value::Array(values.into_iter().map(understand).collect())
        }
        redis::Value::Map(pairs) => {
            Value::Array(pairs.into_iter().flat_map(|(key, value)| [understand(key), understand(value)]).collect())
        }
        redis::Value::Attribute { data, .. } => understand(*data),
        redis::Value::ServerError(error) => {
            Value::Error(format!("{} {}", error.code(), error.details().unwrap_or_default()))
        }
        // No command of ours is answered so; whoever asked finds that it is no reply of its call.
        other => Value::Error(format!("ERR a reply that no command of ours has: {other:?}")),
    }
}

/// The code of an error.
pub fn code(value: &Value) -> Option<&str> {
    match value {
        Value::Error(error) => error.split(' ').next(),
        Value::Nil | Value::Integer(_) | Value::Bytes(_) | Value::Array(_) => None,
    }
}
