//! What an edge does with a buyer's request: the sold-out latch, the lane, the rows; and with the provider's notices.

use super::catalog::{self, Reader};
use super::roles::intake::applied;
use super::roles::lane;
use super::world::{Answer, At, Away, World};
use crate::plan::Acknowledge;
use crate::services::provider::Notice;
use crate::services::{database, node, provider};
use doorbuster_core::admission::latch::Latch;
use doorbuster_core::database::command::{Command, Refusal, Reply};
use doorbuster_core::database::rows::{OrderRow, PaymentStatus, Phase, SaleState};
use doorbuster_core::database::tables::{Reads, Rows};
use doorbuster_core::ids::{Epoch, Key, OrderId, PaymentId, ProductId, ReservationId, Seq, UserId, Version};
use doorbuster_core::lane::LaneAnswer;
use doorbuster_core::ledger::basket::Basket;
use doorbuster_core::ledger::page::Acceptance;
use doorbuster_core::ledger::reserve::{ItemReply, ReserveItem, ReserveRefusal};
use doorbuster_core::oracle::audit::NamedStatus;
use doorbuster_core::oracle::history::{Accepted, Became, Seen};
use doorbuster_core::order::command::OrderCommand;
use doorbuster_core::order::fate;
use doorbuster_core::order::status::{Ending, Status};
use doorbuster_core::outcome::Outcome;
use doorbuster_core::payment::command::{PaymentCommand, Verdict};
use std::collections::{BTreeMap, BTreeSet};

/// What a buyer asks an edge.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum EdgeRequest {
    /// A click.
    Reserve { user: UserId, key: Key, basket: Basket },
    /// What became of a key, with the place of a receipt where the buyer has one.
    LookUp { user: UserId, key: Key, receipt: Option<(Epoch, Seq)> },
    /// To make certain.
    Abandon { user: UserId, key: Key },
    /// To pay; `word` is what the provider will say and when.
    Pay { user: UserId, order: OrderId, payment: PaymentId, word: Vec<(u64, Verdict)> },
    /// To cancel.
    Cancel { user: UserId, order: OrderId },
    /// To look.
    Look { user: UserId, order: OrderId },
    /// To look at a product.
    Product(ProductId),
    /// The provider's word.
    Notice { number: u64, payment: PaymentId, verdict: Verdict },
}

