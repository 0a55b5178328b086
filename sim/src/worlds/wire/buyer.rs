//! Buyers over HTTP: each draws what it does from a stream of its own, so that one less shifts no other.

use super::answer::{self, Word};
use super::http::{Question, ask};
use super::process::Process;
use crate::fault::FaultKind;
use crate::plan::Setup;
use crate::seed::Seed;
use crate::trace::Kind;
use doorbuster_core::ids::{Key, OrderId, SaleId, SkuId, UserId};
use doorbuster_core::ledger::basket::{Basket, Line};
use doorbuster_core::oracle::history::{Accepted, Answer, Became, Call, Exchange};
use doorbuster_core::rng::Rng;
use doorbuster_core::time::Wall;
use doorbuster_runtime::drive::spawn;
use doorbuster_runtime::env::Env;
use doorbuster_web::token::{Caller, Role, Tokens};
use http::Method;
use http::header::{AUTHORIZATION, HeaderName};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;

/// Tries of one click before its buyer wants certainty.
const TRIES_MAX: u32 = 8;
/// Tries of anything that must be certain in the end: with their pauses minutes, beyond any fault.
const CERTAIN_TRIES_MAX: u32 = 120;
/// Tries of an errand whose answer is not there.
const ERRAND_TRIES_MAX: u32 = 5;

/// What all buyers share.
pub struct Crowd {
    /// The host that they sit on.
    pub process: Arc<Process>,
    /// The sale.
    pub sale: SaleId,
    /// Its SKUs.
    pub skus: Vec<SkuId>,
    /// The plan's.
    pub setup: Setup,
    /// Names of the hosts of edges.
    pub edges: Vec<String>,
    /// Parts per thousand of each habit.
    pub habits: BTreeMap<FaultKind, u64>,
    /// Issues their tokens.
    pub tokens: Tokens,
    /// Errands under way.
    pub busy: AtomicU64,
    /// Errands from outside of the host, until somebody runs them there.
    pub outside: (mpsc::UnboundedSender<Run>, Mutex<Option<mpsc::UnboundedReceiver<Run>>>),
}

/// An errand.
pub type Run = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One buyer.
pub struct Buyer {
    crowd: Arc<Crowd>,
    user: UserId,
    token: String,
    rng: Mutex<Rng>,
    keys: AtomicU32,
}

/// One click on its way to certainty.
#[derive(Clone)]
struct Click {
    key: Key,
    basket: Basket,
    /// Somebody knows already what becomes of it: a doubled click only repeats.
    echo: bool,
}

/// An errand under way, for as long as somebody holds it.
struct Errand(Arc<Crowd>);

impl Errand {
    fn begin(crowd: &Arc<Crowd>) -> Errand {
        crowd.busy.fetch_add(1, Ordering::Relaxed);
        Errand(crowd.clone())
    }
}

