//! The broker of topics: partitions, groups of consumers, and one fenced transactional producer per partition of intents.
//!
//! At its weakest: an acknowledgement is lost, a batch is kept in part, a transaction stays open until its producer is
//! taken by another, a record stands twice or is no record, a consumer that has lost its partitions goes on reading, and
//! kept places of groups are forgotten.

pub mod group;
pub mod log;

use super::conditions::Conditions;
use super::{ServiceEffect, ServiceEvent, WAIT_MS, record_of};
use crate::fault::FaultKind;
use doorbuster_core::database::event::Event;
use doorbuster_core::forwarder::{Producer, ProducerFenced};
use doorbuster_core::ids::ShardId;
use doorbuster_core::inbox::{NotAssigned, Offset, Partition};
use doorbuster_core::ledger::entry::{Entry, EntryKind, Intent};
use doorbuster_core::machine::Machine;
use doorbuster_core::oracle::probe::Probe;
use doorbuster_core::rng::Rng;
use doorbuster_core::time::{Mono, Now};
use group::{Group, Members};
use log::{Log, Payload, TopicId};
use std::collections::BTreeMap;

/// Partitions of every topic: two show everything that several partitions can show.
pub const PARTITIONS: u32 = 2;

/// What is asked of the broker.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// Makes the partition's producer the asker's.
    TakeProducer(Partition),
    /// One transaction of a producer.
    PublishIntents {
        /// Whose.
        producer: Producer,
        /// Where.
        partition: Partition,
        /// All or none.
        intents: Vec<Intent>,
    },
    /// Events, each to its own topic under its subject.
    PublishEvents(Vec<Event>),
    /// Reads on in a partition.
    Fetch {
        /// For whom.
        group: Group,
        /// Which partition.
        partition: Partition,
        /// First offset wanted.
        from: Offset,
        /// Most records.
        limit: usize,
    },
    /// Keeps a group's place.
    Commit {
        /// Whose.
        group: Group,
        /// Who says so.
        member: u64,
        /// Which partition.
        partition: Partition,
        /// First record that is not done.
        next: Offset,
    },
    /// Copies a record to the dead letters.
    SetAside {
        /// For whom.
        group: Group,
        /// Which partition.
        partition: Partition,
        /// Which record.
        offset: Offset,
    },
    /// Joins the group, or stays in it; answered when the assignment is another than the one of `generation`, or as a
    /// heartbeat.
    Attend {
        /// Which group.
        group: Group,
        /// Who.
        member: u64,
        /// The last assignment that it knows; 0 for none.
        generation: u64,
    },
    /// Leaves the group.
    Leave {
        /// Which group.
        group: Group,
        /// Who.
        member: u64,
    },
}

/// What the broker tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Of a taking.
    Producer(Producer),
    /// Of a transaction.
    Published(Result<(), ProducerFenced>),
    /// Of events, dead letters and leavings.
    Kept,
    /// Of a fetch.
    Records(Vec<(Offset, Payload)>),
    /// Of a place.
    Committed(Result<(), NotAssigned>),
    /// Of an attendance: the member's partitions, each with the group's kept place.
    Assigned {
        /// Which assignment.
        generation: u64,
        /// The member's.
        partitions: Vec<(Partition, Offset)>,
    },
    /// Done or not done.
    Unknown,
}

/// The broker.
#[derive(Clone, Debug)]
pub struct Broker {
    logs: BTreeMap<(TopicId, Partition), Log>,
    producers: BTreeMap<Partition, Producer>,
    /// Transactions whose end is not told: the next taking of the producer ends them one way or the other.
    open: BTreeMap<Partition, Vec<Intent>>,
    groups: BTreeMap<Group, Members>,
    fetches: BTreeMap<u64, Fetching>,
    attending: BTreeMap<u64, Attending>,
    /// Dead letters.
    pub aside: Vec<(TopicId, Partition, Offset)>,
    /// What befalls it.
    pub conditions: Conditions,
}

#[derive(Clone, Debug)]
struct Fetching {
    topic: TopicId,
    partition: Partition,
    from: Offset,
    limit: usize,
    until: Mono,
    /// Another partition is read first: these records come when the wait is over.
    held: bool,
}

#[derive(Clone, Debug)]
struct Attending {
    group: Group,
    member: u64,
    generation: u64,
    until: Mono,
}

type Effects = Vec<ServiceEffect<Reply>>;

impl Broker {
    /// An empty one.
    pub fn new(rng: Rng) -> Broker {
        Broker {
            logs: BTreeMap::new(),
            producers: BTreeMap::new(),
            open: BTreeMap::new(),
            groups: BTreeMap::new(),
            fetches: BTreeMap::new(),
            attending: BTreeMap::new(),
            aside: Vec::new(),
            conditions: Conditions::new(rng),
        }
    }

