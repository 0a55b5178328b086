//! S16, S17, S20 and L8 under any order of calls, answers, messages, losses and clocks.

use super::world::{World, key};
use doorbuster_core::limits::{CACHE_CLOCK_SLACK_MS, CACHE_LAG_AFTER_LOSS_MS, CACHE_LAG_MS};
use doorbuster_core::machine::Machine;
use doorbuster_core::oracle::cache_watch::CacheWatch;
use proptest::prelude::*;

const KEYS: usize = 2;
const PROCESSES: usize = 2;

/// What happens next. Numbers pick one of what is there.
#[derive(Clone, Copy, Debug)]
enum Move {
    Ask(usize, usize),
    /// Asks, and everything that this process waits for is carried out and answered.
    Serve(usize, usize),
    Change(usize),
    Floor(usize),
    Tell(usize, usize),
    LoseMessage(usize, usize),
    Disconnect(usize),
    Reconnect(usize),
    CarryOut(usize, usize),
    Answer(usize, usize),
    LoseAnswer(usize, usize),
    Wait(u64),
    Wake(usize),
    Restart(usize),
    Replicate,
    FailOver(i64),
}

fn next_move() -> impl Strategy<Value = Move> {
    let skew_ms = CACHE_CLOCK_SLACK_MS as i64 / 2;
    let (process, any) = (0..PROCESSES, 0usize..8);
    prop_oneof![
        8 => (process.clone(), 0..KEYS).prop_map(|(process, key)| Move::Ask(process, key)),
        6 => (process.clone(), 0..KEYS).prop_map(|(process, key)| Move::Serve(process, key)),
        3 => (0..KEYS).prop_map(Move::Change),
        4 => any.clone().prop_map(Move::Floor),
        4 => (process.clone(), any.clone()).prop_map(|(process, mail)| Move::Tell(process, mail)),
        1 => (process.clone(), any.clone()).prop_map(|(process, mail)| Move::LoseMessage(process, mail)),
        1 => process.clone().prop_map(Move::Disconnect),
        2 => process.clone().prop_map(Move::Reconnect),
        9 => (process.clone(), any.clone()).prop_map(|(process, call)| Move::CarryOut(process, call)),
        9 => (process.clone(), any.clone()).prop_map(|(process, call)| Move::Answer(process, call)),
        1 => (process.clone(), any).prop_map(|(process, call)| Move::LoseAnswer(process, call)),
        6 => prop_oneof![4 => 0u64..60, 3 => 100u64..1_300, 2 => 1_500u64..12_000, 1 => 15_000u64..95_000]
            .prop_map(Move::Wait),
        3 => process.clone().prop_map(Move::Wake),
        1 => process.prop_map(Move::Restart),
        2 => Just(Move::Replicate),
        1 => (-skew_ms..skew_ms).prop_map(Move::FailOver),
    ]
}

fn pick(number: usize, length: usize) -> Option<usize> {
    (length > 0).then(|| number % length)
}

fn perform(world: &mut World, next: Move, lossy: bool) {
    match next {
        Move::Ask(process, number) => _ = world.ask(process, key(number)),
        Move::Serve(process, number) => {
            world.ask(process, key(number));
            while !world.processes[process].calls.is_empty() {
                world.carry_out(process, 0);
                world.answer(process, 0);
            }
        }
        Move::Change(number) => _ = world.change(key(number)),
        // Mostly the latest: an event that comes again is the exception.
        Move::Floor(number) => {
            let length = world.changes.len();
            if let Some(index) = pick(number, length) {
                world.floor(length - 1 - index);
            }
        }
        Move::Tell(process, number) => {
            if let Some(mail) = pick(number, world.processes[process].mail.len()) {
                world.tell(process, mail);
            }
        }
        Move::LoseMessage(process, number) => {
            if let Some(mail) = pick(number, world.processes[process].mail.len()) {
                world.processes[process].mail.remove(mail);
            }
        }
        Move::Disconnect(process) => world.disconnect(process),
        Move::Reconnect(process) => world.reconnect(process),
        Move::CarryOut(process, number) => {
            if let Some(call) = pick(number, world.processes[process].calls.len()) {
                world.carry_out(process, call);
            }
        }
        Move::Answer(process, number) => {
            if let Some(call) = pick(number, world.processes[process].calls.len()) {
                world.answer(process, call);
            }
        }
        Move::LoseAnswer(process, number) => {
            if let Some(call) = pick(number, world.processes[process].calls.len()) {
                world.lose(process, call);
            }
        }
        Move::Wait(millis) => world.wait(millis),
        Move::Wake(process) => _ = world.wake(process),
        Move::Restart(process) => world.restart(process),
        Move::Replicate => world.replica = world.shared.clone(),
        Move::FailOver(skew_ms) if lossy => world.fail_over(skew_ms),
        Move::FailOver(_) => {}
    }
}

/// Faults end, every floor is written, and nobody is told anything more than the floors say.
fn converge(mut world: World) {
    for index in 0..world.changes.len() {
        if !world.changes[index].floored || world.lossy {
            world.floor(index);
        }
    }
    for process in &mut world.processes {
        process.mail.clear();
    }
    world.come_to_rest();
    for process in &world.processes {
        assert_eq!((process.cache.pending(), process.waiting.len()), (None, 0), "nobody waits for ever");
    }
    world.wait(if world.lossy { CACHE_LAG_AFTER_LOSS_MS } else { CACHE_LAG_MS });
    let finals = world.finals(KEYS);
    let verdict = CacheWatch::converges(finals, &world.rows).unwrap();
    assert!(verdict.is_green(), "L8: {verdict:?}");
    assert!(world.watch.never_goes_back().unwrap().is_green());
}

fn live(moves: Vec<Move>, lossy: bool) {
    let mut world = World::new(PROCESSES);
    for next in moves {
        perform(&mut world, next, lossy);
    }
    converge(world);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_reader_goes_back_and_all_come_to_the_rows(moves in proptest::collection::vec(next_move(), 1..250)) {
        live(moves, false);
    }

    #[test]
    fn not_even_where_the_shared_cache_loses_writes(moves in proptest::collection::vec(next_move(), 1..250)) {
        live(moves, true);
    }
}
