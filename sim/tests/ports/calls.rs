//! One call over a stream: what its caller knows, and what was done.

use super::pipes::{Pipe, Pipes};
use doorbuster_core::database::command::{Command, Reply};
use doorbuster_core::database::rows::{AckLevel, Currency};
use doorbuster_core::database::tables::Reads;
use doorbuster_core::ids::SaleId;
use doorbuster_core::outcome::Outcome;
use doorbuster_core::sale::command::{NewSale, SaleCommand};
use doorbuster_runtime::drive::spawn;
use doorbuster_runtime::ports::store::Store;
use doorbuster_sim::fault::FaultKind;
use doorbuster_sim::seed::Seed;
use doorbuster_sim::worlds::wire::rpc::client::{Client, PATIENCE};
use doorbuster_sim::worlds::wire::rpc::frame::HEADER_BYTES;
use doorbuster_sim::worlds::wire::rpc::mount::Noted;
use doorbuster_sim::worlds::wire::rpc::{Away, FLIGHTS_MAX};

pub fn sale() -> SaleId {
    SaleId::parse("demo").expect("a short name")
}

pub fn create() -> Command {
    Command::Sale(SaleCommand::Create(NewSale {
        id: sale(),
        title: "A sale".to_owned(),
        window: doorbuster_core::ledger::shard::Window {
            starts_at: doorbuster_core::time::Wall(0),
            ends_at: doorbuster_core::time::Wall(u64::MAX),
        },
        limit: 2,
        hold_ms: 30_000,
        shards: 1,
        ack: AckLevel::Log,
        currency: Currency::parse("EUR").expect("three capital letters"),
    }))
}

async fn is_created(store: &dyn Store) -> bool {
    let mut reads = Reads::default();
    reads.sales.insert(sale());
    store.read(reads).await.expect("the database answers").sales.contains_key(&sale())
}

fn was_bitten(pipes: &Pipes, kind: FaultKind) -> bool {
    let noted = pipes.mounts.noted.lock().expect("no holder panics");
    noted.iter().any(|noted| matches!(noted, Noted::Bitten(bitten, _) if *bitten == kind))
}

#[tokio::test(start_paused = true)]
async fn what_was_written_is_read() {
    let pipes = Pipes::new(Seed(1));
    let store = pipes.connect().store;
    assert!(matches!(store.apply(create()).await, Outcome::Done(Reply::Sale(_))));
    assert!(is_created(store.as_ref()).await);
    let noted = pipes.mounts.noted.lock().expect("no holder panics");
    assert!(noted.iter().any(|noted| matches!(noted, Noted::Committed(_))), "whoever watches hears of the commit");
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_reply_is_lost_is_unknown_and_was_applied() {
    let pipes = Pipes::new(Seed(3));
    let store = pipes.connect().store;
    pipes.mounts.database.trouble(FaultKind::N9, 1000);
    assert_eq!(store.apply(create()).await, Outcome::Unknown);
    pipes.mounts.database.heal(FaultKind::N9);
    assert!(is_created(store.as_ref()).await, "only the answer was lost");
    assert!(was_bitten(&pipes, FaultKind::N9));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_breaks_off_is_unknown_and_the_next_connection_is_whole() {
    let pipes = Pipes::new(Seed(4));
    let store = pipes.connect().store;
    pipes.mounts.database.trouble(FaultKind::N5, 1000);
    assert_eq!(store.apply(create()).await, Outcome::Unknown);
    pipes.mounts.database.heal(FaultKind::N5);
    assert!(is_created(store.as_ref()).await, "the transaction was done before its answer");
    assert!(was_bitten(&pipes, FaultKind::N5));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_breaks_off_is_unknown_and_is_never_applied() {
    let pipes = Pipes::new(Seed(5));
    let store = pipes.connect().store;
    pipes.becomes(Pipe::Torn(HEADER_BYTES as u64 / 2));
    assert_eq!(store.apply(create()).await, Outcome::Unknown);
    pipes.becomes(Pipe::Whole);
    tokio::time::sleep(PATIENCE).await;
    assert!(!is_created(store.as_ref()).await, "half a frame asks for nothing");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_never_left_is_refused() {
    let pipes = Pipes::new(Seed(6));
    let client = Client::new(pipes.mounts.services().provider, pipes.clone(), &pipes.env);
    pipes.becomes(Pipe::Refused);
    let request = || doorbuster_sim::services::provider::Request::Confirm(1);
    assert_eq!(client.ask(request()).await, Outcome::Refused(Away));
    pipes.becomes(Pipe::Whole);
    assert!(matches!(client.ask(request()).await, Outcome::Done(_)), "it is found again");
}

#[tokio::test(start_paused = true)]
async fn a_connection_on_which_nothing_comes_back_is_left_for_another() {
    let pipes = Pipes::new(Seed(7));
    let store = pipes.connect().store;
    pipes.becomes(Pipe::Blackhole);
    let began = pipes.env.now();
    assert_eq!(store.apply(create()).await, Outcome::Unknown, "it left, and nobody knows more");
    assert!(pipes.env.now().mono.0 - began.mono.0 <= PATIENCE.as_micros() as u64 + 1_000, "patience is bounded");
    pipes.becomes(Pipe::Whole);
    assert!(matches!(store.apply(create()).await, Outcome::Done(_)));
}

#[tokio::test(start_paused = true)]
async fn a_refused_charge_and_a_charge_are_told_apart() {
    let pipes = Pipes::new(Seed(8));
    let wired = pipes.connect();
    let payment = doorbuster_core::ids::PaymentId::parse("p-1").expect("a short name");
    assert!(matches!(wired.provider.refund(payment).await, Outcome::Refused(_)), "it was never charged");
    assert!(wired.confirm(1).await);
}

#[tokio::test(start_paused = true)]
async fn calls_in_flight_are_bounded() {
    let pipes = Pipes::new(Seed(9));
    let client = Client::new(pipes.mounts.services().provider, pipes.clone(), &pipes.env);
    pipes.becomes(Pipe::Blackhole);
    let confirm = doorbuster_sim::services::provider::Request::Confirm(1);
    for _ in 0..FLIGHTS_MAX {
        let (client, confirm) = (client.clone(), confirm.clone());
        spawn(async move { client.ask(confirm).await });
    }
    tokio::time::sleep(PATIENCE / 2).await;
    assert_eq!(client.ask(confirm.clone()).await, Outcome::Refused(Away), "one more never leaves");
    tokio::time::sleep(PATIENCE).await;
    pipes.becomes(Pipe::Whole);
    assert!(matches!(client.ask(confirm).await, Outcome::Done(_)), "none of them is pending for ever");
}
