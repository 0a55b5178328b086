//! Sales, orders and stock of the stub, under one lock.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// An answer before it is HTTP.
pub struct Answer {
    pub status: u16,
    pub body: String,
}

impl Answer {
    fn json(status: u16, body: &Value) -> Self {
        Self { status, body: body.to_string() }
    }

    pub fn problem(status: u16, slug: &str) -> Self {
        Self::json(
            status,
            &json!({"type": format!("/problems/{slug}"), "title": slug, "status": status, "detail": slug}),
        )
    }
}

struct Sale {
    state: &'static str,
    hold: Duration,
    limit: u64,
    totals: BTreeMap<String, u64>,
}

struct Order {
    sale: String,
    user: String,
    key: String,
    lines: Value,
    status: &'static str,
    expires_at: Instant,
}

/// Everything that the stub knows.
pub struct Shop {
    oversells: bool,
    sales: BTreeMap<String, Sale>,
    orders: BTreeMap<String, Order>,
    /// Every reservation request that arrived, by its key.
    pub arrivals: BTreeMap<String, usize>,
}

impl Shop {
    pub fn new(oversells: bool) -> Self {
        Self { oversells, sales: BTreeMap::new(), orders: BTreeMap::new(), arrivals: BTreeMap::new() }
    }

    pub fn answer(&mut self, method: &str, parts: &[&str], user: &str, body: &Value) -> Answer {
        self.expire();
        match (method, parts) {
            ("POST", ["admin", "v1", "sales"]) => self.create(body),
            ("POST", ["admin", "v1", "sales", sale, command]) => self.command(sale, command),
            ("POST", ["admin", "v1", "sales", sale, "skus", sku, "top-up"]) => self.top_up(sale, sku, body),
            ("GET", ["admin", "v1", "sales", sale]) => self.state(sale),
            ("GET", ["admin", "v1", "sales", sale, "ledger"]) => self.ledger(sale),
            ("GET", ["admin", "v1", "sales", sale, "audit"]) => self.audit(sale),
            ("GET", ["v1", "sales", sale, "reservations", key]) => self.look_up(sale, user, key),
            ("POST", ["v1", "sales", _, "reservations", _, "abandon"]) => {
                Answer::json(200, &json!({"outcome": "not-seen"}))
            }
            ("GET", ["v1", "orders", id]) => self.read(id),
            ("DELETE", ["v1", "orders", id]) => self.end(id, "CANCELLED", 200),
            ("POST", ["v1", "orders", id, "payments"]) => self.end(id, "PAID", 202),
            _ => Answer::problem(404, "not-found"),
        }
    }

    pub fn reserve(&mut self, sale: &str, user: &str, key: &str, body: &Value) -> Answer {
        self.expire();
        *self.arrivals.entry(key.to_owned()).or_default() += 1;
        let id = format!("{sale}.0.{user}-{key}");
        if let Some(order) = self.orders.get(&id) {
            let same = order.lines == body["lines"];
            return if same {
                Answer::json(202, &json!({"id": id, "status": "held", "receipt": "r"}))
            } else {
                Answer::problem(422, "key-reused")
            };
        }
        let Some(Sale { state, limit, hold, .. }) = self.sales.get(sale) else {
            return Answer::problem(404, "not-found");
        };
        let (limit, hold) = (*limit, *hold);
        match *state {
            "open" => {}
            "stopped" => return Answer::problem(409, "stopped"),
            _ => return Answer::problem(409, "ended"),
        }
        let lines = body["lines"].as_array().cloned().unwrap_or_default();
        let wanted: u64 = lines.iter().map(|line| line["quantity"].as_u64().unwrap_or(0)).sum();
        let live: u64 = self
            .orders
            .values()
            .filter(|order| order.sale == sale && order.user == user && order.status != "CANCELLED")
            .map(units)
            .sum();
        if live + wanted > limit {
            return Answer::problem(409, "limit-reached");
        }
        let short = lines.iter().any(|line| {
            let sku = line["sku"].as_str().unwrap_or_default();
            self.taken(sale, sku, &["PENDING_PAYMENT", "PAID"]) + line["quantity"].as_u64().unwrap_or(0)
                > self.sales[sale].totals.get(sku).copied().unwrap_or(0)
        });
        if short && !self.oversells {
            return Answer::problem(409, "sold-out");
        }
        let order = Order {
            sale: sale.to_owned(),
            user: user.to_owned(),
            key: key.to_owned(),
            lines: body["lines"].clone(),
            status: "PENDING_PAYMENT",
            expires_at: Instant::now() + hold,
        };
        self.orders.insert(id.clone(), order);
        Answer::json(202, &json!({"id": id, "status": "held", "receipt": "r"}))
    }

    fn expire(&mut self) {
        let now = Instant::now();
        for order in
            self.orders.values_mut().filter(|order| order.status == "PENDING_PAYMENT" && order.expires_at <= now)
        {
            order.status = "CANCELLED";
        }
    }