    /// One partition's records.
    pub fn log(&self, topic: TopicId, partition: Partition) -> Option<&Log> {
        self.logs.get(&(topic, partition))
    }

    /// Shows the oracle, in the topic's place, what an embedded platform's own log has synced: nobody fetches it here.
    pub fn mirror(&mut self, partition: Partition, intent: Intent) {
        self.logs.entry((TopicId::Intents, partition)).or_default().push(Payload::Intent(intent));
    }

    /// All partitions with records.
    pub fn logs(&self) -> impl Iterator<Item = (TopicId, Partition, &Log)> {
        self.logs.iter().map(|((topic, partition), log)| (*topic, *partition, log))
    }

    /// Records that this group has not done.
    pub fn lag(&self, group: Group) -> u64 {
        let lag = |partition: u32| {
            let partition = Partition(partition);
            let kept = self.groups.get(&group).map_or(Offset(0), |members| members.committed(partition));
            self.log(group.topic(), partition).map_or(0, |log| log.behind(kept))
        };
        (0..PARTITIONS).map(lag).sum()
    }

    fn asked(&mut self, now: Now, call: u64, request: Request, out: &mut Effects) {
        if self.conditions.is_on(FaultKind::K12) {
            out.push(ServiceEffect::Bitten(FaultKind::K12, stage_of(&request)));
            return out.push(ServiceEffect::Dropped { call });
        }
        let reply = match request {
            Request::TakeProducer(partition) => Reply::Producer(self.take_producer(now, partition, out)),
            Request::PublishIntents { producer, partition, intents } => {
                self.publish_intents(now, producer, partition, intents, out)
            }
            Request::PublishEvents(events) => self.publish_events(now, events, out),
            Request::Fetch { group, partition, from, limit } => {
                let (topic, until) = (group.topic(), now.mono.after_ms(WAIT_MS));
                self.fetches.insert(call, Fetching { topic, partition, from, limit, until, held: false });
                return self.answer_fetches(now, Some(call), out);
            }
            Request::Commit { group, member, partition, next } => self.commit(group, member, partition, next, out),
            Request::SetAside { group, partition, offset } => {
                self.aside.push((group.topic(), partition, offset));
                Reply::Kept
            }
            Request::Attend { group, member, generation } => {
                self.groups.entry(group).or_default().attend(now.mono, member);
                let until = now.mono.after_ms(group::BEAT_MS);
                self.attending.insert(call, Attending { group, member, generation, until });
                return self.answer_attending(now, out);
            }
            Request::Leave { group, member } => {
                self.groups.entry(group).or_default().leave(member);
                self.answer_attending(now, out);
                Reply::Kept
            }
        };
        out.push(ServiceEffect::Answered { call, reply });
    }

    fn take_producer(&mut self, now: Now, partition: Partition, out: &mut Effects) -> Producer {
        if let Some(intents) = self.open.remove(&partition)
            && self.conditions.below(2) == 0
        {
            self.append_intents(now, partition, intents, out);
        }
        let producer = self.producers.entry(partition).or_insert(Producer(0));
        producer.0 += 1;
        *producer
    }

    fn publish_intents(
        &mut self,
        now: Now,
        producer: Producer,
        partition: Partition,
        intents: Vec<Intent>,
        out: &mut Effects,
    ) -> Reply {
        if self.producers.get(&partition) != Some(&producer) {
            return Reply::Published(Err(ProducerFenced));
        }
        if self.open.contains_key(&partition) || self.conditions.bites(FaultKind::K3) {
            out.push(ServiceEffect::Bitten(FaultKind::K3, "read, not published"));
            // Begun and not ended: whoever takes the producer next ends it.
            if self.conditions.below(2) == 0 {
                self.open.entry(partition).or_insert(intents);
            }
            return Reply::Unknown;
        }
        self.append_intents(now, partition, intents, out);
        if self.conditions.bites(FaultKind::K2) {
            out.push(ServiceEffect::Bitten(FaultKind::K2, "published, not acknowledged"));
            return Reply::Unknown;
        }
        Reply::Published(Ok(()))
    }

