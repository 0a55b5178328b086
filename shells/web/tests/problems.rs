//! Every documented problem, provoked over real TCP. The match is exhaustive: a new slug does not compile without its test.

mod world;

use doorbuster_core::ledger::reserve::ReserveRefusal;
use doorbuster_runtime::ports::admit::Admission;
use doorbuster_web::admin::rows::COLUMNS;
use doorbuster_web::api::Settings;
use doorbuster_web::problem::Slug;
use hyper::Method;
use serde_json::{Value, json};
use world::client::Answer;
use world::{Fault, Served, new_sale, wish};

const CLICK: &str = "/v1/sales/demo/reservations";

#[tokio::test]
async fn every_documented_problem_can_be_met() {
    for slug in Slug::ALL {
        let answer = provoke(*slug).await;
        assert_eq!(answer.slug(), slug.name(), "{slug:?}: {answer:?}");
        assert_eq!(answer.status, slug.status());
        let retry_after = answer.header("retry-after");
        assert_eq!(!retry_after.is_empty(), slug.retry_after_s().is_some(), "{slug:?}");
    }
}

#[tokio::test]
async fn every_problem_has_a_page() {
    let served = Served::easy().await;
    for slug in Slug::ALL {
        let page = served.anybody().get(&format!("/problems/{}", slug.name())).await.expect(200);
        assert!(String::from_utf8_lossy(&page.body).contains(slug.title()));
    }
    assert_eq!(served.anybody().get("/problems/none").await.expect(404).slug(), "not-found");
}

async fn provoke(slug: Slug) -> Answer {
    let served = Served::easy().await;
    served.sale("demo", 3).await;
    match slug {
        Slug::MalformedJson
        | Slug::UnknownField
        | Slug::InvalidValue
        | Slug::BasketEmpty
        | Slug::TooManyLines
        | Slug::QuantityZero
        | Slug::QuantityTooLarge
        | Slug::RepeatedSku
        | Slug::BodyTooLarge => refuse_body(&served, slug).await,
        Slug::InvalidQuery
        | Slug::KeyMissing
        | Slug::KeyInvalid
        | Slug::BadReceipt
        | Slug::BadSignature
        | Slug::Unauthenticated
        | Slug::Forbidden
        | Slug::NotFound
        | Slug::MethodNotAllowed
        | Slug::UnsupportedMediaType => refuse_head(&served, slug).await,
        Slug::UnknownSale
        | Slug::UnknownSku
        | Slug::UnknownOrder
        | Slug::UnknownProduct
        | Slug::UnknownPayment
        | Slug::UnknownShard => refuse_name(&served, slug).await,
        Slug::SoldOut
        | Slug::LimitReached
        | Slug::KeysExhausted
        | Slug::NotStarted
        | Slug::Ended
        | Slug::Stopped
        | Slug::KeyReused
        | Slug::QuotaExceeded
        | Slug::NotReady
        | Slug::Overloaded => refuse_click(&served, slug).await,
        Slug::BadRow | Slug::TooManyRows | Slug::SaleConflict | Slug::ShardNotOpen | Slug::StaleVersion => {
            refuse_operator(&served, slug).await
        }
        Slug::NotYet | Slug::ForbiddenTransition | Slug::PaymentState => refuse_order(&served, slug).await,
        Slug::Internal | Slug::OutcomeUnknown | Slug::Unavailable | Slug::TimedOut => {
            break_platform(&served, slug).await
        }
    }
}

async fn click(served: &Served, body: &Value) -> Answer {
    served.buyer("ann").reserve("demo", "k", body).await
}

async fn refuse_body(served: &Served, slug: Slug) -> Answer {
    let lines = |count: u32| json!({"lines": (0..count).map(|n| json!({"sku": format!("s{n}"), "quantity": 1})).collect::<Vec<_>>()});
    let body = match slug {
        Slug::MalformedJson => {
            let client = served.buyer("ann").key("k").with("content-type", "application/json");
            let answer = client.send(Method::POST, CLICK, b"{\"lines\":\n [}".to_vec()).await;
            assert_eq!((answer.json()["line"].as_u64(), answer.json()["column"].as_u64()), (Some(2), Some(3)));
            return answer;
        }
        Slug::UnknownField => json!({"lines": [], "coupon": "x"}),
        Slug::InvalidValue => json!({"lines": [{"sku": "a", "quantity": "two"}]}),
        Slug::BasketEmpty => lines(0),
        Slug::TooManyLines => lines(9),
        Slug::QuantityZero => wish("a", 0),
        Slug::QuantityTooLarge => wish("a", 1001),
        Slug::RepeatedSku => json!({"lines": [{"sku": "a", "quantity": 1}, {"sku": "a", "quantity": 1}]}),
        Slug::BodyTooLarge => json!({"lines": "x".repeat(20_000)}),
        other => unreachable!("{other:?} is not about a body"),
    };
    click(served, &body).await
}

