//! What a buyer meets, over real TCP.

mod world;

use doorbuster_core::ids::{SaleId, ShardId};
use doorbuster_runtime::ports::admit::Admission;
use doorbuster_runtime::telemetry::Metric;
use doorbuster_web::payments::sign;
use http_body_util::BodyExt;
use hyper::Method;
use serde_json::{Value, json};
use world::{Fault, START, Served, WEBHOOK_SECRET, wish};

async fn webhook(served: &Served, payment: &str, verdict: &str) -> world::client::Answer {
    let body = json!({"payment_id": payment, "verdict": verdict});
    let signature = sign(WEBHOOK_SECRET, START, body.to_string().as_bytes());
    served.anybody().with("webhook-signature", &signature).post("/v1/webhooks/payments/simulated", &body).await
}

#[tokio::test]
async fn a_basket_is_reserved_paid_and_refunded() {
    let served = Served::easy().await;
    served.sale("demo", 10).await;
    let ann = served.buyer("ann");
    let held = ann.reserve("demo", "k1", &wish("a", 2)).await.expect(202);
    let id = held.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(held.header("location"), format!("/v1/orders/{id}"));
    assert_eq!(held.json()["status"], "held");
    assert_eq!(held.json()["expires_at"], "2026-01-01T00:00:30.000Z");

    let order = format!("/v1/orders/{id}");
    assert_eq!(ann.get(&order).await.expect(200).json()["status"], "on-its-way");
    assert_eq!(ann.delete(&order).await.expect(409).slug(), "not-yet");
    served.world.drain();
    let pending = ann.get(&order).await.expect(200).json();
    assert_eq!((pending["status"].as_str(), pending["amount_minor"].as_u64()), (Some("PENDING_PAYMENT"), Some(1000)));

    let pay = ann.key("pay-1");
    let started = pay.post(&format!("{order}/payments"), &json!({"simulate": "succeed"})).await.expect(202).json();
    let again = pay.post(&format!("{order}/payments"), &json!({"simulate": "succeed"})).await.expect(202).json();
    assert_eq!(started, again, "the same key starts the same payment");
    let payment = started["payment_id"].as_str().unwrap();
    for _ in 0..2 {
        webhook(&served, payment, "succeeded").await.expect(200);
    }
    assert_eq!(ann.get(&order).await.expect(200).json()["status"], "PAID");

    let refund = format!("/admin{order}/refund");
    served.admin().post(&refund, &json!({"restock": true})).await.expect(202);
    webhook(&served, payment, "refunded").await.expect(200);
    let refunded = ann.get(&order).await.expect(200).json();
    assert_eq!((refunded["status"].as_str(), refunded["reason"].as_str()), (Some("REFUNDED"), Some("restock")));
}

#[tokio::test]
async fn a_payment_is_read_by_its_payer_only() {
    let served = Served::easy().await;
    served.sale("demo", 10).await;
    let ann = served.buyer("ann");
    let id = ann.reserve("demo", "k1", &wish("a", 1)).await.expect(202).json()["id"].clone();
    served.world.drain();
    let order = format!("/v1/orders/{}", id.as_str().unwrap());
    let payment = ann.post(&format!("{order}/payments"), &json!({})).await.expect(202).json()["payment_id"].clone();
    let path = format!("/v1/payments/{}", payment.as_str().unwrap());
    let told = |status: &str| json!({"payment_id": payment, "status": status, "order": id, "amount_minor": 500});
    assert_eq!(ann.get(&path).await.expect(200).json(), told("started"));
    ann.delete(&order).await.expect(200);
    webhook(&served, payment.as_str().unwrap(), "succeeded").await.expect(200);
    assert_eq!(ann.get(&path).await.expect(200).json(), told("late"));
    assert_eq!(served.admin().get(&path).await.expect(200).json(), told("late"));
    assert_eq!(served.buyer("bob").get(&path).await.expect(404).slug(), "unknown-payment");
    assert_eq!(ann.get("/v1/payments/none").await.expect(404).slug(), "unknown-payment");
}

