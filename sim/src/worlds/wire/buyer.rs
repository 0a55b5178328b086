//! Buyers over HTTP: each draws what it does from a stream of its own, so that one less shifts no other.

use super::answer::{self, Word};
use super::crowd::{Crowd, Errand};
use super::http::{Question, ask};
use crate::fault::FaultKind;
use crate::trace::Kind;
use doorbuster_core::ids::{Key, OrderId, PaymentId, SkuId, UserId};
use doorbuster_core::ledger::basket::{Basket, Line};
use doorbuster_core::oracle::history::{Accepted, Answer, Became, Call, Exchange, Seen};
use doorbuster_core::rng::Rng;
use doorbuster_core::time::Wall;
use doorbuster_runtime::drive::spawn;
use doorbuster_runtime::env::Env;
use doorbuster_web::payments::{SIGNATURE, sign};
use doorbuster_web::token::{Caller, Role};
use http::Method;
use http::header::{AUTHORIZATION, HeaderName};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Tries of one click before its buyer wants certainty.
const TRIES_MAX: u32 = 8;
/// Tries of anything that must be certain in the end: with their pauses minutes, beyond any fault.
const CERTAIN_TRIES_MAX: u32 = 120;
/// Tries of an errand whose answer is not there.
const ERRAND_TRIES_MAX: u32 = 5;

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

