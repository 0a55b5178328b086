//! A peer's bytes are never trusted: whatever comes is understood or refused, and nothing panics.

use doorbuster_core::rng::Rng;
use doorbuster_core::time::Wall;
use doorbuster_lua::dump::{Dump, RawDump};
use doorbuster_lua::generate::Generator;
use doorbuster_lua::identity::ReplicationId;
use doorbuster_lua::log::decode_entry;
use doorbuster_lua::model::Model;
use doorbuster_lua::reply::Reply;
use doorbuster_lua::value::{ReplyError, Value};

fn model() -> Model {
    Model::empty(ReplicationId::parse(&"0123456789".repeat(4)).unwrap())
}

fn noise(rng: &mut Rng, depth: u64) -> Value {
    match rng.below(if depth > 0 { 6 } else { 4 }) {
        0 => Value::Nil,
        1 => Value::Integer(rng.draw() as i64),
        2 => Value::Error("OOM command not allowed".to_owned()),
        3 => Value::Bytes((0..rng.below(40)).map(|_| letter(rng)).collect()),
        _ => Value::Array((0..rng.below(6)).map(|_| noise(rng, depth - 1)).collect()),
    }
}

/// Bytes that mean something here and there.
fn letter(rng: &mut Rng) -> u8 {
    const FAMILIAR: &[u8] = b"\0\0\0\0\0\0\0\0\x01\x05ADEKLNOPRSUXW0123-";
    let at = rng.below(FAMILIAR.len() as u64 + 8) as usize;
    FAMILIAR.get(at).copied().unwrap_or(rng.draw() as u8)
}

#[test]
fn noise_is_an_error_value() {
    let (model, mut rng) = (model(), Rng::seeded(1));
    for seed in 0..20_000 {
        let call = Generator::seeded(seed).next_call(&model, Wall(1_000_000));
        let _ = call.decode(&noise(&mut rng, 2));
        let _ = decode_entry(&noise(&mut rng, 3));
        let mut part = || noise(&mut rng, 2);
        let raw =
            RawDump { memory: part(), users: part(), log: part(), ready: part(), processing: part(), owner: part() };
        let _ = Dump::decode(&raw);
    }
}

#[test]
fn a_fence_and_a_servers_own_error_are_told_apart() {
    let call = Generator::seeded(1).next_call(&model(), Wall(1_000_000));
    let fenced = Value::Error("FENCED another memory".to_owned());
    assert_eq!(call.decode(&fenced), Ok(Reply::Fenced));
    let readonly = Value::Error("READONLY You can't write against a read only replica.".to_owned());
    assert!(matches!(call.decode(&readonly), Err(ReplyError::Server(_) | ReplyError::Type(_))));
}