#[tokio::test]
async fn a_replay_is_byte_identical_even_when_sold_out_and_after_the_close() {
    let served = Served::easy().await;
    served.sale("demo", 1).await;
    let ann = served.buyer("ann");
    let first = ann.reserve("demo", "k1", &wish("a", 1)).await.expect(202);
    let refused = served.buyer("bob").reserve("demo", "k1", &wish("a", 1)).await;
    assert_eq!(refused.expect(409).slug(), "sold-out");
    served.world.pass_ms(7);
    let latched = served.buyer("eve").reserve("demo", "k1", &wish("a", 1)).await;
    assert_eq!(latched.expect(409).slug(), "sold-out");
    assert_eq!(served.telemetry.read(Metric::Latched), 1, "the latch answered");
    let second = ann.reserve("demo", "k1", &wish("a", 1)).await.expect(202);
    assert_eq!(first.body, second.body);

    served.world.drain();
    served.admin().post("/admin/v1/sales/demo/close", &json!({})).await.expect(202);
    let shard = ShardId { sale: SaleId::parse("demo").unwrap(), k: 0 };
    served.admin().post("/admin/v1/sales/demo/shards/0/seal", &json!({})).await.expect(202);
    // A latch may be older than the close; it ages within a tenth of a second.
    served.world.pass_ms(100);
    let draining = served.buyer("bob").reserve("demo", "k2", &wish("a", 1)).await.expect(503);
    assert_eq!(draining.slug(), "not-ready", "what was accepted may still be on its way to a row");
    served.world.end_epoch(shard);
    let asked = served.world.state().asked;
    let third = ann.reserve("demo", "k1", &wish("a", 1)).await.expect(202);
    assert_eq!(first.body, third.body, "the order's row answers for its key");
    assert_eq!(ann.reserve("demo", "k1", &wish("a", 2)).await.expect(422).slug(), "key-reused");
    assert_eq!(served.buyer("bob").reserve("demo", "k2", &wish("a", 1)).await.expect(409).slug(), "ended");
    assert_eq!(served.world.state().asked, asked, "a shard that has closed for good has nobody wait for it");
}

#[tokio::test]
async fn a_clock_before_the_start_refuses_no_key_that_may_be_known() {
    let served = Served::easy().await;
    let mut soon = world::new_sale("soon", 3);
    soon["starts_at"] = json!("2026-01-01T00:00:05Z");
    served.admin().post("/admin/v1/sales", &soon).await.expect(201);
    served.admin().post("/admin/v1/sales/soon/open", &json!({})).await.expect(202);
    let ann = served.buyer("ann");
    let early = ann.reserve("soon", "k", &wish("a", 1)).await.expect(409);
    assert_eq!(early.slug(), "not-started", "nothing was ever open");
    served.world.open_shards(SaleId::parse("soon").unwrap());
    served.world.pass_ms(10_000);
    let first = ann.reserve("soon", "k", &wish("a", 1)).await.expect(202);
    // The shard is rebuilt, and this edge's clock steps back before the start.
    served.world.script(Admission::NotReady);
    served.world.stand_back_ms(8_000);
    assert_eq!(ann.reserve("soon", "k", &wish("a", 1)).await.expect(503).slug(), "not-ready");
    served.world.stand_back_ms(0);
    let again = ann.reserve("soon", "k", &wish("a", 1)).await.expect(202);
    assert_eq!(first.body, again.body);
}

#[tokio::test]
async fn a_key_of_a_process_before_this_one_is_not_latched() {
    let served = Served::easy().await;
    served.sale("demo", 1).await;
    let first = served.buyer("ann").reserve("demo", "k1", &wish("a", 1)).await.expect(202);
    // Another process of the same platform has not seen that click.
    let other = Served::easy().await;
    std::mem::swap(&mut *other.world.state(), &mut *served.world.state());
    other.buyer("bob").reserve("demo", "k1", &wish("a", 1)).await.expect(409);
    let second = other.buyer("ann").reserve("demo", "k1", &wish("a", 1)).await.expect(202);
    assert_eq!(first.body, second.body);
}