impl Drop for Errand {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn pause(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

impl Crowd {
    /// Whether nobody wants anything any more.
    pub fn is_quiet(&self) -> bool {
        self.busy.load(Ordering::Relaxed) == 0
    }

    /// Errands that are begun outside of the host run on it.
    pub async fn run_errands(&self) {
        let errands = self.outside.1.lock().expect("no holder of this lock panics").take();
        let mut errands = errands.expect("the host of the buyers has one life");
        while let Some(errand) = errands.recv().await {
            spawn(errand);
        }
    }

    /// Sends probes to the host.
    pub fn send_probes(self: &Arc<Crowd>, probes: impl IntoIterator<Item = impl Future<Output = ()> + Send + 'static>) {
        for probe in probes {
            let errand = Errand::begin(self);
            let run = async move {
                probe.await;
                drop(errand);
            };
            self.outside.0.send(Box::pin(run)).expect("the crowd holds the other end");
        }
    }

    /// All buyers of the plan come within the time that it gives them, after so many milliseconds.
    pub fn arrive(self: &Arc<Crowd>, seed: Seed, after_ms: u64) {
        let burst = self.habits.contains_key(&FaultKind::U8);
        for number in &self.setup.buyers {
            let buyer = Buyer::new(self, &format!("buyer-{number}"), seed.stream(&format!("buyer/{number}")));
            let late_ms = if burst { buyer.draw(2) } else { buyer.draw(self.setup.arrivals_ms.max(1)) };
            if burst {
                self.process.scene.take_effect(FaultKind::U8, "a buyer's way");
            }
            let errand = Errand::begin(self);
            spawn(async move {
                pause(after_ms + late_ms).await;
                buyer.come();
                if buyer.follows(FaultKind::U2) {
                    buyer.come();
                }
                drop(errand);
            });
        }
    }
}

impl Buyer {
    /// A buyer with a token and a stream of choices.
    pub fn new(crowd: &Arc<Crowd>, name: &str, rng: Rng) -> Arc<Buyer> {
        let user = UserId::parse(name).expect("a short name");
        let caller = Caller { user: user.clone(), role: Role::Buyer };
        let token = crowd.tokens.issue(&caller, Wall(u64::MAX / 2));
        Arc::new(Buyer { crowd: crowd.clone(), user, token, rng: Mutex::new(rng), keys: AtomicU32::new(0) })
    }

    fn draw(&self, bound: u64) -> u64 {
        self.rng.lock().expect("no holder of this lock panics").below(bound)
    }

    /// Whether this buyer follows a habit now.
    fn follows(&self, habit: FaultKind) -> bool {
        let Some(permille) = self.crowd.habits.get(&habit) else { return false };
        let follows = self.draw(1000) < *permille;
        if follows {
            self.crowd.process.scene.take_effect(habit, "a buyer's way");
        }
        follows
    }

    fn next_key(&self) -> Key {
        let number = self.keys.fetch_add(1, Ordering::Relaxed) + 1;
        Key::parse(&format!("click-{number}")).expect("a short key")
    }

    /// A buyer comes with a wish.
    fn come(self: &Arc<Buyer>) {
        let (skus, limit) = (&self.crowd.skus, u64::from(self.crowd.setup.limit));
        let first = self.draw(skus.len() as u64) as usize;
        let mut lines = vec![Line { sku: skus[first], quantity: 1 + self.draw(limit.min(2)) as u32 }];
        if skus.len() > 1 && limit > 1 && self.follows(FaultKind::U9) {
            lines[0].quantity = 1;
            lines.push(Line { sku: skus[(first + 1) % skus.len()], quantity: 1 });
        }
        let basket = Basket::parse(&lines).expect("distinct lines of few units");
        let click = Click { key: self.next_key(), basket, echo: false };
        if self.follows(FaultKind::U1) {
            self.send_out(0, Click { echo: true, ..click.clone() });
        }
        if self.follows(FaultKind::U10) {
            let (own, errand) = (self.clone(), Errand::begin(&self.crowd));
            spawn(async move {
                own.send_nonsense().await;
                drop(errand);
            });
        }
        if self.follows(FaultKind::U4) {
            let later_ms = self.crowd.setup.hold_ms + self.draw(20_000);
            self.send_out(later_ms, Click { echo: true, ..click.clone() });
        }
        self.send_out(0, click);
    }

    fn send_out(self: &Arc<Buyer>, after_ms: u64, click: Click) {
        let (own, errand) = (self.clone(), Errand::begin(&self.crowd));
        spawn(async move {
            if after_ms > 0 {
                pause(after_ms).await;
            }
            own.reserve(click).await;
            drop(errand);
        });
    }

    /// Asks an edge as this buyer.
    async fn ask(&self, method: Method, path: String, more: Vec<(HeaderName, String)>, body: Option<String>) -> Word {
        let edge = &self.crowd.edges[self.draw(self.crowd.edges.len() as u64) as usize];
        let mut headers = vec![(AUTHORIZATION, format!("Bearer {}", self.token))];
        headers.extend(more);
        let told = ask(&self.crowd.process, edge, Question { method, path, headers, body }).await;
        let word = answer::understand(told);
        if let Word::No(problem) = &word
            && problem == "internal"
        {
            self.crowd.process.scene.violate("S21", format!("{} was told of a bug of the platform", self.user));
        }
        word
    }

    fn wall(&self) -> Wall {
        self.crowd.process.now().wall
    }

    /// Notes what was asked and told.
    fn note(&self, sent_at: Wall, exchange: Exchange) {
        let (user, answered_at) = (self.user.clone(), self.wall());
        let scene = &self.crowd.process.scene;
        scene.tell(&self.crowd.process.name, Kind::Client, || format!("{user}: {exchange:?}"));
        scene.state().history.calls.push(Call { user, sent_at, answered_at, exchange });
    }

    async fn click(&self, key: Key, basket: &Basket) -> Answer<Accepted> {
        let sent_at = self.wall();
        let path = format!("/v1/sales/{}/reservations", self.crowd.sale);
        let headers = vec![(doorbuster_web::IDEMPOTENCY_KEY, key.to_string())];
        let body = serde_json::json!({ "lines": basket.lines() }).to_string();
        let answer = answer::accepted(self.ask(Method::POST, path, headers, Some(body)).await);
        self.note(sent_at, Exchange::Reserve { key, basket: basket.clone(), answer: answer.clone() });
        answer
    }

    /// A click; the errand ends when its buyer knows what became of it, or has had enough.
    async fn reserve(self: &Arc<Buyer>, click: Click) {
        let scene = self.crowd.process.scene.clone();
        for tries in 1.. {
            match self.click(click.key, &click.basket).await {
                Answer::Accepted(accepted) => {
                    scene.count("accepted");
                    if !click.echo {
                        self.own(click.key, accepted).await;
                    }
                    return;
                }
                Answer::Refused(problem) => {
                    scene.count("refused");
                    let comes_again = ["not-ready", "overloaded", "stopped", "not-started", "sold-out", "unavailable"]
                        .contains(&problem.as_str());
                    let tries_max = if problem == "sold-out" { 3 } else { TRIES_MAX };
                    if click.echo || !comes_again || tries >= tries_max {
                        return;
                    }
                    pause(300 + self.draw(1_500)).await;
                }
                Answer::Unknown => {
                    scene.count("unknown");
                    if click.echo {
                        return;
                    }
                    if tries >= TRIES_MAX || self.draw(4) == 0 {
                        return self.make_certain(click.key).await;
                    }
                    if self.crowd.habits.contains_key(&FaultKind::U3) {
                        scene.take_effect(FaultKind::U3, "an unknown outcome");
                    }
                    pause(50 + self.draw(1_000)).await;
                }
            }
        }
    }

    /// What no client of ours would send: it is refused in words, or the connection ends.
    async fn send_nonsense(&self) {
        let edge = &self.crowd.edges[self.draw(self.crowd.edges.len() as u64) as usize];
        let path = format!("/v1/sales/{}/reservations", self.crowd.sale);
        let good = |body: &str| Question {
            method: Method::POST,
            path: path.clone(),
            headers: vec![
                (AUTHORIZATION, format!("Bearer {}", self.token)),
                (doorbuster_web::IDEMPOTENCY_KEY, "nonsense".to_owned()),
            ],
            body: Some(body.to_owned()),
        };
        let wish = r#"{"lines":[{"sku":"sku-0","quantity":0}]}"#;
        let question = match self.draw(6) {
            0 => good("{\"lines\":["),
            1 => good(&format!("{{\"lines\":\"{}\"}}", "x".repeat(40_000))),
            2 => good(wish),
            3 => Question { headers: Vec::new(), ..good(wish) },
            4 => Question { headers: vec![(AUTHORIZATION, format!("Bearer {}x", self.token))], ..good(wish) },
            _ => Question { path: format!("/v1/sales/{}", "%ff".repeat(30)), ..good(wish) },
        };
        let Some(told) = ask(&self.crowd.process, edge, question).await else { return };
        if !(400..500).contains(&told.status) && told.status != 503 {
            let what = format!("nonsense of {} was answered with {}: {}", self.user, told.status, told.body);
            self.crowd.process.scene.violate("S21", what);
        }
    }

    async fn make_certain(&self, key: Key) {
        match self.draw(3) {
            0 => self.abandon(key).await,
            _ => self.look_up(key, None).await,
        }
    }

    /// What became of a key; whoever learns nothing makes it certain.
    async fn look_up(&self, key: Key, receipt: Option<String>) {
        for _ in 0..CERTAIN_TRIES_MAX {
            let sent_at = self.wall();
            let path = format!("/v1/sales/{}/reservations/{key}", self.crowd.sale);
            let headers = receipt.iter().map(|receipt| (HeaderName::from_static("receipt"), receipt.clone())).collect();
            let answer = answer::became(self.ask(Method::GET, path, headers, None).await);
            self.note(sent_at, Exchange::LookUp { key, answer: answer.clone() });
            match answer {
                Answer::Accepted(Became::Accepted(order)) => return self.decide(order).await,
                Answer::Accepted(Became::Lost(..)) => return self.crowd.process.scene.count("lost"),
                Answer::Accepted(Became::NotSeen) => return self.abandon(key).await,
                Answer::Refused(_) | Answer::Unknown => pause(500 + self.draw(2_000)).await,
            }
        }
    }

    /// Gives a key up, until that is certain.
    async fn abandon(&self, key: Key) {
        for _ in 0..CERTAIN_TRIES_MAX {
            let sent_at = self.wall();
            let path = format!("/v1/sales/{}/reservations/{key}/abandon", self.crowd.sale);
            let answer = answer::seen(self.ask(Method::POST, path, Vec::new(), None).await);
            self.note(sent_at, Exchange::Abandon { key, answer: answer.clone() });
            match answer {
                Answer::Accepted(_) => return self.crowd.process.scene.count("abandoned"),
                Answer::Refused(problem) if problem != "unavailable" => return,
                Answer::Refused(_) | Answer::Unknown => pause(500 + self.draw(2_000)).await,
            }
        }
    }

    /// A buyer with a 202 in its hands.
    async fn own(&self, key: Key, accepted: Accepted) {
        match self.draw(8) {
            0 => {
                pause(self.draw(self.crowd.setup.hold_ms)).await;
                self.look_up(key, accepted.receipt).await;
            }
            1 => self.abandon(key).await,
            _ => self.decide(accepted.id).await,
        }
    }

    /// What a buyer does with its order.
    async fn decide(&self, order: OrderId) {
        if self.follows(FaultKind::U7) {
            return;
        }
        let hold_ms = self.crowd.setup.hold_ms;
        let (at_deadline, odd) = (self.follows(FaultKind::U5), self.follows(FaultKind::U6));
        let later_ms = match at_deadline {
            true => hold_ms.saturating_sub(1_500) + self.draw(1_500),
            false => self.draw(hold_ms / 2 + 1),
        };
        let choice = self.draw(10);
        pause(later_ms).await;
        match (odd, choice) {
            (true, 0..=2) => {
                self.pay(order, 1, odd).await;
                self.pay(order, 2, odd).await;
            }
            (true, 3..=4) => {
                self.cancel(order).await;
                self.pay(order, 1, odd).await;
            }
            (_, 0..=6) => self.pay(order, 1, odd).await,
            (_, 7) => self.cancel(order).await,
            (_, 8) => self.look(order).await,
            (_, _) => {}
        }
    }

    async fn pay(&self, order: OrderId, attempt: u32, odd: bool) {
        let words = ["succeed", "late", "duplicate", "decline", "forged"];
        let word = match (odd, self.draw(12)) {
            (true, pick) => words[pick as usize % words.len()],
            (false, 0) => "decline",
            (false, _) => "succeed",
        };
        for _ in 0..TRIES_MAX {
            let sent_at = self.wall();
            let headers = vec![(doorbuster_web::IDEMPOTENCY_KEY, format!("attempt-{attempt}"))];
            let body = serde_json::json!({ "simulate": word }).to_string();
            let path = format!("/v1/orders/{order}/payments");
            let answer = answer::started(self.ask(Method::POST, path, headers, Some(body)).await);
            let payment = answer.accepted().and_then(|started| started.payment);
            self.note(sent_at, Exchange::Pay { order, payment, answer: answer.clone() });
            let again = match answer {
                Answer::Accepted(_) => false,
                Answer::Refused(problem) => ["not-yet", "unavailable"].contains(&problem.as_str()),
                Answer::Unknown => true,
            };
            if !again {
                break;
            }
            pause(200 + self.draw(1_000)).await;
        }
        self.look(order).await;
    }

    async fn cancel(&self, order: OrderId) {
        for _ in 0..ERRAND_TRIES_MAX {
            let sent_at = self.wall();
            let answer = answer::seen(self.ask(Method::DELETE, format!("/v1/orders/{order}"), Vec::new(), None).await);
            self.note(sent_at, Exchange::Cancel { order, answer: answer.clone() });
            match answer {
                Answer::Accepted(_) => return,
                Answer::Refused(problem) if problem != "not-yet" && problem != "unavailable" => return,
                Answer::Refused(_) | Answer::Unknown => pause(300 + self.draw(1_000)).await,
            }
        }
    }

    async fn look(&self, order: OrderId) {
        let sent_at = self.wall();
        let answer = answer::seen(self.ask(Method::GET, format!("/v1/orders/{order}"), Vec::new(), None).await);
        self.note(sent_at, Exchange::Look { order, answer });
    }
}

/// A probe wants one unit, and gives it back: what went wrong with the one and with the other.
pub async fn probe(buyer: Arc<Buyer>, sku: SkuId, tries_max: u32) -> Result<(), String> {
    let basket = Basket::parse(&[Line { sku, quantity: 1 }]).expect("one unit");
    let mut last = String::new();
    for _ in 0..tries_max {
        match buyer.click(buyer.next_key(), &basket).await {
            Answer::Accepted(accepted) => {
                buyer.cancel(accepted.id).await;
                return Ok(());
            }
            Answer::Refused(problem) => last = problem,
            Answer::Unknown => last = "nothing".to_owned(),
        }
        pause(500).await;
    }
    Err(last)
}