    fn taken(&self, sale: &str, sku: &str, statuses: &[&str]) -> u64 {
        let orders = self.orders.values().filter(|order| order.sale == sale && statuses.contains(&order.status));
        let lines = orders.flat_map(|order| order.lines.as_array().into_iter().flatten());
        lines.filter(|line| line["sku"] == sku).map(|line| line["quantity"].as_u64().unwrap_or(0)).sum()
    }

    fn create(&mut self, body: &Value) -> Answer {
        let skus = body["skus"].as_array().expect("skus");
        let totals = skus
            .iter()
            .map(|sku| (sku["sku"].as_str().expect("a SKU").to_owned(), sku["stock"].as_u64().expect("stock")))
            .collect();
        let hold = Duration::from_secs(body["hold_seconds"].as_u64().expect("a hold"));
        let limit = body["limit_per_user"].as_u64().expect("a limit");
        self.sales
            .insert(body["sale"].as_str().expect("a sale").to_owned(), Sale { state: "draft", hold, limit, totals });
        Answer::json(201, &json!({}))
    }

    fn command(&mut self, sale: &str, command: &str) -> Answer {
        let Some(sale) = self.sales.get_mut(sale) else { return Answer::problem(404, "not-found") };
        sale.state = match command {
            "open" | "resume" => "open",
            "stop" => "stopped",
            "close" => "closed",
            _ => return Answer::problem(404, "not-found"),
        };
        Answer::json(202, &json!({}))
    }

    fn top_up(&mut self, sale: &str, sku: &str, body: &Value) -> Answer {
        let total = self.sales.get_mut(sale).and_then(|sale| sale.totals.get_mut(sku)).expect("a SKU");
        *total += body["quantity"].as_u64().expect("a quantity");
        Answer::json(202, &json!({}))
    }

    fn state(&self, name: &str) -> Answer {
        let Some(sale) = self.sales.get(name) else { return Answer::problem(404, "not-found") };
        let sku = |(sku, total): (&String, &u64)| {
            let (held, sold) = (self.taken(name, sku, &["PENDING_PAYMENT"]), self.taken(name, sku, &["PAID"]));
            json!({"sku": sku, "total": total, "pool": 0, "available": total.saturating_sub(held + sold), "held": held, "sold": sold})
        };
        let skus: Vec<Value> = sale.totals.iter().map(sku).collect();
        Answer::json(
            200,
            &json!({"state": sale.state, "shards": [{"k": 0, "phase": "OPEN", "epoch": 1, "cursor": 0}], "skus": skus}),
        )
    }

    fn ledger(&self, name: &str) -> Answer {
        let Some(sale) = self.sales.get(name) else { return Answer::problem(404, "not-found") };
        let shelf = |(sku, total): (&String, &u64)| {
            let taken = self.taken(name, sku, &["PENDING_PAYMENT", "PAID"]);
            // What a closed sale has left is in its pool, and no shard sells it.
            let available = if sale.state == "closed" { 0 } else { total.saturating_sub(taken) };
            json!({"sku": sku, "memory": {"available": available}})
        };
        let stock: Vec<Value> = sale.totals.iter().map(shelf).collect();
        Answer::json(200, &json!({"shards": [{"k": 0, "stock": stock}]}))
    }

    fn audit(&self, sale: &str) -> Answer {
        let mut body = json!({"row": "sale", "sale": sale}).to_string() + "\n";
        for (id, order) in self.orders.iter().filter(|(_, order)| order.sale == sale) {
            body +=
                &json!({"row": "order", "id": id, "user": order.user, "lines": order.lines, "status": order.status})
                    .to_string();
            body += "\n";
        }
        Answer { status: 200, body }
    }

    fn look_up(&self, sale: &str, user: &str, key: &str) -> Answer {
        let found = self.orders.iter().find(|(_, order)| order.sale == sale && order.user == user && order.key == key);
        Answer::json(
            200,
            &found.map_or_else(|| json!({"outcome": "not-seen"}), |(id, _)| json!({"outcome": "accepted", "id": id})),
        )
    }

    fn read(&self, id: &str) -> Answer {
        let Some(order) = self.orders.get(id) else { return Answer::problem(404, "not-found") };
        Answer::json(200, &json!({"id": id, "sale": order.sale, "status": order.status, "lines": order.lines}))
    }

    fn end(&mut self, id: &str, status: &'static str, answer: u16) -> Answer {
        let Some(order) = self.orders.get_mut(id) else { return Answer::problem(404, "not-found") };
        if order.status != "PENDING_PAYMENT" {
            return Answer::problem(409, "not-payable");
        }
        order.status = status;
        Answer::json(answer, &json!({"payment_id": "p"}))
    }
}

fn units(order: &Order) -> u64 {
    order.lines.as_array().into_iter().flatten().map(|line| line["quantity"].as_u64().unwrap_or(0)).sum()
}