/// What an edge tells.
#[derive(Clone, Debug, PartialEq)]
pub enum EdgeReply {
    Accepted(Accepted),
    Became(Became),
    Seen(Seen),
    Started(PaymentId),
    Taken,
    /// The version that is shown; `None` when nobody knows in time.
    Product(Option<Version>),
    Refused(&'static str),
    Unknown,
}

/// What one edge process remembers.
#[derive(Clone, Debug, Default)]
pub struct Door {
    latch: Latch,
    known: BTreeSet<ReservationId>,
    /// Who waits for a product, by token.
    pub readers: BTreeMap<u64, (ProductId, Reader)>,
}

/// A request has arrived at an edge.
pub fn arrived(world: &mut World, host: usize, call: u64, request: EdgeRequest) {
    if !world.hosts[host].is_up {
        return;
    }
    let at = world.present(host);
    match request {
        EdgeRequest::Reserve { user, key, basket } => reserve(world, at, call, (user, key, basket)),
        EdgeRequest::LookUp { user, key, receipt } => look_up(world, at, call, (user, key, receipt)),
        EdgeRequest::Abandon { user, key } => {
            let order = order_of(world, &user, &key);
            let command = OrderCommand::Abandon { order, user };
            apply_order(world, at, call, command);
        }
        EdgeRequest::Cancel { user, order } => {
            let command = OrderCommand::Cancel { order, user: Some(user), ending: Ending::Buyer };
            apply_order(world, at, call, command);
        }
        EdgeRequest::Look { user, order } => look(world, at, call, (user, order)),
        EdgeRequest::Pay { user, order, payment, word } => pay(world, at, call, (user, order, payment, word)),
        EdgeRequest::Product(product) => catalog::asked(world, at, call, product),
        EdgeRequest::Notice { number, payment, verdict } => {
            let command = Command::Payment(PaymentCommand::Settle { payment, verdict });
            world.ask_database(at, database::Request::Apply(command), move |world, at, outcome| {
                if let Outcome::Done(_) = applied(outcome) {
                    world.ask_provider(at, provider::Request::Confirm(number), |_, _, _| {});
                }
                world.respond(call, Answer::Edge(EdgeReply::Taken));
            });
        }
    }
}

/// The order that a key makes.
pub fn order_of(world: &World, user: &UserId, key: &Key) -> OrderId {
    OrderId::derive(world.sale, world.setup.shards, user, key)
}

fn tell(world: &mut World, call: u64, reply: EdgeReply) {
    world.respond(call, Answer::Edge(reply));
}

fn reserve(world: &mut World, at: At, call: u64, (user, key, basket): (UserId, Key, Basket)) {
    let order = order_of(world, &user, &key);
    let mono = world.host_clock(at.host).mono;
    let door = &mut world.hosts[at.host].door;
    let latched = door.latch.is_latched(mono, order.shard, &basket);
    let item = ReserveItem { id: order.reservation, user, body: basket.body_hash(), basket };
    if !latched || door.known.contains(&order.reservation) {
        return enter(world, at, call, order, item);
    }
    // A known key deserves its first answer, also after the sell-out; a page that cannot be read may hold it.
    let request = node::Request::LookUp { shard: order.shard, user: item.user.clone(), id: order.reservation };
    world.ask_node(at, request, move |world, at, outcome| match outcome {
        Outcome::Done(node::Reply::Record { record: None, .. }) => tell(world, call, EdgeReply::Refused("sold-out")),
        Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unknown => enter(world, at, call, order, item),
    });
}

fn enter(world: &mut World, at: At, call: u64, order: OrderId, item: ReserveItem) {
    world.hosts[at.host].door.known.insert(order.reservation);
    let asked = item.clone();
    let waiter = move |world: &mut World, at: At, answer: LaneAnswer| answered(world, at, call, (order, asked), answer);
    lane::enter(world, at, order.shard, item, Box::new(waiter));
}

fn answered(world: &mut World, at: At, call: u64, (order, item): (OrderId, ReserveItem), answer: LaneAnswer) {
    let mono = world.host_clock(at.host).mono;
    let door = &mut world.hosts[at.host].door;
    let sold_out = matches!(answer, LaneAnswer::Decided(ItemReply::Refused(ReserveRefusal::SoldOut(_))));
    if !sold_out {
        item.basket.lines().iter().for_each(|line| door.latch.clear(order.shard, line.sku));
    }
    let reply = match answer {
        LaneAnswer::Decided(ItemReply::Accepted(acceptance) | ItemReply::Replayed(acceptance)) => {
            accepted(world, order, acceptance)
        }
        LaneAnswer::Decided(ItemReply::Refused(ReserveRefusal::NotReady)) | LaneAnswer::NotReady => {
            return not_ready(world, at, call, (order, item));
        }
        LaneAnswer::Decided(ItemReply::Refused(refusal)) => {
            if let ReserveRefusal::SoldOut(sku) = refusal {
                let wanted = item.basket.lines().iter().find(|line| line.sku == sku);
                let quantity = wanted.map_or(1, |line| line.quantity);
                door.known.remove(&order.reservation);
                door.latch.set(mono, order.shard, sku, quantity);
                tell_balancers(world, at, (order, sku, quantity));
            }
            EdgeReply::Refused(problem(refusal))
        }
        LaneAnswer::Overloaded => EdgeReply::Refused("overloaded"),
        LaneAnswer::Unknown => EdgeReply::Unknown,
    };
    tell(world, call, reply);
}

fn accepted(world: &World, order: OrderId, acceptance: Acceptance) -> EdgeReply {
    EdgeReply::Accepted(Accepted {
        id: order,
        receipt: Some(format!("{}.{}.tag", acceptance.epoch.0, acceptance.seq.0)),
        expires_at: Some(acceptance.reserved_at.after_ms(world.setup.hold_ms)),
    })
}

/// The balancers hear of refused buyers, each if the message arrives.
fn tell_balancers(world: &mut World, at: At, (order, sku, quantity): (OrderId, doorbuster_core::ids::SkuId, u32)) {
    use super::host::{Told, Unit};
    use super::network::Passage;
    use doorbuster_core::keeper::balancer::BalancerEvent;
    let from = world.hosts[at.host].name.clone();
    for host in 0..world.hosts.len() {
        let balancer = world.hosts[host].cells.iter().position(|cell| matches!(cell.unit, Unit::Balancer(_)));
        let Some(cell) = balancer else { continue };
        let name = world.hosts[host].name.clone();
        super::meeting::on_its_way(world, &from, &name, ("refused, not told", true));
        let passage = world.network.request(world.now_us, &from, &name);
        world.bite("refused, not told");
        let Passage::Arrives(at_us) = passage else { continue };
        let told = Told::Balancer(BalancerEvent::SoldOut { k: order.shard.k, sku, quantity: u64::from(quantity) });
        let to = world.present(host);
        world.at(at_us, super::world::Happening::Told { at: to, cell, told });
    }
}

fn problem(refusal: ReserveRefusal) -> &'static str {
    match refusal {
        ReserveRefusal::KeyReused => "key-reused",
        ReserveRefusal::NotReady => "not-ready",
        ReserveRefusal::Stopped => "stopped",
        ReserveRefusal::NotStarted => "not-started",
        ReserveRefusal::Ended => "ended",
        ReserveRefusal::KeysExhausted => "keys-exhausted",
        ReserveRefusal::LimitReached => "limit-reached",
        ReserveRefusal::UnknownSku(_) => "unknown-sku",
        ReserveRefusal::SoldOut(_) => "sold-out",
    }
}

