//! What an operator meets, over real TCP.

mod world;

use doorbuster_core::oracle::audit::{Audit, AuditLine};
use doorbuster_web::admin::rows::COLUMNS;
use hyper::Method;
use serde_json::{Value, json};
use world::{Fault, Served, new_sale, wish};

#[tokio::test]
async fn a_sale_is_filled_topped_up_and_closed() {
    let served = Served::easy().await;
    let root = served.admin();
    let created = root.post("/admin/v1/sales", &new_sale("demo", 5)).await.expect(201);
    assert_eq!(created.header("location"), "/admin/v1/sales/demo");
    root.post("/admin/v1/sales", &new_sale("demo", 5)).await.expect(201);
    let sku = json!({"sku": "c", "product": "p", "name": "C", "price_minor": 1, "currency": "EUR", "stock": 1});
    let added = root.post("/admin/v1/sales/demo/skus", &json!({"skus": [sku]})).await.expect(201).json();
    assert_eq!(added["added"], 1);
    let top_up = root.key("more").post("/admin/v1/sales/demo/skus/c/top-up", &json!({"quantity": 4})).await;
    assert_eq!(top_up.expect(202).json()["total"], 5);
    assert_eq!(root.post("/admin/v1/sales/demo/resume", &json!({})).await.expect(409).slug(), "sale-conflict");
    for (command, state) in [("open", "open"), ("stop", "stopped"), ("resume", "open"), ("close", "closed")] {
        let told = root.post(&format!("/admin/v1/sales/demo/{command}"), &json!({})).await.expect(202).json();
        assert_eq!(told["state"], state);
    }
    let sale = root.get("/admin/v1/sales/demo").await.expect(200).json();
    assert_eq!((&sale["state"], &sale["shards"][0]["phase"]), (&json!("closed"), &json!("SEALED")));
    assert_eq!(sale["skus"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_top_up_is_done_once_under_its_key() {
    let served = Served::easy().await;
    served.draft("demo", 5).await;
    let (root, path) = (served.admin(), "/admin/v1/sales/demo/skus/a/top-up");
    let four = json!({"quantity": 4});
    assert_eq!(root.post(path, &four).await.expect(400).slug(), "key-missing");
    assert_eq!(root.key("late:mine").post(path, &four).await.expect(400).slug(), "key-invalid");
    let keyed = root.key("k1");
    served.world.break_now(Fault::StoreUnknown);
    assert_eq!(keyed.post(path, &four).await.expect(503).slug(), "outcome-unknown");
    served.world.mend();
    let first = keyed.post(path, &four).await.expect(202);
    let told = json!({"sale": "demo", "sku": "a", "quantity": 4, "total": 9, "done_at": "2026-01-01T00:00:00.000Z"});
    assert_eq!(first.json(), told);
    served.world.pass_ms(1000);
    root.key("k2").post(path, &json!({"quantity": 1})).await.expect(202);
    root.post("/admin/v1/sales/demo/close", &json!({})).await.expect(202);
    assert_eq!(keyed.post(path, &four).await.expect(202).body, first.body, "a repetition has the same bytes");
    assert_eq!(keyed.post(path, &json!({"quantity": 5})).await.expect(422).slug(), "key-reused");
    let other_sku = "/admin/v1/sales/demo/skus/b/top-up";
    assert_eq!(keyed.post(other_sku, &four).await.expect(422).slug(), "key-reused");
    assert_eq!(root.key("k3").post(path, &four).await.expect(409).slug(), "sale-conflict");
    let sale = root.get("/admin/v1/sales/demo").await.expect(200).json();
    assert_eq!((&sale["skus"][0]["total"], &sale["skus"][1]["total"]), (&json!(10), &json!(5)));
}

#[tokio::test]
async fn an_import_that_the_sale_refuses_names_the_row_and_writes_none() {
    let served = Served::easy().await;
    served.draft("demo", 1).await;
    let row = |product: &str, sku: &str, price: u32| format!("{product},New name,,,{sku},Name,{price},EUR,7\n");
    let csv = |last: String| format!("{}\n{}{last}", COLUMNS.join(","), row("boot", "boot-41", 9900));
    let root = served.admin().with("content-type", "text/csv");
    let import = async |csv: String| root.send(Method::POST, "/admin/v1/sales/demo/import", csv.into_bytes()).await;
    for (last, column) in [(row("p", "a", 501), "price_minor"), (row("boot", "a", 500), "product")] {
        let before = served.world.state().rows.clone();
        let bad = import(csv(last)).await.expect(400);
        assert_eq!(
            (bad.slug().as_str(), &bad.json()["line"], &bad.json()["column"]),
            ("bad-row", &json!(3), &json!(column))
        );
        assert_eq!(served.world.state().rows, before, "neither SKUs nor products");
    }
    let told = import(csv(row("p", "a", 500))).await.expect(201).json();
    assert_eq!(told, json!({"rows": 2, "skus_added": 1, "products": 2}));
}

#[tokio::test]
async fn stock_is_told_from_rows_counters_and_orders() {
    let served = Served::easy().await;
    served.sale("demo", 10).await;
    let ann = served.buyer("ann");
    let held = ann.reserve("demo", "k1", &wish("a", 2)).await.expect(202).json();
    served.buyer("bob").reserve("demo", "k1", &wish("a", 1)).await.expect(202);
    served.world.drain();
    let payments = format!("/v1/orders/{}/payments", held["id"].as_str().unwrap());
    let payment = ann.post(&payments, &json!({})).await.expect(202).json();
    let body = json!({"payment_id": payment["payment_id"], "verdict": "succeeded"});
    let signature = doorbuster_web::payments::sign(world::WEBHOOK_SECRET, world::START, body.to_string().as_bytes());
    served
        .anybody()
        .with("webhook-signature", &signature)
        .post("/v1/webhooks/payments/simulated", &body)
        .await
        .expect(200);
    // Sums over orders are kept for a second.
    served.world.pass_ms(1000);
    let sale = served.admin().get("/admin/v1/sales/demo").await.expect(200).json();
    let a = &sale["skus"][0];
    assert_eq!([&a["total"], &a["pool"], &a["available"], &a["held"], &a["sold"]], [10, 0, 7, 1, 2]);
    assert_eq!(sale["orders"], json!({"PAID": 1, "PENDING_PAYMENT": 1}));
    let ledger = served.admin().get("/admin/v1/sales/demo/ledger").await.expect(200).json();
    let stock = &ledger["shards"][0]["stock"][0];
    assert_eq!((&stock["row"]["consumed"], &stock["memory"]["live"]), (&json!(3), &json!(3)));
}

#[tokio::test]
async fn csv_and_json_lines_say_the_same() {
    let served = Served::easy().await;
    let root = served.admin();
    let path = "/admin/v1/sales/demo/import";
    served.draft("demo", 1).await;
    let csv = format!("{}\r\nboot,\"Boot, brown\",shoes,https://x/b.png,boot-41,41,9900,EUR,7\r\n", COLUMNS.join(","));
    let line = json!({
        "product": "boot", "name": "Boot, brown", "category": "shoes", "image_url": "https://x/b.png", "sku": "boot-42",
        "sku_name": "42", "price_minor": 9900, "currency": "EUR", "stock": 3,
    });
    for _ in 0..2 {
        root.with("content-type", "text/csv; charset=utf-8")
            .send(Method::POST, path, csv.clone().into_bytes())
            .await
            .expect(201);
    }
    let lines = root.with("content-type", "application/x-ndjson");
    let told = lines.send(Method::POST, path, format!("\n{line}\n").into_bytes()).await.expect(201).json();
    assert_eq!(told, json!({"rows": 1, "skus_added": 1, "products": 1}));
    let product = served.anybody().get("/v1/products/boot").await.expect(200).json();
    assert_eq!((&product["name"], &product["category"]), (&json!("Boot, brown"), &json!("shoes")));
    let sale = served.anybody().get("/v1/sales/demo").await.expect(200).json();
    let boots: Vec<&Value> = sale["skus"].as_array().unwrap().iter().filter(|sku| sku["product"] == "boot").collect();
    assert_eq!(boots.len(), 2);
    let bad = lines.send(Method::POST, path, b"{\"product\": tru}".to_vec()).await.expect(400);
    assert_eq!((bad.slug().as_str(), bad.json()["line"].as_u64()), ("bad-row", Some(1)));
}

#[tokio::test]
async fn products_are_paged_by_their_ids() {
    let served = Served::easy().await;
    for number in 0..5 {
        let category = if number % 2 == 0 { "even" } else { "odd" };
        let body = json!({"name": format!("Thing {number}"), "category": category});
        served.admin().put(&format!("/admin/v1/products/p{number}"), &body).await.expect(200);
    }
    let anybody = served.anybody();
    let first = anybody.get("/v1/products?limit=2").await.expect(200).json();
    assert_eq!((first["products"].as_array().unwrap().len(), &first["next"]), (2, &json!("p1")));
    let rest = anybody.get("/v1/products?limit=9&after=p1&category=even").await.expect(200).json();
    assert_eq!((rest["products"].as_array().unwrap().len(), &rest["next"]), (2, &json!(null)));
    let named = anybody.get("/v1/products?q=THING%203").await.expect(200).json();
    assert_eq!(named["products"][0]["id"], "p3");
}

#[tokio::test]
async fn an_audit_is_what_the_oracle_reads() {
    let served = Served::easy().await;
    served.sale("demo", 10).await;
    for user in ["ann", "bob"] {
        for key in ["k1", "k2"] {
            served.buyer(user).reserve("demo", key, &wish("a", 1)).await.expect(202);
        }
    }
    served.world.drain();
    let answer = served.admin().get("/admin/v1/sales/demo/audit").await.expect(200);
    assert_eq!(answer.header("content-type"), "application/x-ndjson");
    let text = std::str::from_utf8(&answer.body).unwrap();
    let audit = Audit::read(text.lines(), |line| serde_json::from_str::<AuditLine>(line)).unwrap();
    assert_eq!((audit.orders.len(), audit.quotas.len(), audit.stock.len()), (4, 2, 2));
    assert!(audit.memories.is_some_and(|memories| memories.len() == 1));
    assert!(audit.logs.is_none() && audit.delay.is_none(), "what nobody can tell is not told as empty");
    assert_eq!(served.admin().get("/admin/v1/sales/none/audit").await.expect(404).slug(), "unknown-sale");
}

#[tokio::test]
async fn readiness_names_the_shards_that_do_not_sell() {
    let served = Served::easy().await;
    served.anybody().get("/healthz").await.expect(200);
    let sale = served.sale("demo", 1).await;
    served.anybody().get("/readyz").await.expect(200);
    served.admin().post("/admin/v1/sales/demo/shards/0/seal", &json!({})).await.expect(202);
    let waiting = served.anybody().get("/readyz").await.expect(503);
    assert_eq!((waiting.slug().as_str(), &waiting.json()["shards"]), ("not-ready", &json!(["demo.0"])));
    served.world.end_epoch(doorbuster_core::ids::ShardId { sale, k: 0 });
    served.world.open_shards(sale);
    served.anybody().get("/readyz").await.expect(200);
}

#[tokio::test]
async fn an_order_is_extended_and_cancelled_by_the_operator() {
    let served = Served::easy().await;
    served.sale("demo", 10).await;
    let held = served.buyer("ann").reserve("demo", "k1", &wish("a", 1)).await.expect(202).json();
    let order = format!("/admin/v1/orders/{}", held["id"].as_str().unwrap());
    let root = served.admin();
    assert_eq!(root.post(&format!("{order}/cancel"), &json!({})).await.expect(409).slug(), "not-yet");
    served.world.drain();
    let later = json!({"expires_at": "2026-01-01T01:00:00Z"});
    let extended = root.post(&format!("{order}/extend"), &later).await.expect(200).json();
    assert_eq!(extended["expires_at"], "2026-01-01T01:00:00.000Z");
    assert_eq!(root.post(&format!("{order}/extend"), &later).await.expect(400).slug(), "invalid-value");
    let cancelled = root.post(&format!("{order}/cancel"), &json!({})).await.expect(200).json();
    assert_eq!((&cancelled["status"], &cancelled["reason"]), (&json!("CANCELLED"), &json!("operator")));
    let nobody = root.post("/admin/v1/orders/none.0.aaaaaaaaaaaaaaaaaaaaaaaaaa/cancel", &json!({})).await;
    assert_eq!(nobody.expect(404).slug(), "unknown-order");
}

#[tokio::test]
async fn every_route_is_documented_and_reachable() {
    let served = Served::easy().await;
    let document = served.anybody().get("/openapi.json").await.expect(200).json();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let mut text = document.to_string();
    while let Some(at) = text.find("#/components/schemas/") {
        text = text.split_off(at + "#/components/schemas/".len());
        let name = &text[..text.find('"').unwrap()];
        assert!(schemas.contains_key(name), "the schema {name} is missing");
    }
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let filled = path
                .replace("{sale}", "none")
                .replace("{provider}", "simulated")
                .replace("{slug}", "sold-out")
                .replace("{asset}", "console.js")
                .replace(['{', '}'], "");
            let answer =
                served.anybody().with("accept", "application/json").send(method.clone(), &filled, Vec::new()).await;
            let lost = answer.status == 405 || (answer.status == 404 && answer.slug() == "not-found");
            assert!(!lost, "{method} {path}: {answer:?}");
        }
    }
}