#[tokio::test]
async fn a_basket_that_one_latch_refuses_does_not_ask_for_its_other_lines() {
    let served = Served::easy().await;
    served.sale("demo", 1).await;
    for sku in ["a", "b"] {
        // The other SKU's latch is aged when this one is set.
        served.world.pass_ms(100);
        served.buyer("ann").reserve("demo", sku, &wish(sku, 1)).await.expect(202);
        served.buyer("bob").reserve("demo", sku, &wish(sku, 1)).await.expect(409);
    }
    let both = json!({"lines": [{"sku": "a", "quantity": 1}, {"sku": "b", "quantity": 1}]});
    assert_eq!(served.buyer("eve").reserve("demo", "k1", &both).await.expect(409).slug(), "sold-out");
    let top_up = "/admin/v1/sales/demo/skus/a/top-up";
    served.admin().key("more").post(top_up, &json!({"quantity": 1})).await.expect(202);
    served.buyer("fay").reserve("demo", "k1", &wish("a", 1)).await.expect(202);
}

#[tokio::test]
async fn what_became_of_it() {
    let served = Served::easy().await;
    let sale = served.sale("demo", 10).await;
    let ann = served.buyer("ann");
    let path = "/v1/sales/demo/reservations/k1";
    assert_eq!(ann.get(path).await.expect(200).json()["outcome"], "not-seen");
    let held = ann.reserve("demo", "k1", &wish("a", 1)).await.expect(202).json();
    let receipt = held["receipt"].as_str().unwrap().to_owned();
    let with_receipt = ann.with("receipt", &receipt);
    for asked in [ann.get(path).await, with_receipt.get(path).await] {
        let fate = asked.expect(200).json();
        assert_eq!((fate["outcome"].as_str(), fate["status"].as_str()), (Some("accepted"), Some("on-its-way")));
        assert_eq!(fate["receipt"], held["receipt"]);
    }
    // The epoch ends without this entry: it is lost, and stays so.
    served.admin().post("/admin/v1/sales/demo/shards/0/seal", &json!({})).await.expect(202);
    served.world.end_epoch(ShardId { sale, k: 0 });
    assert_eq!(with_receipt.get(path).await.expect(200).json()["outcome"], "lost");
    served.world.open_shards(sale);
    assert_eq!(with_receipt.get(path).await.expect(200).json()["outcome"], "lost");
    // The same key may take a unit again, and then its row answers, whatever receipt is shown.
    ann.reserve("demo", "k1", &wish("a", 1)).await.expect(202);
    served.world.state().log.remove(0);
    served.world.drain();
    let fate = with_receipt.get(path).await.expect(200).json();
    assert_eq!((fate["outcome"].as_str(), fate["status"].as_str()), (Some("accepted"), Some("PENDING_PAYMENT")));

    let forged = receipt.replacen("1.1.", "1.2.", 1);
    assert_eq!(ann.with("receipt", &forged).get(path).await.expect(400).slug(), "bad-receipt");
    assert_eq!(served.buyer("bob").with("receipt", &receipt).get(path).await.expect(400).slug(), "bad-receipt");
}

#[tokio::test]
async fn an_abandoned_key_is_certainly_no_sale() {
    let served = Served::easy().await;
    served.sale("demo", 10).await;
    let ann = served.buyer("ann");
    let abandon = |key: &str| format!("/v1/sales/demo/reservations/{key}/abandon");
    let fate = ann.post(&abandon("never"), &json!({})).await.expect(200).json();
    assert_eq!((fate["outcome"].as_str(), fate["status"].as_str()), (Some("abandoned"), Some("REJECTED")));
    ann.reserve("demo", "k1", &wish("a", 1)).await.expect(202);
    served.world.drain();
    let fate = ann.send(Method::POST, &abandon("k1"), Vec::new()).await.expect(200).json();
    assert_eq!((fate["status"].as_str(), fate["reason"].as_str()), (Some("CANCELLED"), Some("abandoned")));
}