/// No open epoch: a closed sale answers from its rows.
fn not_ready(world: &mut World, at: At, call: u64, (order, item): (OrderId, ReserveItem)) {
    let reads = Reads { sales: [order.shard.sale].into(), ..fate::Fate::reads(order) };
    world.ask_database(at, database::Request::Read(reads), move |world, _, outcome| {
        let reply = match rows(outcome) {
            None => EdgeReply::Unknown,
            Some(rows) => match rows.sales.values().next().map(|sale| sale.state) {
                Some(SaleState::Closed) => match rows.orders.get(&order).and_then(|row| row.origin.as_ref()) {
                    Some(origin) if origin.body == item.body => accepted(world, order, origin.acceptance),
                    Some(_) => EdgeReply::Refused("key-reused"),
                    None => match rows.shards.get(&order.shard).map(|row| row.phase) {
                        Some(Phase::Sealed | Phase::Opening | Phase::Closed) => EdgeReply::Refused("ended"),
                        // What was accepted may still be on its way to a row.
                        Some(Phase::Open | Phase::Sealing) | None => EdgeReply::Refused("not-ready"),
                    },
                },
                Some(SaleState::Draft) => EdgeReply::Refused("not-started"),
                Some(SaleState::Open | SaleState::Stopped) | None => EdgeReply::Refused("not-ready"),
            },
        };
        tell(world, call, reply);
    });
}

fn rows(outcome: Outcome<database::Reply, Away>) -> Option<Rows> {
    match outcome {
        Outcome::Done(database::Reply::Rows(_, rows)) => Some(rows),
        Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unknown => None,
    }
}

/// What is known of a reservation.
enum Fate {
    Decided(OrderRow),
    OnItsWay,
    Lost(Epoch, Seq),
    NotSeen,
}