    fn append_intents(&mut self, now: Now, partition: Partition, intents: Vec<Intent>, out: &mut Effects) {
        let count = intents.len();
        for intent in intents {
            if let Intent::Entry(shard, entry) = &intent {
                let probe = Probe::Published { shard: *shard, epoch: entry.epoch, seq: entry.seq };
                out.push(ServiceEffect::Probed(probe));
                report_reservations(*shard, entry, out);
            }
            self.append(TopicId::Intents, partition, Payload::Intent(intent), out);
        }
        // A transaction ends with a marker, which has an offset of its own.
        self.logs.entry((TopicId::Intents, partition)).or_default().mark();
        self.lose_intents(partition, count, out);
        self.answer_fetches(now, None, out);
    }

    /// What was just acknowledged is lost: with the leader that alone had it, or by a retention that is too short.
    fn lose_intents(&mut self, partition: Partition, count: usize, out: &mut Effects) {
        let kept = self.groups.get(&Group::Intake).map_or(Offset(0), |members| members.committed(partition));
        let log = self.logs.entry((TopicId::Intents, partition)).or_default();
        if self.conditions.bites(FaultKind::K4) && log.lose_end(count) > 0 {
            out.push(ServiceEffect::Bitten(FaultKind::K4, "published, not read"));
        }
        if self.conditions.bites(FaultKind::K10) && log.lose_between(kept, log.end()) > 0 {
            out.push(ServiceEffect::Bitten(FaultKind::K10, "published, not read"));
        }
    }

    fn append(&mut self, topic: TopicId, partition: Partition, payload: Payload, out: &mut Effects) {
        let twice = self.conditions.bites(FaultKind::K1);
        let poison = self.conditions.bites(FaultKind::K11);
        let log = self.logs.entry((topic, partition)).or_default();
        if poison {
            out.push(ServiceEffect::Bitten(FaultKind::K11, "appended"));
            log.push(Payload::Poison);
        }
        if twice {
            out.push(ServiceEffect::Bitten(FaultKind::K1, "appended"));
            log.push(payload.clone());
        }
        log.push(payload);
    }

    fn publish_events(&mut self, now: Now, events: Vec<Event>, out: &mut Effects) -> Reply {
        let short = self.conditions.bites(FaultKind::K3);
        let lost = self.conditions.bites(FaultKind::K2);
        // Too few replicas of one partition: the others keep theirs.
        let away = self.conditions.below(u64::from(PARTITIONS)) as u32;
        for event in events {
            let topic = TopicId::Outbox(event.topic());
            let partition = Partition::of_subject(&event.subject(), PARTITIONS);
            if short && partition.0 == away {
                continue;
            }
            if let Event::OrderChanged(order) = &event {
                let probe = Probe::EventPublished { order: order.id, version: order.version };
                out.push(ServiceEffect::Probed(probe));
            }
            out.push(ServiceEffect::Probed(Probe::RecordSent { record: record_of(&event) }));
            self.append(topic, partition, Payload::Event(event), out);
        }
        self.answer_fetches(now, None, out);
        let bitten = if short { FaultKind::K3 } else { FaultKind::K2 };
        if short || lost {
            out.push(ServiceEffect::Bitten(bitten, "relayed, not watermarked"));
            return Reply::Unknown;
        }
        Reply::Kept
    }

    fn commit(&mut self, group: Group, member: u64, partition: Partition, next: Offset, out: &mut Effects) -> Reply {
        let members = self.groups.entry(group).or_default();
        let before = members.committed(partition);
        if members.commit(member, partition, next).is_err() {
            return Reply::Committed(Err(NotAssigned));
        }
        let log = self.logs.get(&(group.topic(), partition)).filter(|_| group == Group::Intake);
        for (_, payload) in log.iter().flat_map(|log| log.between(before, next)) {
            if let Payload::Intent(Intent::Entry(shard, entry)) = payload {
                let probe = Probe::OffsetCommitted { shard: *shard, epoch: entry.epoch, seq: entry.seq };
                out.push(ServiceEffect::Probed(probe));
            }
        }
        Reply::Committed(Ok(()))
    }

    fn answer_fetches(&mut self, now: Now, only: Option<u64>, out: &mut Effects) {
        let calls: Vec<u64> = only.map_or_else(|| self.fetches.keys().copied().collect(), |call| vec![call]);
        for call in calls {
            let fetch = &self.fetches[&call];
            let log = self.logs.get(&(fetch.topic, fetch.partition));
            let records = log.map_or(Vec::new(), |log| log.fetch(fetch.from, fetch.limit));
            let overdue = fetch.until <= now.mono;
            if !records.is_empty() && !overdue && (fetch.held || self.conditions.bites(FaultKind::K5)) {
                let fetch = self.fetches.get_mut(&call).expect("it was just read");
                if !fetch.held {
                    out.push(ServiceEffect::Bitten(FaultKind::K5, "published, not read"));
                }
                fetch.held = true;
                continue;
            }
            if !records.is_empty() || overdue {
                self.fetches.remove(&call);
                out.push(ServiceEffect::Answered { call, reply: Reply::Records(records) });
            }
        }
    }