async fn refuse_head(served: &Served, slug: Slug) -> Answer {
    let (ann, root) = (served.buyer("ann"), served.admin());
    match slug {
        Slug::InvalidQuery => served.anybody().get("/v1/products?limit=0").await,
        Slug::KeyMissing => ann.post(CLICK, &wish("a", 1)).await,
        Slug::KeyInvalid => ann.reserve("demo", "late:1", &wish("a", 1)).await,
        Slug::BadReceipt => ann.with("receipt", "1.1.00").get(&format!("{CLICK}/k")).await,
        Slug::BadSignature => {
            let webhook = served.anybody().with("webhook-signature", "t=1,v1=00");
            webhook.post("/v1/webhooks/payments/simulated", &json!({})).await
        }
        Slug::Unauthenticated => served.anybody().with("authorization", "Bearer x.y.z").get("/v1/orders/x").await,
        Slug::Forbidden => ann.get("/admin/v1/sales/demo").await,
        Slug::NotFound => root.get("/v2/sales").await,
        Slug::MethodNotAllowed => {
            let answer = root.delete(CLICK).await;
            assert_eq!(answer.header("allow"), "POST");
            answer
        }
        Slug::UnsupportedMediaType => {
            let form = ann.key("k").with("content-type", "application/x-www-form-urlencoded");
            form.send(Method::POST, CLICK, b"a=b".to_vec()).await
        }
        other => unreachable!("{other:?} is not about a head"),
    }
}

async fn refuse_name(served: &Served, slug: Slug) -> Answer {
    let (ann, root) = (served.buyer("ann"), served.admin());
    match slug {
        Slug::UnknownSale => ann.reserve("other", "k", &wish("a", 1)).await,
        Slug::UnknownSku => click(served, &wish("c", 1)).await,
        Slug::UnknownOrder => ann.get("/v1/orders/demo.0.aaaaaaaaaaaaaaaaaaaaaaaaaa").await,
        Slug::UnknownProduct => served.anybody().get("/v1/products/none").await,
        Slug::UnknownPayment => webhook(served, "pay-none", "succeeded").await,
        Slug::UnknownShard => root.post("/admin/v1/sales/demo/shards/9/seal", &json!({})).await,
        other => unreachable!("{other:?} is not about a name"),
    }
}

async fn webhook(served: &Served, payment: &str, verdict: &str) -> Answer {
    let body = json!({"payment_id": payment, "verdict": verdict});
    let signature = doorbuster_web::payments::sign(world::WEBHOOK_SECRET, world::START, body.to_string().as_bytes());
    served.anybody().with("webhook-signature", &signature).post("/v1/webhooks/payments/simulated", &body).await
}

async fn refuse_click(served: &Served, slug: Slug) -> Answer {
    match slug {
        Slug::SoldOut => {
            served.buyer("bob").reserve("demo", "k", &wish("a", 2)).await.expect(202);
            return click(served, &wish("a", 2)).await;
        }
        Slug::LimitReached => return click(served, &wish("a", 3)).await,
        Slug::KeyReused => {
            click(served, &wish("a", 1)).await.expect(202);
            return click(served, &wish("b", 1)).await;
        }
        Slug::NotStarted => {
            served.draft("later", 1).await;
            return served.buyer("ann").reserve("later", "k", &wish("a", 1)).await;
        }
        Slug::Ended => served.world.pass_ms(24 * 3_600_000),
        Slug::QuotaExceeded => return exceed_quota().await,
        Slug::KeysExhausted => served.world.script(Admission::Refused(ReserveRefusal::KeysExhausted)),
        Slug::Stopped => served.world.script(Admission::Refused(ReserveRefusal::Stopped)),
        Slug::NotReady => served.world.script(Admission::NotReady),
        Slug::Overloaded => served.world.script(Admission::Overloaded),
        other => unreachable!("{other:?} is not about a click"),
    }
    // The token outlives the sale of this test.
    let caller = doorbuster_web::token::Caller {
        user: doorbuster_core::ids::UserId::parse("ann").unwrap(),
        role: doorbuster_web::token::Role::Buyer,
    };
    let token = served.api.tokens().issue(&caller, world::START.after_ms(48 * 3_600_000));
    let ann = world::client::Client::new(served.address, Some(token));
    ann.reserve("demo", "k", &wish("a", 1)).await
}

