//! A write or sync that fails ends the process, and nothing is acknowledged behind it.

mod support;

use doorbuster_core::database::command::Command;
use doorbuster_core::ids::Key;
use doorbuster_core::ledger::reserve::ItemReply;
use doorbuster_core::outcome::Outcome;
use doorbuster_core::sale::command::SaleCommand;
use doorbuster_embedded::EXIT_STORAGE;
use doorbuster_embedded::disk::{Disk, ModelDisk};
use doorbuster_embedded::log::{Log, Options};
use doorbuster_embedded::rows::RowsStore;
use doorbuster_embedded::server::ShardServer;
use doorbuster_runtime::contract::clock::SteppedEnv;
use doorbuster_runtime::contract::{Memory, NewWorld};
use doorbuster_runtime::ports::ledger::Ledger;
use doorbuster_runtime::ports::store::Store;
use doorbuster_runtime::telemetry::Telemetry;
use std::io::Write;
use std::path::Path;
use std::process::{Command as Process, Output};
use std::sync::Arc;
use tempfile::TempDir;

const DIRECTORY: &str = "DOORBUSTER_FAILURE_DIRECTORY";
/// Acknowledgements after which a child gives up waiting for its failure.
const ACKNOWLEDGED_MAX: usize = 20_000;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// One write per fact: a process that ends leaves whole lines or none.
fn say(fact: usize) {
    std::io::stdout().lock().write_all(format!("fact {fact}\n").as_bytes()).unwrap();
}

fn top_up(number: usize) -> Command {
    let (sku, key) = (support::sku(), Key::parse(&format!("top-up-{number}")).unwrap());
    Command::Sale(SaleCommand::TopUp { sale: support::world().sale, sku, quantity: 1, key })
}

/// Not a test: a server over a disk whose tenth sync fails.
#[test]
fn child_with_a_failing_log() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let disk = Arc::new(ModelDisk::new());
    let log = Log::open_on(disk.clone() as Arc<dyn Disk>, Options::default()).unwrap();
    let rows = RowsStore::open(&Path::new(&directory).join("rows"), SteppedEnv::shared(1)).unwrap();
    let (server, _intents, _thread) = ShardServer::start(log, rows, SteppedEnv::shared(1), Telemetry::shared());
    runtime().block_on(async {
        let (world, shard) = (support::world(), support::world().shard(0));
        let fence = Memory::of(1_000_000).open(&server, shard, 1).await;
        disk.fail_sync(10);
        for number in 0..ACKNOWLEDGED_MAX {
            let item = world.item(number, 1, &[(0, 1)]);
            match server.reserve(shard, fence, vec![item]).await {
                Outcome::Done(replies) if matches!(replies[0], ItemReply::Accepted(_)) => say(number),
                other => panic!("a process whose log has failed does not answer: {other:?}"),
            }
        }
    });
}

/// Not a test: rows whose files may not grow any more at some point.
#[test]
fn child_with_failing_rows() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let rows = RowsStore::open(&Path::new(&directory).join("rows"), SteppedEnv::shared(1)).unwrap();
    runtime().block_on(async {
        for number in 0..ACKNOWLEDGED_MAX {
            match rows.apply(top_up(number)).await {
                Outcome::Done(_) => say(number),
                other => panic!("a process whose rows have failed does not answer: {other:?}"),
            }
        }
    });
}

/// Runs a child whose files may grow to so many blocks of 512 bytes; a write beyond fails instead of killing it.
fn run(child: &str, directory: &Path, blocks: &str) -> Output {
    Process::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f $1; exec \"$2\" --exact $3 --nocapture", "sh", blocks])
        .arg(std::env::current_exe().unwrap())
        .arg(child)
        .env(DIRECTORY, directory)
        .output()
        .unwrap()
}

/// The acknowledged facts of a child that ended because of its disk.
fn acknowledged(output: &Output) -> usize {
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(EXIT_STORAGE), "{said}\n{errors}");
    assert!(errors.contains("cannot be written, ending"), "{errors}");
    let facts: Vec<&str> = said.lines().filter_map(|line| line.split_once("fact ")).map(|(_, fact)| fact).collect();
    let expected: Vec<String> = (0..facts.len()).map(|number| number.to_string()).collect();
    assert_eq!(facts, expected);
    assert!(!facts.is_empty() && facts.len() < ACKNOWLEDGED_MAX, "{} facts", facts.len());
    facts.len()
}

#[test]
fn a_failed_sync_of_the_log_ends_the_process() {
    let directory = tempfile::tempdir().unwrap();
    let output = run("child_with_a_failing_log", directory.path(), "unlimited");
    assert_eq!(acknowledged(&output), 9, "the tenth sync failed, and so nobody heard of the tenth reservation");
}

#[test]
fn rows_that_cannot_be_written_end_the_process() {
    let directory: TempDir = tempfile::tempdir().unwrap();
    let path = directory.path().join("rows");
    let total = |rows: &RowsStore| {
        let mut reads = doorbuster_core::database::tables::Reads::default();
        let key = (support::world().sale, support::sku());
        reads.skus.insert(key);
        runtime().block_on(async { rows.read(reads).await.unwrap().skus[&key].total })
    };
    let begun = {
        let rows = RowsStore::open(&path, SteppedEnv::shared(1)).unwrap();
        runtime().block_on(support::world().create(&rows, NewWorld::default()));
        total(&rows)
    };
    drop(support::open_rows(&path));
    drop(support::open_rows(&path));
    let journal = std::fs::metadata(path.join("0.jnl")).unwrap().len();
    let output = run("child_with_failing_rows", directory.path(), &(journal / 512 + 256).to_string());
    let facts = acknowledged(&output) as u64;
    // The one that failed may have been written, or not: whoever asked was told neither.
    let kept = total(&support::open_rows(&path)) - begun;
    assert!(kept == facts || kept == facts + 1, "{facts} were acknowledged, {kept} are there");
}

#[tokio::test]
async fn more_calls_than_one_group_holds_are_answered() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { group_bytes_max: 4 << 10, ..Options::default() };
    let log = Log::open_on(Arc::new(ModelDisk::new()), options).unwrap();
    let rows = RowsStore::open(&directory.path().join("rows"), SteppedEnv::shared(1)).unwrap();
    let (server, _intents, _thread) = ShardServer::start(log, rows, SteppedEnv::shared(1), Telemetry::shared());
    let (world, shard) = (support::world(), support::world().shard(0));
    let fence = Memory::of(1_000_000).open(&server, shard, 1).await;
    let call = |number: usize| {
        let items = (0..20).map(|buyer| world.item(100 * number + buyer, 1, &[(0, 1)])).collect();
        server.reserve(shard, fence, items)
    };
    for round in 0..20 {
        let first = 8 * round;
        let answers = tokio::join!(
            call(first),
            call(first + 1),
            call(first + 2),
            call(first + 3),
            call(first + 4),
            call(first + 5),
            call(first + 6),
            call(first + 7)
        );
        let all = [answers.0, answers.1, answers.2, answers.3, answers.4, answers.5, answers.6, answers.7];
        assert!(all.iter().all(|answer| matches!(answer, Outcome::Done(_))), "{all:?}");
    }
}