/// Waits as long, of simulated time.
pub async fn pause(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

impl Buyer {
    /// A buyer with a token and a stream of choices.
    pub fn new(crowd: &Arc<Crowd>, name: &str, rng: Rng) -> Arc<Buyer> {
        let user = UserId::parse(name).expect("a short name");
        let caller = Caller { user: user.clone(), role: Role::Buyer };
        let token = crowd.tokens.issue(&caller, Wall(u64::MAX / 2));
        Arc::new(Buyer { crowd: crowd.clone(), user, token, rng: Mutex::new(rng), keys: AtomicU32::new(0) })
    }

    /// Something below the bound, by this buyer's own stream.
    pub fn draw(&self, bound: u64) -> u64 {
        self.rng.lock().expect("no holder of this lock panics").below(bound)
    }

    /// Whether this buyer follows a habit now.
    pub fn follows(&self, habit: FaultKind) -> bool {
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
    pub fn come(self: &Arc<Buyer>) {
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

    /// Asks some edge as this buyer.
    async fn ask(&self, method: Method, path: String, more: Vec<(HeaderName, String)>, body: Option<String>) -> Word {
        self.ask_at(self.edge(), Question { method, path, headers: more, body }).await
    }

    async fn ask_at(&self, edge: &str, question: Question) -> Word {
        let mut headers = vec![(AUTHORIZATION, format!("Bearer {}", self.token))];
        headers.extend(question.headers);
        let word = answer::understand(ask(&self.crowd.process, edge, Question { headers, ..question }).await);
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
        let broken = scene.state().watch.told(&user, &exchange);
        if let Some((id, what)) = broken {
            scene.violate(id, what);
        }
        scene.state().history.calls.push(Call { user, sent_at, answered_at, exchange });
    }

    async fn click(&self, edge: &str, key: Key, basket: &Basket) -> Answer<Accepted> {
        let sent_at = self.wall();
        let path = format!("/v1/sales/{}/reservations", self.crowd.sale);
        let headers = vec![(doorbuster_web::IDEMPOTENCY_KEY, key.to_string())];
        let body = Some(serde_json::json!({ "lines": basket.lines() }).to_string());
        let answer = answer::accepted(self.ask_at(edge, Question { method: Method::POST, path, headers, body }).await);
        self.note(sent_at, Exchange::Reserve { key, basket: basket.clone(), answer: answer.clone() });
        answer
    }

    /// A click; the errand ends when its buyer knows what became of it, or has had enough.
    async fn reserve(self: &Arc<Buyer>, click: Click) {
        let scene = self.crowd.process.scene.clone();
        let mut edge = self.edge();
        for tries in 1.. {
            match self.click(edge, click.key, &click.basket).await {
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
                    edge = self.edge_after(edge);
                    pause(50 + self.draw(1_000)).await;
                }
            }
        }
    }

    /// Where a click whose outcome is unknown is repeated: at another edge, if that is the habit and there is one.
    fn edge_after<'a>(&'a self, last: &'a str) -> &'a str {
        if !self.crowd.habits.contains_key(&FaultKind::U3) {
            return self.edge();
        }
        // A few looks: where one edge is left there is no other.
        let Some(other) = (0..8).map(|_| self.edge()).find(|edge| *edge != last) else { return last };
        self.crowd.process.scene.take_effect(FaultKind::U3, "an unknown outcome");
        other
    }

    fn edge(&self) -> &str {
        let pick = self.draw(self.crowd.edges.len() as u64);
        self.crowd.process.scene.one_of(&self.crowd.edges, pick)
    }

    /// What no client of ours would send: it is refused in words, or the connection ends.
    async fn send_nonsense(&self) {
        let edge = self.edge();
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
            let word = self.ask(Method::GET, path, headers, None).await;
            if answer::is_abandoned(&word) {
                return self.crowd.process.scene.count("told that it was abandoned");
            }
            let answer = answer::became(word);
            self.note(sent_at, Exchange::LookUp { key, answer: answer.clone() });
            match answer {
                Answer::Accepted(Became::Accepted(order)) => return self.decide(order).await,
                Answer::Accepted(Became::Lost(..)) => return self.crowd.process.scene.count("lost"),
                Answer::Accepted(Became::NotSeen) => return self.abandon(key).await,
                Answer::Refused(_) | Answer::Unknown => pause(500 + self.draw(2_000)).await,
            }
        }
        self.never_learns(key);
    }

    fn never_learns(&self, key: Key) {
        let what = format!("{} has asked {CERTAIN_TRIES_MAX} times and never learns what became of {key}", self.user);
        self.crowd.process.scene.violate("L11", what);
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
        self.never_learns(key);
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
                drop(self.cancel(order).await);
                self.pay(order, 1, odd).await;
            }
            (_, 0..=6) => self.pay(order, 1, odd).await,
            (_, 7) => drop(self.cancel(order).await),
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
            if let Some(payment) = payment.filter(|_| word == "forged") {
                self.forge(payment).await;
            }
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

    /// A webhook of somebody who does not know the secret. Whoever believes it has an order that nobody paid for.
    async fn forge(&self, payment: PaymentId) {
        let body = serde_json::json!({ "payment_id": payment, "verdict": "succeeded" }).to_string();
        let signature = sign(b"not the secret", self.wall(), body.as_bytes());
        let headers = vec![(HeaderName::from_static(SIGNATURE), signature)];
        let path = "/v1/webhooks/payments/simulated".to_owned();
        let question = Question { method: Method::POST, path, headers, body: Some(body) };
        let told = ask(&self.crowd.process, self.edge(), question).await;
        if let Some(told) = told.filter(|told| told.status < 300) {
            let what = format!("a forged webhook for {payment} was answered with {}", told.status);
            self.crowd.process.scene.violate("S21", what);
        }
    }

    /// Cancels an order; the last answer.
    async fn cancel(&self, order: OrderId) -> Answer<Seen> {
        let mut last = Answer::Unknown;
        for _ in 0..ERRAND_TRIES_MAX {
            let sent_at = self.wall();
            let answer = answer::seen(self.ask(Method::DELETE, format!("/v1/orders/{order}"), Vec::new(), None).await);
            self.note(sent_at, Exchange::Cancel { order, answer: answer.clone() });
            let again = match &answer {
                Answer::Accepted(_) => false,
                Answer::Refused(problem) => problem == "not-yet" || problem == "unavailable",
                Answer::Unknown => true,
            };
            last = answer;
            if !again {
                break;
            }
            pause(300 + self.draw(1_000)).await;
        }
        last
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
        match buyer.click(buyer.edge(), buyer.next_key(), &basket).await {
            Answer::Accepted(accepted) => {
                return give_back(&buyer, accepted.id, tries_max).await;
            }
            Answer::Refused(problem) => last = problem,
            Answer::Unknown => last = "nothing".to_owned(),
        }
        pause(500).await;
    }
    Err(last)
}

/// An order is decided when the lease of a forwarder that died with its partition has ended, if not before: so long a probe
/// has patience.
async fn give_back(buyer: &Buyer, order: OrderId, tries_max: u32) -> Result<(), String> {
    let mut last = String::new();
    for _ in 0..tries_max {
        match buyer.cancel(order).await {
            Answer::Accepted(_) => return Ok(()),
            told @ (Answer::Refused(_) | Answer::Unknown) => last = format!("{told:?} when it gave the unit back"),
        }
        pause(500).await;
    }
    Err(last)
}