async fn exceed_quota() -> Answer {
    let served = Served::start(Settings { dev: true, clicks_per_second: 1, clicks_burst: 1 }).await;
    served.sale("demo", 3).await;
    served.buyer("ann").reserve("demo", "k1", &wish("a", 1)).await.expect(202);
    served.buyer("bob").reserve("demo", "k1", &wish("a", 1)).await.expect(202);
    let answer = click(&served, &wish("a", 1)).await;
    assert_eq!(answer.header("ratelimit"), r#""clicks";r=0;t=1"#);
    assert_eq!(answer.header("ratelimit-policy"), r#""clicks";q=1;w=1"#);
    answer
}

async fn refuse_operator(served: &Served, slug: Slug) -> Answer {
    let root = served.admin();
    let import = root.with("content-type", "text/csv");
    let csv = |rows: String| format!("{}\n{rows}", COLUMNS.join(",")).into_bytes();
    let path = "/admin/v1/sales/demo/import";
    match slug {
        Slug::BadRow => {
            let answer = import.send(Method::POST, path, csv("p,P,,,c,C,1,EUR,5\np,P,,,d,D,-1,EUR,5\n".into())).await;
            assert_eq!((&answer.json()["line"], &answer.json()["column"]), (&json!(3), &json!("price_minor")));
            let known = root.get("/admin/v1/sales/demo").await.json();
            assert_eq!(known["skus"].as_array().unwrap().len(), 2, "nothing was imported");
            answer
        }
        Slug::TooManyRows => {
            let rows = (0..10_001).map(|n| format!("p,P,,,s{n},S,1,EUR,1\n")).collect();
            import.send(Method::POST, path, csv(rows)).await
        }
        Slug::SaleConflict => {
            let mut other = new_sale("demo", 3);
            other["limit_per_user"] = 7.into();
            root.post("/admin/v1/sales", &other).await
        }
        Slug::StaleVersion => {
            let (path, product) = ("/admin/v1/products/p", json!({"name": "P"}));
            root.put(path, &product).await.expect(200);
            let answer = root.with("if-match", "\"2\"").put(path, &product).await;
            assert_eq!(answer.json()["version"], 1);
            answer
        }
        Slug::ShardNotOpen => {
            root.post("/admin/v1/sales/demo/shards/0/seal", &json!({})).await.expect(202);
            root.post("/admin/v1/sales/demo/shards/0/seal", &json!({})).await
        }
        other => unreachable!("{other:?} is not about an operator's call"),
    }
}

async fn refuse_order(served: &Served, slug: Slug) -> Answer {
    let ann = served.buyer("ann");
    let held = click(served, &wish("a", 1)).await.expect(202).json();
    let order = format!("/v1/orders/{}", held["id"].as_str().unwrap());
    if slug == Slug::NotYet {
        return ann.delete(&order).await;
    }
    served.world.drain();
    let started = ann.post(&format!("{order}/payments"), &json!({})).await.expect(202).json();
    let payment = started["payment_id"].as_str().unwrap();
    if slug == Slug::PaymentState {
        return webhook(served, payment, "refunded").await;
    }
    webhook(served, payment, "succeeded").await.expect(200);
    let answer = ann.delete(&order).await;
    assert_eq!((&answer.json()["from"], &answer.json()["to"]), (&json!("PAID"), &json!("CANCELLED")));
    answer
}

async fn break_platform(served: &Served, slug: Slug) -> Answer {
    let ann = served.buyer("ann");
    match slug {
        Slug::Internal => served.world.break_now(Fault::StorePanics),
        Slug::Unavailable => served.world.break_now(Fault::StoreUnavailable),
        Slug::OutcomeUnknown => {
            served.world.script(Admission::Unknown);
            return click(served, &wish("a", 1)).await;
        }
        Slug::TimedOut => {
            served.world.break_now(Fault::StoreHangs);
            // Once nothing else can happen, the paused clock jumps to the request's limit.
            tokio::time::pause();
        }
        other => unreachable!("{other:?} is not about the platform"),
    }
    let answer = ann.get("/v1/sales").await;
    if slug == Slug::TimedOut {
        tokio::time::resume();
    }
    answer
}
