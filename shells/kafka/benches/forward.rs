//! Reservations per second into one partition of intents, beside a bare producer: `cargo bench -p doorbuster-kafka`.

#[path = "../tests/support/mod.rs"]
mod support;

use doorbuster_core::ids::{Epoch, Key, ReservationId, SaleId, Seq, ShardId, SkuId, UserId};
use doorbuster_core::inbox::Partition;
use doorbuster_core::ledger::basket::{Basket, Line};
use doorbuster_core::ledger::entry::{Entry, EntryKind, Intent, Reserved};
use doorbuster_core::outcome::Outcome;
use doorbuster_core::time::Wall;
use doorbuster_kafka::intent;
use doorbuster_kafka::publish::KafkaPublish;
use doorbuster_runtime::ports::publish::Publish;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;
use support::Cluster;

const PARTITION: Partition = Partition(0);
/// Reservations of one entry: a full batch of a lane.
const BATCH: usize = 64;
/// Entries of one transaction.
const ENTRIES: [usize; 3] = [32, 64, 80];
/// Entries of one round.
const ROUND: usize = 9_600;
/// The best is told: the first ones warm the broker up.
const ROUNDS: usize = 5;

fn main() {
    // The test runner calls benches with `--test`: nothing is to be measured then.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let Some(cluster) = Cluster::of("benchmark", 1) else { return };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let entries: Vec<Intent> = (1..=ROUND).map(entry).collect();
    compare_formats(&entries);
    println!(
        "| writer | entries a transaction | reservations/s, best of {ROUNDS} | client CPU a reservation | p50 | p99 |"
    );
    println!("|---|---|---|---|---|---|");
    let kafka = runtime.block_on(cluster.connect());
    let publish = kafka.publish();
    // Before and after: a broker is faster when it has run for a while.
    let mut bare: Vec<Round> = (0..ROUNDS).map(|_| bare_round(&cluster, &entries)).collect();
    let forwarded = ENTRIES
        .map(|count| best((0..ROUNDS).map(|_| runtime.block_on(forwarded_round(&publish, &entries, count))).collect()));
    bare.extend((0..ROUNDS).map(|_| bare_round(&cluster, &entries)));
    let baseline = best(bare);
    baseline.print("bare idempotent producer, pipelined", "-", None);
    for (count, round) in ENTRIES.into_iter().zip(forwarded) {
        round.print("forwarder's transactions", &count.to_string(), Some(&baseline));
    }
    drop((publish, kafka));
}

/// Bytes of an entry, and the work of writing and reading it, in the format of the topic and in JSON.
fn compare_formats(entries: &[Intent]) {
    let work = |format: &str, length: usize, round: Round| {
        let micros = round.cpu.as_secs_f64() * 1e6 / entries.len() as f64;
        println!("one entry of {BATCH} reservations in {format}: {length} bytes, {micros:.1} us to write and read");
    };
    let written = measured(|| {
        entries.iter().for_each(|entry| assert_eq!(intent::decode(Some(&intent::encode(entry))).as_ref(), Ok(entry)));
        Vec::new()
    });
    work("postcard", intent::encode(&entries[0]).len(), written);
    let json = |entry: &Intent| serde_json::to_vec(entry).expect("JSON");
    let written = measured(|| {
        entries
            .iter()
            .for_each(|entry| assert_eq!(&serde_json::from_slice::<Intent>(&json(entry)).expect("JSON"), entry));
        Vec::new()
    });
    work("JSON", json(&entries[0]).len(), written);
}

/// What one round took.
struct Round {
    wall: Duration,
    cpu: Duration,
    /// Of each transaction, sorted.
    transactions: Vec<Duration>,
}

impl Round {
    fn per_second(&self) -> f64 {
        (ROUND * BATCH) as f64 / self.wall.as_secs_f64()
    }

    fn print(&self, writer: &str, count: &str, baseline: Option<&Round>) {
        let ratio = baseline.map(|bare| format!(" ({:.2} of bare)", self.per_second() / bare.per_second()));
        let cpu = self.cpu.as_secs_f64() * 1e9 / (ROUND * BATCH) as f64;
        let percentile = |percent: usize| match self.transactions.len() {
            0 => "-".to_owned(),
            count => format!("{:.1} ms", self.transactions[(count - 1) * percent / 100].as_secs_f64() * 1e3),
        };
        let (p50, p99, ratio) = (percentile(50), percentile(99), ratio.unwrap_or_default());
        println!("| {writer} | {count} | {:.0}{ratio} | {cpu:.0} ns | {p50} | {p99} |", self.per_second());
    }
}

fn best(rounds: Vec<Round>) -> Round {
    rounds.into_iter().min_by_key(|round| round.wall).expect("there are rounds")
}

fn clock(id: ClockId) -> Duration {
    let time = clock_gettime(id);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn measured(work: impl FnOnce() -> Vec<Duration>) -> Round {
    let (wall, cpu) = (clock(ClockId::Monotonic), clock(ClockId::ProcessCPUTime));
    let mut transactions = work();
    transactions.sort();
    Round { wall: clock(ClockId::Monotonic) - wall, cpu: clock(ClockId::ProcessCPUTime) - cpu, transactions }
}

fn bare_round(cluster: &Cluster, entries: &[Intent]) -> Round {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &cluster.bootstrap)
        .set("enable.idempotence", "true")
        .set("linger.ms", "0")
        .create()
        .expect("a producer");
    let topic = cluster.name("orders");
    measured(|| {
        for entry in entries {
            let (key, value) = (entry.shard().to_string(), intent::encode(entry));
            let mut record = BaseRecord::to(&topic).partition(0).key(&key).payload(&value);
            while let Err((_, refused)) = producer.send(record) {
                producer.poll(Duration::from_millis(1));
                record = refused;
            }
        }
        producer.flush(Duration::from_secs(60)).expect("everything is kept");
        Vec::new()
    })
}

async fn forwarded_round(publish: &KafkaPublish, entries: &[Intent], count: usize) -> Round {
    let Outcome::Done(producer) = publish.take_producer(PARTITION).await else { panic!("not taken") };
    let (wall, cpu) = (clock(ClockId::Monotonic), clock(ClockId::ProcessCPUTime));
    let mut transactions = Vec::new();
    for page in entries.chunks(count) {
        let begun = clock(ClockId::Monotonic);
        let published = publish.publish_intents(producer, PARTITION, page.to_vec()).await;
        assert_eq!(published, Outcome::Done(()), "nobody else has taken it");
        transactions.push(clock(ClockId::Monotonic) - begun);
    }
    transactions.sort();
    Round { wall: clock(ClockId::Monotonic) - wall, cpu: clock(ClockId::ProcessCPUTime) - cpu, transactions }
}

fn entry(seq: usize) -> Intent {
    let (sale, key) = (SaleId::parse("bench").expect("a sale"), Key::parse("key").expect("a key"));
    let basket = Basket::parse(&[Line { sku: SkuId::parse("sku-0").expect("a SKU"), quantity: 1 }]).expect("a basket");
    let reserved = |index: usize| {
        let user = UserId::parse(&format!("buyer-{}", seq * BATCH + index)).expect("a user");
        let (id, body) = (ReservationId::derive(sale, &user, &key), basket.body_hash());
        Reserved { id, user, body, basket: basket.clone(), reserved_at: Wall(1_790_000_000_000) }
    };
    let kind = EntryKind::Reserved((0..BATCH).map(reserved).collect());
    Intent::Entry(ShardId { sale, k: 0 }, Entry { epoch: Epoch(1), seq: Seq(seq as u64), kind })
}