/// `None` when the shard has no row: nothing is known then.
fn fate_of(rows: &Rows, order: OrderId, (epoch, seq): (Epoch, Seq)) -> Option<Fate> {
    let row = rows.orders.get(&order);
    Some(match (row, fate::Fate::of(row, rows.shards.get(&order.shard)?, epoch, seq)) {
        (Some(row), _) => Fate::Decided(row.clone()),
        (None, fate::Fate::OnItsWay) => Fate::OnItsWay,
        (None, fate::Fate::Lost | fate::Fate::Decided) => Fate::Lost(epoch, seq),
    })
}

fn both(order: OrderId) -> database::Request {
    database::Request::Read(fate::Fate::reads(order))
}

type Found = Box<dyn FnOnce(&mut World, Option<Fate>)>;

/// What became of a key for which no receipt is shown: the rows, then the caller's page, then the rows again.
fn fate(world: &mut World, at: At, user: UserId, order: OrderId, found: Found) {
    world.ask_database(at, both(order), move |world, at, outcome| {
        let Some(first) = rows(outcome) else { return found(world, None) };
        if let Some(row) = first.orders.get(&order) {
            let row = row.clone();
            return found(world, Some(Fate::Decided(row)));
        }
        let phase = first.shards.get(&order.shard).map(|row| row.phase);
        // While an epoch is open or drains, an acceptance may be on its way; else all is decided.
        let unseen = move || match phase {
            Some(Phase::Open | Phase::Sealing) | None => None,
            Some(Phase::Sealed | Phase::Opening | Phase::Closed) => Some(Fate::NotSeen),
        };
        let request = node::Request::LookUp { shard: order.shard, user, id: order.reservation };
        world.ask_node(at, request, move |world, at, outcome| match outcome {
            // A sale whose 202 waits for the durable log promises nothing of what is not in it yet, whoever asks.
            Outcome::Done(node::Reply::Record { record: Some(_), durable: false })
                if world.setup.acknowledge == Acknowledge::Log && !world.plants.tell_what_is_not_durable =>
            {
                found(world, unseen());
            }
            Outcome::Done(node::Reply::Record { record: Some(record), .. }) => {
                let place = (record.acceptance.epoch, record.acceptance.seq);
                world.ask_database(at, both(order), move |world, _, outcome| {
                    let fate = rows(outcome).and_then(|rows| fate_of(&rows, order, place));
                    found(world, fate);
                });
            }
            Outcome::Done(_) => found(world, Some(Fate::NotSeen)),
            Outcome::Refused(_) | Outcome::Unknown => found(world, unseen()),
        });
    });
}

fn look_up(world: &mut World, at: At, call: u64, (user, key, receipt): (UserId, Key, Option<(Epoch, Seq)>)) {
    let order = order_of(world, &user, &key);
    let reply = move |fate| match fate {
        None => EdgeReply::Unknown,
        // A row without an origin was given up: neither accepted nor lost.
        Some(Fate::Decided(row)) if row.origin.is_none() => EdgeReply::Refused("abandoned"),
        Some(Fate::Decided(_) | Fate::OnItsWay) => EdgeReply::Became(Became::Accepted(order)),
        Some(Fate::Lost(epoch, seq)) => EdgeReply::Became(Became::Lost(epoch, seq)),
        Some(Fate::NotSeen) => EdgeReply::Became(Became::NotSeen),
    };
    match receipt {
        Some(place) => world.ask_database(at, both(order), move |world, _, outcome| {
            let fate = rows(outcome).and_then(|rows| fate_of(&rows, order, place));
            tell(world, call, reply(fate));
        }),
        None => fate(world, at, user, order, Box::new(move |world, fate| tell(world, call, reply(fate)))),
    }
}

fn seen(row: &OrderRow) -> Seen {
    Seen { id: row.id, status: Some(NamedStatus(row.status)), version: Some(row.version) }
}

