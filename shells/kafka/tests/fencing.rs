//! Two processes and one partition of intents: the one that takes the producer ends whatever the other has open.

mod support;

use doorbuster_core::forwarder::{Producer, ProducerFenced};
use doorbuster_core::ids::{Epoch, SaleId, Seq, ShardId, SkuId};
use doorbuster_core::inbox::Partition;
use doorbuster_core::ledger::entry::{Entry, EntryKind, Intent};
use doorbuster_core::outcome::Outcome;
use doorbuster_kafka::intent;
use doorbuster_kafka::publish::KafkaPublish;
use doorbuster_runtime::drive::spawn;
use doorbuster_runtime::ports::publish::Publish;
use rdkafka::message::Message;
use std::sync::Arc;
use support::{Cluster, plain};
use tokio::sync::watch;

const PARTITION: Partition = Partition(0);
const RACES: u64 = 12;
/// Entries of one transaction.
const ENTRIES: u64 = 5;
/// Tries to take a producer that another is about to lose.
const TRIES_MAX: usize = 20;

fn shard() -> ShardId {
    ShardId { sale: SaleId::parse("fenced").expect("a sale"), k: 0 }
}

fn entry(epoch: u64, seq: u64) -> Intent {
    let kind = EntryKind::Withdrawn { sku: SkuId::parse("sku").expect("a SKU"), quantity: 1 };
    Intent::Entry(shard(), Entry { epoch: Epoch(epoch), seq: Seq(seq), kind })
}

async fn take(publish: &KafkaPublish) -> Producer {
    for _ in 0..TRIES_MAX {
        if let Outcome::Done(producer) = publish.take_producer(PARTITION).await {
            return producer;
        }
    }
    panic!("the producer is not taken");
}

/// Publishes one transaction after the other until one is not done; answers how many were.
async fn publish_until_fenced(publish: Arc<KafkaPublish>, epoch: u64, begun: watch::Sender<u64>) -> u64 {
    let producer = take(&publish).await;
    let (mut done, mut last) = (0, Outcome::Done(()));
    while last == Outcome::Done(()) {
        let intents = (0..ENTRIES).map(|index| entry(epoch, done * ENTRIES + index + 1)).collect();
        begun.send_replace(done + 1);
        last = publish.publish_intents(producer, PARTITION, intents).await;
        done += u64::from(last == Outcome::Done(()));
    }
    for _ in 0..2 {
        let again = publish.publish_intents(producer, PARTITION, vec![entry(epoch, u64::MAX)]).await;
        // Or fenced in the meantime, where the end of the last one was unknown.
        assert!(
            again == last || again == Outcome::Refused(ProducerFenced),
            "{again:?} after {last:?}: something was sent"
        );
    }
    done
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_an_older_producer_stands_behind_what_a_newer_one_has_published() {
    let Some(cluster) = Cluster::of("fencing", 1) else { return };
    let (one, other) = (cluster.connect().await, cluster.connect().await);
    let (older, newer) = (Arc::new(one.publish()), other.publish());
    let mut outcomes = Vec::new();
    for epoch in 1..=RACES {
        let (begun, mut seen) = watch::channel(0);
        let publishing = spawn(publish_until_fenced(older.clone(), epoch, begun));
        // Another moment of a transaction in each race, the first ones included.
        seen.wait_for(|number| *number > epoch % 4).await.expect("the older one publishes");
        for _ in 0..epoch % 3 {
            tokio::task::yield_now().await;
        }
        let producer = take(&newer).await;
        let seal = vec![Intent::Seal(shard(), Epoch(epoch))];
        assert_eq!(newer.publish_intents(producer, PARTITION, seal).await, Outcome::Done(()), "nobody took it since");
        outcomes.push(publishing.await.expect("the older one does not panic"));
    }
    let told: Vec<Intent> = plain::read(&cluster, "intents")
        .await
        .iter()
        .map(|message| intent::decode(message.payload()).expect("everything there is an intent"))
        .collect();
    for (epoch, done) in (1..=RACES).zip(outcomes) {
        let seal =
            told.iter().position(|intent| *intent == Intent::Seal(shard(), Epoch(epoch))).expect("the seal is there");
        let of_epoch = |intent: &&Intent| matches!(intent, Intent::Entry(_, entry) if entry.epoch == Epoch(epoch));
        assert_eq!(told[seal..].iter().filter(of_epoch).count(), 0, "nothing stands behind the seal of {epoch}");
        let seqs: Vec<u64> = told[..seal].iter().filter(of_epoch).map(seq).collect();
        assert!((1..=done * ENTRIES).all(|number| seqs.contains(&number)), "done, so it is there");
        assert_eq!(seqs.len() as u64 % ENTRIES, 0, "no transaction is torn");
    }
}

fn seq(intent: &Intent) -> u64 {
    match intent {
        Intent::Entry(_, entry) => entry.seq.0,
        Intent::Seal(..) => 0,
    }
}

#[tokio::test]
async fn what_a_dead_forwarder_left_open_is_ended_before_the_taking_is_answered() {
    let Some(cluster) = Cluster::of("fencing", 1) else { return };
    let kafka = cluster.connect().await;
    let open = support::thread({
        use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
        let (bootstrap, topic) = (cluster.bootstrap.clone(), cluster.name("intents"));
        let id = cluster.name("intents-0");
        move || {
            let wait = std::time::Duration::from_secs(10);
            let producer: BaseProducer = rdkafka::ClientConfig::new()
                .set("bootstrap.servers", bootstrap)
                .set("transactional.id", id)
                .create()
                .expect("a producer");
            producer.init_transactions(wait).expect("it can be taken");
            producer.begin_transaction().expect("it can begin");
            producer.send(BaseRecord::<(), [u8]>::to(&topic).partition(0).payload(b"left open")).expect("it is taken");
            producer.flush(wait).expect("it is kept");
            // Not dropped: the process is gone, and nobody ends what it began.
            producer
        }
    });
    let abandoned = open.join().expect("the thread does not panic");
    let publish = kafka.publish();
    let producer = take(&publish).await;
    assert_eq!(publish.publish_intents(producer, PARTITION, vec![entry(1, 1)]).await, Outcome::Done(()));
    let values: Vec<_> =
        plain::read(&cluster, "intents").await.iter().map(|message| message.payload().map(<[u8]>::to_vec)).collect();
    assert_eq!(values, [Some(intent::encode(&entry(1, 1)))], "what was left open is not there, and holds nothing back");
    drop(support::thread(move || drop(abandoned)).join());
}