#[tokio::test]
async fn an_order_of_another_user_does_not_exist() {
    let served = Served::easy().await;
    served.sale("demo", 10).await;
    let held = served.buyer("ann").reserve("demo", "k1", &wish("a", 1)).await.expect(202).json();
    let order = format!("/v1/orders/{}", held["id"].as_str().unwrap());
    let bob = served.buyer("bob");
    for _ in 0..2 {
        assert_eq!(bob.get(&order).await.expect(404).slug(), "unknown-order");
        assert_eq!(bob.delete(&order).await.expect(404).slug(), "unknown-order");
        assert_eq!(bob.get(&format!("{order}/events")).await.expect(404).slug(), "unknown-order");
        assert_eq!(bob.post(&format!("{order}/payments"), &json!({})).await.expect(404).slug(), "unknown-order");
        served.world.drain();
    }
    served.buyer("ann").delete(&order).await.expect(200);
    let again = served.buyer("ann").delete(&order).await.expect(200).json();
    assert_eq!(again["status"], "CANCELLED", "a repeated cancel finds its own work");
}

#[tokio::test]
async fn an_orders_events_end_with_it() {
    let served = Served::easy().await;
    served.sale("demo", 10).await;
    let ann = served.buyer("ann");
    let held = ann.reserve("demo", "k1", &wish("a", 1)).await.expect(202).json();
    served.world.drain();
    let order = format!("/v1/orders/{}", held["id"].as_str().unwrap());
    let mut events = ann.begin(Method::GET, &format!("{order}/events"), Vec::new()).await.into_body();
    let mut told = String::new();
    while !told.contains("PENDING_PAYMENT") {
        let frame = events.frame().await.unwrap().unwrap();
        told.push_str(std::str::from_utf8(&frame.into_data().unwrap()).unwrap());
    }
    ann.delete(&order).await.expect(200);
    let rest = events.collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&rest).contains("CANCELLED"), "{rest:?}");
}

#[tokio::test]
async fn a_handler_that_panics_hurts_nobody_else() {
    let served = Served::easy().await;
    served.sale("demo", 10).await;
    served.world.break_now(Fault::StorePanics);
    let answer = served.anybody().get("/v1/sales").await;
    assert_eq!(answer.expect(500).slug(), "internal");
    served.world.mend();
    served.anybody().get("/v1/sales").await.expect(200);
}

#[tokio::test]
async fn a_stop_drains_what_is_in_flight() {
    let served = Served::easy().await;
    served.sale("demo", 10).await;
    served.world.break_now(Fault::StoreHangs);
    let anybody = served.anybody();
    let waiting = doorbuster_runtime::drive::spawn(async move { anybody.get("/v1/sales").await });
    // Requests are counted when they come in: ours is the third, after two of the operator.
    while served.telemetry.read(Metric::Requests) < 3 {
        tokio::task::yield_now().await;
    }
    served.stop.send_replace(true);
    while tokio::net::TcpStream::connect(served.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!served.server.is_finished(), "a request is in flight");
    served.world.mend();
    served.world.release.notify_waiters();
    waiting.await.unwrap().expect(200);
    served.server.await.unwrap();
}

#[tokio::test]
async fn the_console_sees_the_sale() {
    let served = Served::easy().await;
    served.sale("demo", 10).await;
    served.buyer("ann").reserve("demo", "k1", &wish("a", 2)).await.expect(202);
    let live: Value = served.anybody().with("accept", "application/json").get("/v1/live").await.expect(200).json();
    let sku = &live["sales"][0]["skus"][0];
    assert_eq!((sku["available"].as_u64(), sku["held"].as_u64(), sku["sold"].as_u64()), (Some(8), Some(2), Some(0)));
    assert_eq!(live["totals"]["reservations_accepted_total"], 1);
    assert_eq!(live["invariants"][0]["state"], "green");
    assert!(served.anybody().get("/").await.expect(200).header("content-type").starts_with("text/html"));
    let metrics = served.anybody().get("/metrics").await.expect(200);
    assert!(String::from_utf8_lossy(&metrics.body).contains("doorbuster_reservations_accepted_total 1\n"));
}