fn look(world: &mut World, at: At, call: u64, (user, order): (UserId, OrderId)) {
    let found = move |world: &mut World, fate: Option<Fate>| {
        let reply = match fate {
            None => EdgeReply::Unknown,
            Some(Fate::Decided(row)) => EdgeReply::Seen(seen(&row)),
            Some(Fate::OnItsWay) => EdgeReply::Seen(Seen::on_its_way(order)),
            Some(Fate::Lost(..) | Fate::NotSeen) => EdgeReply::Refused("unknown-order"),
        };
        tell(world, call, reply);
    };
    fate(world, at, user, order, Box::new(found));
}

fn apply_order(world: &mut World, at: At, call: u64, command: OrderCommand) {
    world.ask_database(at, database::Request::Apply(Command::Order(command)), move |world, _, outcome| {
        let reply = match applied(outcome) {
            Outcome::Done(Reply::Order(row)) => EdgeReply::Seen(seen(&row)),
            Outcome::Done(other) => unreachable!("an order's command answers with its order, not with {other:?}"),
            Outcome::Refused(refusal) => EdgeReply::Refused(refused(&refusal)),
            Outcome::Unknown => EdgeReply::Unknown,
        };
        tell(world, call, reply);
    });
}

fn refused(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::NotYet => "not-yet",
        Refusal::Forbidden(edge) if matches!(edge.from, Status::Paid) => "already-paid",
        Refusal::Forbidden(_) => "order-state",
        Refusal::NotYours => "unknown-order",
        Refusal::NoSale
        | Refusal::KeyReused
        | Refusal::NoSku
        | Refusal::NoPayment
        | Refusal::NotExpired
        | Refusal::SaleConflict(_)
        | Refusal::PaymentConflict
        | Refusal::PaymentState(_)
        | Refusal::StaleRung
        | Refusal::LeaseHeld
        | Refusal::StaleOffset
        | Refusal::StaleVersion(_)
        | Refusal::WindowOpen
        | Refusal::Invalid(_) => "conflict",
    }
}

fn pay(
    world: &mut World,
    at: At,
    call: u64,
    (user, order, payment, word): (UserId, OrderId, PaymentId, Vec<(u64, Verdict)>),
) {
    let command = Command::Payment(PaymentCommand::Start { payment, order, user });
    world.ask_database(at, database::Request::Apply(command), move |world, at, outcome| match applied(outcome) {
        Outcome::Done(Reply::Payment(row)) if row.status == PaymentStatus::Started => {
            world.ask_provider(at, provider::Request::Charge { payment, word }, move |world, _, outcome| {
                let reply = match outcome {
                    Outcome::Done(_) => EdgeReply::Started(payment),
                    Outcome::Refused(_) => EdgeReply::Refused("provider-away"),
                    Outcome::Unknown => EdgeReply::Unknown,
                };
                tell(world, call, reply);
            });
        }
        Outcome::Done(_) => tell(world, call, EdgeReply::Started(payment)),
        Outcome::Refused(refusal) => tell(world, call, EdgeReply::Refused(refused(&refusal))),
        Outcome::Unknown => tell(world, call, EdgeReply::Unknown),
    });
}

/// The provider's word goes to an edge that is up, if the message arrives; else it comes again.
pub fn notify(world: &mut World, notice: Notice) {
    let edges: Vec<usize> =
        (0..world.hosts.len()).filter(|host| world.hosts[*host].role == "edge" && world.hosts[*host].is_up).collect();
    if edges.is_empty() {
        return;
    }
    let host = edges[(notice.number as usize) % edges.len()];
    let name = world.hosts[host].name.clone();
    super::meeting::on_its_way(world, "provider", &name, ("a notice of the provider", true));
    let passage = world.network.request(world.now_us, "provider", &name);
    world.bite("a notice of the provider");
    if let super::network::Passage::Arrives(at_us) = passage {
        let Notice { number, payment, verdict } = notice;
        world.at(
            at_us,
            super::world::Happening::Then(Box::new(move |world| {
                if !world.hosts[host].paused {
                    arrived(world, host, 0, EdgeRequest::Notice { number, payment, verdict });
                }
            })),
        );
    }
}
