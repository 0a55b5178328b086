//! Random sequences through the model and through a real server: the same answers, the same memory.

mod server;

use doorbuster_core::ledger::shard::{Meta, ShardState};
use doorbuster_core::time::{Mono, Now, Wall};
use doorbuster_lua::cache::decode_time;
use doorbuster_lua::dump::Dump;
use doorbuster_lua::generate::Generator;
use doorbuster_lua::keys::ShardKeys;
use doorbuster_lua::model::Model;
use server::Server;
use std::collections::BTreeMap;

const CALLS: usize = 120;

/// `DIFFERENTIAL_SEQUENCES` asks for more.
fn sequences() -> u64 {
    let asked = std::env::var("DIFFERENTIAL_SEQUENCES").ok();
    asked.map_or(300, |text| text.parse().expect("DIFFERENTIAL_SEQUENCES is a number"))
}

#[test]
fn scripts_on_a_real_server_are_their_models() {
    let Some(mut server) = Server::start("scripts_on_a_real_server_are_their_models") else { return };
    let mut answers: BTreeMap<&'static str, BTreeMap<String, u64>> = BTreeMap::new();
    for seed in 0..sequences() {
        let sequence = run(&mut server, seed);
        for (script, kind) in sequence {
            *answers.entry(script).or_default().entry(kind).or_default() += 1;
        }
    }
    println!("{answers:#?}");
}

/// Runs one sequence; tells which script was answered how.
fn run(server: &mut Server, seed: u64) -> Vec<(&'static str, String)> {
    let keys = ShardKeys::tagged(&format!("sale:0:{seed}"));
    let mut model = Model::empty(server.identity().replication_id);
    let mut generator = Generator::seeded(seed);
    let mut seen = Vec::new();
    let mut now = decode_time(&server.ask(&["TIME"])).expect("a server knows the time");
    for step in 0..CALLS {
        let call = generator.next_call(&model, now);
        let name = call.script().name;
        let value = server.call(&call, &keys);
        let reply = call.decode(&value).unwrap_or_else(|error| panic!("seed {seed} step {step} {name}: {error}"));
        let clock = reply.clock().unwrap_or(Now { mono: Mono(now.0 * 1000), wall: now });
        now = Wall(now.0.max(clock.wall.0));
        let expected = model.apply(&call, clock);
        assert_eq!(reply, expected, "seed {seed} step {step}: {call:?}");
        seen.push((name, kind(&format!("{reply:?}"))));
        if step % 10 == 9 {
            let found = server.dump(&keys).unwrap_or_else(|error| panic!("seed {seed} step {step}: {error}"));
            assert_eq!(found, Dump::of_model(&model), "seed {seed}: the memory after step {step}, {call:?}");
            // A memory that is loaded in parts adds up only at its end.
            let sells = |meta: &Meta| matches!(meta.state, ShardState::Open | ShardState::Stopped);
            if model.shard.meta().is_some_and(sells) {
                model.shard.scan().expect("I4 holds in the model");
            }
            model.queue.scan().expect("S13 holds in the model");
        }
    }
    for key in [keys.memory, keys.users, keys.log, keys.ready, keys.processing, keys.owner] {
        server.ask(&["DEL", &key]);
    }
    seen
}

/// The words of an answer without its numbers.
fn kind(reply: &str) -> String {
    let words = reply.split(|letter: char| !letter.is_ascii_alphabetic());
    let mut words: Vec<&str> = words.filter(|word| word.starts_with(char::is_uppercase)).collect();
    words.sort_unstable();
    words.dedup();
    words.join(" ")
}
