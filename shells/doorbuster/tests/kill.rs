//! Real processes over one directory, killed with SIGKILL: what they had acknowledged is there, exactly once.

#[allow(dead_code, reason = "the binary uses the rest of it")]
#[path = "../src/depths.rs"]
mod depths;
#[allow(dead_code, reason = "the binary uses the rest of it")]
#[path = "../src/platform.rs"]
mod platform;
#[path = "../src/provider.rs"]
mod provider;
mod shop;

use doorbuster_core::ids::{Epoch, Seq};
use doorbuster_core::ledger::page::Acceptance;
use doorbuster_core::order::status::{Ending, Status};
use doorbuster_runtime::ports::admit::Admission;
use shop::{Shop, order_of};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const DIRECTORY: &str = "DOORBUSTER_KILL_DIRECTORY";
const ROUND: &str = "DOORBUSTER_KILL_ROUND";
const KILLS: u64 = 25;
const HOLD_MS: u64 = 3_600_000;
const STOCK: u64 = 1_000_000;

/// Not a test: the process that is killed. It prints each fact after it was acknowledged.
#[test]
fn child() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let round = std::env::var(ROUND).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let shop = Shop::start(Path::new(&directory)).await;
        shop.open_sale(STOCK, HOLD_MS).await;
        // All on this one task: what runs beside them are the roles.
        let buyer = |lane: usize| shop_on(&shop, format!("{round}-{lane}"));
        tokio::join!(buyer(0), buyer(1), buyer(2), buyer(3), buyer(4), buyer(5), buyer(6), buyer(7));
    });
}

/// Buys for one buyer after the other; a third pays, a third cancels, a third only waits.
async fn shop_on(shop: &Shop, name: String) {
    for number in 0_u64.. {
        let buyer = format!("b-{name}-{number}");
        let accepted = shop.buy(&buyer, 1).await;
        say(&format!("reserved {buyer} {} {}", accepted.epoch.0, accepted.seq.0));
        match number % 3 {
            0 => {
                shop.order_comes(&buyer).await;
                shop.start_payment(&buyer, &format!("pay-{buyer}")).await.unwrap();
                shop.settle(&format!("pay-{buyer}")).await;
                say(&format!("paid {buyer} 0 0"));
            }
            1 => {
                shop.order_comes(&buyer).await;
                shop.cancel(&buyer).await.unwrap();
                say(&format!("cancelled {buyer} 0 0"));
            }
            _ => {}
        }
    }
}

/// One write per fact: a killed process leaves whole lines or none.
fn say(fact: &str) {
    std::io::stdout().lock().write_all(format!("fact {fact}\n").as_bytes()).unwrap();
}

/// The last that was acknowledged of a buyer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    Reserved,
    Paid,
    Cancelled,
}

#[derive(Default)]
struct Facts {
    known: BTreeMap<String, Known>,
    acceptances: BTreeMap<String, (Epoch, Seq)>,
    /// The lowest epoch that the next process may write.
    epoch: u64,
}

impl Facts {
    fn learn(&mut self, fact: &str) {
        let words: Vec<&str> = fact.split(' ').collect();
        let [what, buyer, epoch, seq] = words[..] else { return };
        let known = match what {
            "reserved" => Known::Reserved,
            "paid" => Known::Paid,
            "cancelled" => Known::Cancelled,
            _ => panic!("no fact: {fact}"),
        };
        if known == Known::Reserved {
            let place = (Epoch(epoch.parse().unwrap()), Seq(seq.parse().unwrap()));
            assert!(place.0.0 >= self.epoch, "epochs only grow");
            let earlier = self.acceptances.insert(buyer.to_owned(), place);
            assert_eq!(earlier, None, "{buyer} was acknowledged twice");
        }
        self.known.insert(buyer.to_owned(), known);
    }
}

fn start(directory: &Path, round: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(DIRECTORY, directory)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Kills a child after so many facts.
fn kill_after(directory: &Path, round: u64, facts: &mut Facts, count: u64) {
    let mut child = start(directory, round);
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut seen = 0;
    for line in lines.map_while(Result::ok) {
        let Some((_, fact)) = line.split_once("fact ") else { continue };
        facts.learn(fact);
        seen += 1;
        if seen == count {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(seen >= count, "the child ended by itself");
}

/// Opens the directory here, with the real roles, and holds it against what was acknowledged.
async fn check(directory: &Path, facts: &mut Facts) {
    let shop = Shop::start(directory).await;
    for (buyer, known) in &facts.known {
        let row = shop.order_comes(buyer).await;
        let (epoch, seq) = facts.acceptances[buyer];
        let acceptance = row.origin.as_ref().map(|origin| (origin.acceptance.epoch, origin.acceptance.seq));
        assert_eq!(acceptance, Some((epoch, seq)), "{buyer} has the order that was acknowledged");
        match known {
            // Its process may have gone on without being heard.
            Known::Reserved => assert!(row.status.holds_units() || row.status == Status::Cancelled(Ending::Buyer)),
            Known::Paid => assert_eq!(row.status, Status::Paid, "{buyer}"),
            Known::Cancelled => assert_eq!(row.status, Status::Cancelled(Ending::Buyer), "{buyer}"),
        }
    }
    // The keeper opens the next epoch over all of it, and the memory knows the old keys.
    let probe = shop.buy(&format!("probe-{}", facts.epoch), 1).await;
    assert!(probe.epoch.0 > facts.epoch, "epochs only grow: {probe:?} after {}", facts.epoch);
    facts.epoch = probe.epoch.0;
    if let Some((buyer, (epoch, seq))) = facts.acceptances.last_key_value() {
        let again = shop.reserve(buyer, 1).await;
        assert!(
            matches!(again, Admission::Replayed(Acceptance { epoch: e, seq: s, .. }) if (e, s) == (*epoch, *seq)),
            "{again:?}"
        );
    }
    let orders = shop.audit().await;
    assert!(orders.len() >= facts.known.len());
    assert!(orders.iter().any(|order| order.id == order_of("probe-0")), "the first round's probe is still there");
    shop.stop().await;
}

#[test]
fn what_a_killed_platform_had_acknowledged_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut facts = Facts::default();
    for round in 0..KILLS {
        // From the first fact of a process to a few hundred.
        kill_after(directory.path(), round, &mut facts, 1 + round * 37 % 211);
        if round == 0 {
            runtime.block_on(async {
                let shop = Shop::start(directory.path()).await;
                shop.buy("probe-0", 1).await;
                shop.order_comes("probe-0").await;
                shop.stop().await;
            });
        }
        if round % 3 == 2 || round + 1 == KILLS {
            runtime.block_on(check(directory.path(), &mut facts));
        }
    }
    println!("{KILLS} kills, {} acknowledged reservations, epoch {}", facts.acceptances.len(), facts.epoch);
}
