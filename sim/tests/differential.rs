//! Random sequences of calls through the Rust models, through the shipped scripts on the simulated server, and through
//! the same scripts on a real one: the same answers, the same memory.
//!
//! `DIFFERENTIAL_SEQUENCES` sets how many sequences the first two see, from seed `DIFFERENTIAL_FIRST` on, and
//! `DIFFERENTIAL_SERVER_SEQUENCES` how many the real server sees.

#[path = "redis/client.rs"]
#[allow(dead_code, reason = "each test uses a part of it")]
mod client;
#[path = "redis/real.rs"]
#[allow(dead_code, reason = "each test uses a part of it")]
mod real;

use client::{Client, at};
use doorbuster_core::time::{Mono, Now, Wall};
use doorbuster_lua::cache::decode_time;
use doorbuster_lua::call::Call;
use doorbuster_lua::dump::{Dump, RawDump};
use doorbuster_lua::generate::Generator;
use doorbuster_lua::identity::Identity;
use doorbuster_lua::keys::ShardKeys;
use doorbuster_lua::model::Model;
use doorbuster_lua::script::ALL;
use doorbuster_lua::value::Value;
use doorbuster_sim::hosts::redis::{Reply, SyncPolicy};
use real::RealRedis;

/// Calls of one sequence: enough for several epochs of one shard.
const CALLS: usize = 120;

/// The memory is read back and compared each time so many calls have passed.
const CALLS_PER_DUMP: usize = 10;

/// What a sequence needs of a server.
trait Server {
    fn ask_words(&mut self, words: &[&[u8]]) -> Reply;
}

impl Server for Client {
    fn ask_words(&mut self, words: &[&[u8]]) -> Reply {
        self.ask(words)
    }
}

impl Server for RealRedis {
    fn ask_words(&mut self, words: &[&[u8]]) -> Reply {
        self.ask(words)
    }
}

fn value(reply: Reply) -> Value {
    match reply {
        Reply::Nil | Reply::NilArray => Value::Nil,
        Reply::Integer(number) => Value::Integer(number),
        Reply::Bulk(bytes) => Value::Bytes(bytes),
        Reply::Status(text) => Value::Bytes(text.into_bytes()),
        Reply::Error(text) => Value::Error(text),
        Reply::Array(items) => Value::Array(items.into_iter().map(value).collect()),
        other => panic!("the second version of the protocol has no {other:?}"),
    }
}

fn ask(server: &mut impl Server, words: &[&str]) -> Value {
    let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
    value(server.ask_words(&words))
}

fn install(server: &mut impl Server) {
    for script in ALL {
        let sha = ask(server, &["SCRIPT", "LOAD", script.source]);
        assert_eq!(sha.text().expect(script.name), script.sha1.as_str(), "EVALSHA finds {}", script.name);
    }
}

fn call(server: &mut impl Server, call: &Call, keys: &ShardKeys) -> Value {
    let invocation = call.invocation(keys);
    let count = invocation.keys.len().to_string();
    let mut words: Vec<&[u8]> = vec![b"EVALSHA", invocation.script.sha1.as_bytes(), count.as_bytes()];
    words.extend(invocation.keys.iter().map(|key| key.as_bytes()));
    words.extend(invocation.arguments.iter().map(Vec::as_slice));
    value(server.ask_words(&words))
}

fn dump(server: &mut impl Server, keys: &ShardKeys) -> Dump {
    let raw = RawDump {
        memory: ask(server, &["HGETALL", &keys.memory]),
        users: ask(server, &["HGETALL", &keys.users]),
        log: ask(server, &["XRANGE", &keys.log, "-", "+"]),
        ready: ask(server, &["ZRANGE", &keys.ready, "0", "-1", "WITHSCORES"]),
        processing: ask(server, &["ZRANGE", &keys.processing, "0", "-1", "WITHSCORES"]),
        owner: ask(server, &["HGETALL", &keys.owner]),
    };
    Dump::decode(&raw).expect("a dump can be read")
}

/// One sequence on one server beside its model. `tick` lets the time of a simulated server pass.
fn run<S: Server>(server: &mut S, seed: u64, mut tick: impl FnMut(&mut S)) {
    let info = ask(server, &["INFO"]);
    let identity = Identity::parse(info.text().expect("INFO is text")).expect("INFO names the server");
    let keys = ShardKeys::tagged(&format!("sale:0:{seed}"));
    let mut model = Model::empty(identity.replication_id);
    let mut generator = Generator::seeded(seed);
    let mut now = decode_time(&ask(server, &["TIME"])).expect("a server knows the time");
    for step in 0..CALLS {
        tick(server);
        let next = generator.next_call(&model, now);
        let answered = call(server, &next, &keys);
        let reply = next.decode(&answered).unwrap_or_else(|error| panic!("seed {seed} step {step} {next:?}: {error}"));
        let clock = reply.clock().unwrap_or(Now { mono: Mono(now.0 * 1000), wall: now });
        now = Wall(now.0.max(clock.wall.0));
        let expected = model.apply(&next, clock);
        assert_eq!(reply, expected, "seed {seed} step {step}: {next:?}");
        if step % CALLS_PER_DUMP == CALLS_PER_DUMP - 1 {
            let found = dump(server, &keys);
            assert_eq!(found, Dump::of_model(&model), "seed {seed}: the memory after step {step}, {next:?}");
        }
    }
    for key in [keys.memory, keys.users, keys.log, keys.ready, keys.processing, keys.owner] {
        ask(server, &["DEL", &key]);
    }
}

fn sequences(variable: &str, otherwise: u64) -> u64 {
    let asked = std::env::var(variable).ok();
    asked.map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{variable} is a number")))
}

#[test]
fn the_scripts_on_the_simulated_server_are_their_models() {
    let first = sequences("DIFFERENTIAL_FIRST", 0);
    let end = first + sequences("DIFFERENTIAL_SEQUENCES", 2_000);
    let threads = std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
    // Sequences know nothing of each other, so it does not matter which thread runs which.
    std::thread::scope(|scope| {
        for thread in 0..threads {
            scope.spawn(move || {
                let mut server = Client::new(SyncPolicy::Off);
                install(&mut server);
                let seeds = (first..end).filter(|seed| seed % threads == thread);
                seeds.for_each(|seed| run_simulated(&mut server, seed));
            });
        }
    });
}

/// One sequence on an empty simulated server, whose clock begins anew: a seed runs alone as it runs among others.
fn run_simulated(server: &mut Client, seed: u64) {
    server.host.flush_all();
    server.now = at(0);
    // Steps of uneven length, so that leases end and windows open in between.
    let mut step = seed;
    run(server, seed, |server| {
        step = step.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let passed_ms = [0, 1, 3, 40, 700][usize::try_from(step >> 61).expect("three bits") % 5];
        server.now.wall = server.now.wall.after_ms(passed_ms);
        server.now.mono = server.now.mono.after_ms(passed_ms);
    });
}

#[test]
fn the_scripts_on_a_real_server_are_their_models_too() {
    let Some(mut server) = RealRedis::start("the_scripts_on_a_real_server_are_their_models_too") else { return };
    install(&mut server);
    for seed in 0..sequences("DIFFERENTIAL_SERVER_SEQUENCES", 500) {
        run(&mut server, seed, |_| {});
    }
}