    fn answer_attending(&mut self, now: Now, out: &mut Effects) {
        let calls: Vec<u64> = self.attending.keys().copied().collect();
        for call in calls {
            let attending = &self.attending[&call];
            let members = self.groups.entry(attending.group).or_default();
            let generation = members.generation();
            if generation != attending.generation || attending.until <= now.mono {
                let partitions = members.assignment(attending.member);
                self.attending.remove(&call);
                out.push(ServiceEffect::Answered { call, reply: Reply::Assigned { generation, partitions } });
            }
        }
    }

    /// A rebalance that nobody asked for: partitions move to other members.
    pub fn rebalance(&mut self, now: Now, group: Group, out: &mut Vec<ServiceEffect<Reply>>) {
        self.groups.entry(group).or_default().rotate();
        self.answer_attending(now, out);
    }

    /// Forgets the last `records` of a group's kept places; everything since is delivered again. Whether any was.
    pub fn rewind(&mut self, now: Now, group: Group, records: u64, out: &mut Vec<ServiceEffect<Reply>>) -> bool {
        let forgotten = self.groups.entry(group).or_default().rewind(records);
        self.answer_attending(now, out);
        forgotten
    }

    /// The end of a partition of `intents` is lost, as by an unclean election; whoever had read further begins again at
    /// the new end. How many records are lost.
    pub fn lose_end(
        &mut self,
        now: Now,
        partition: Partition,
        records: usize,
        out: &mut Vec<ServiceEffect<Reply>>,
    ) -> usize {
        let Some(log) = self.logs.get_mut(&(TopicId::Intents, partition)) else { return 0 };
        let lost = log.lose_end(records);
        let end = log.end();
        if lost > 0 {
            self.groups.entry(Group::Intake).or_default().cut(partition, end);
            self.answer_attending(now, out);
        }
        lost
    }

    /// Republishes what stands in a topic, as an operator's replay does.
    pub fn replay(&mut self, now: Now, topic: TopicId, records: usize, out: &mut Vec<ServiceEffect<Reply>>) -> usize {
        let mut replayed = 0;
        for (_, log) in self.logs.iter_mut().filter(|((of, _), _)| *of == topic) {
            let payloads = log.tail(records);
            replayed += payloads.len();
            payloads.into_iter().for_each(|payload| log.push(payload));
        }
        self.answer_fetches(now, None, out);
        replayed
    }
}

impl Machine for Broker {
    type Event = ServiceEvent<Request>;
    type Effect = ServiceEffect<Reply>;

    fn step(&mut self, now: Now, event: Self::Event, out: &mut Effects) {
        match event {
            ServiceEvent::Asked { call, request } => self.asked(now, call, request, out),
            ServiceEvent::Woken => {
                for members in self.groups.values_mut() {
                    members.expire(now.mono);
                }
                self.answer_attending(now, out);
                if self.fetches.values().any(|fetch| fetch.until <= now.mono) {
                    self.answer_fetches(now, None, out);
                }
            }
        }
    }

    fn wake_at(&self) -> Option<(Mono, &'static str)> {
        let fetches = self.fetches.values().map(|fetch| (fetch.until, "a fetch waits"));
        let attending = self.attending.values().map(|attending| (attending.until, "a heartbeat is due"));
        let sessions = self.groups.values().filter_map(|members| Some((members.expires_at()?, "a session ends")));
        fetches.chain(attending).chain(sessions).min()
    }
}

pub fn stage_of(request: &Request) -> &'static str {
    match request {
        Request::TakeProducer(_) => "taking the producer",
        Request::PublishIntents { .. } => "read, not published",
        Request::PublishEvents(_) => "relayed, not watermarked",
        Request::Fetch { .. } => "published, not read",
        Request::Commit { .. } => "done, not committed",
        Request::SetAside { .. } => "a dead letter",
        Request::Attend { .. } | Request::Leave { .. } => "an attendance",
    }
}

/// What a durable log tells of an entry, beside its place.
pub fn report_reservations<R>(shard: ShardId, entry: &Entry, out: &mut Vec<ServiceEffect<R>>) {
    let EntryKind::Reserved(reservations) = &entry.kind else { return };
    let (epoch, seq) = (entry.epoch, entry.seq);
    let probe = |id| ServiceEffect::Probed(Probe::ReservationPublished { shard, epoch, seq, id });
    out.extend(reservations.iter().map(|reservation| probe(reservation.id)));
}
