//! The shapes of bodies, as JSON Schema (2020-12).

use doorbuster_core::limits::{LINES_MAX, QUANTITY_MAX, SHARDS_MAX, SKUS_MAX};
use serde_json::{Value, json};

/// Every schema by its name.
pub fn schemas() -> Value {
    let mut all = buying();
    let Value::Object(members) = &mut all else { unreachable!("a literal object") };
    for part in [shop(), operating(), plain()] {
        let Value::Object(part) = part else { unreachable!("a literal object") };
        members.extend(part);
    }
    all
}

fn object(required: &[&str], properties: Value) -> Value {
    json!({"type": "object", "required": required, "properties": properties})
}

fn text() -> Value {
    json!({"type": "string"})
}

fn time() -> Value {
    json!({"type": "string", "format": "date-time"})
}

fn count() -> Value {
    json!({"type": "integer", "minimum": 0})
}

fn list(schema: &str) -> Value {
    json!({"type": "array", "items": {"$ref": format!("#/components/schemas/{schema}")}})
}

fn buying() -> Value {
    let line = object(
        &["sku", "quantity"],
        json!({"sku": text(), "quantity": {"type": "integer", "minimum": 1, "maximum": QUANTITY_MAX}}),
    );
    let lines =
        json!({"type": "array", "minItems": 1, "maxItems": LINES_MAX, "items": {"$ref": "#/components/schemas/Line"}});
    let held = json!({"id": text(), "status": {"const": "held"}, "expires_at": time(), "receipt": text()});
    let status = json!({"enum": ["on-its-way", "lost", "PENDING_PAYMENT", "PAID", "CANCELLED", "REFUNDING", "REFUNDED", "REJECTED"]});
    let order = json!({
        "id": text(), "sale": text(), "status": status, "reason": {"type": ["string", "null"]}, "lines": list("Line"),
        "amount_minor": count(), "currency": text(), "expires_at": time(), "created_at": time(),
        "payment_id": {"type": ["string", "null"]}, "version": count(),
    });
    let fate = json!({"outcome": {"enum": ["accepted", "lost", "not-seen", "abandoned"]}, "id": text(), "status": status, "receipt": text()});
    json!({
        "Line": line,
        "Wish": object(&["lines"], json!({"lines": lines})),
        "Held": object(&["id", "status", "expires_at", "receipt"], held),
        "Order": object(&["id", "sale", "status"], order),
        "Fate": object(&["outcome", "id"], fate),
        "Payment": object(&[], json!({
            "simulate": {"enum": ["succeed", "decline", "late", "duplicate", "forged"], "description": "Development only."},
            "attempt": count(),
        })),
        "PaymentStarted": object(&["payment_id", "status"], json!({"payment_id": text(), "status": text(), "amount_minor": count()})),
        "PaymentStatus": object(&["payment_id", "status", "order", "amount_minor"], json!({
            "payment_id": text(), "amount_minor": count(),
            "status": {"enum": ["started", "declined", "paid", "late", "refund-due", "refunded"]},
            "order": {"type": "string", "description": "The order that it pays, or was to pay: after a late payment another one than it was started for."},
        })),
        "Notice": object(&["payment_id", "verdict"], json!({"payment_id": text(), "verdict": {"enum": ["succeeded", "declined", "refunded"]}})),
        "PaymentState": object(&["payment_id", "status"], json!({"payment_id": text(), "status": text()})),
    })
}

fn shop() -> Value {
    let sku = json!({
        "sku": text(), "product": text(), "name": text(), "price_minor": count(), "currency": text(), "total": count(),
        "pool": count(), "available": count(), "held": count(), "sold": count(),
    });
    let sale = json!({
        "sale": text(), "title": text(), "state": {"enum": ["draft", "open", "stopped", "closed"]}, "starts_at": time(),
        "ends_at": time(), "limit_per_user": count(), "hold_seconds": count(), "shards": count(),
        "ack": {"enum": ["redis", "replica", "log"]}, "currency": text(), "skus": list("Sku"), "version": count(),
    });
    let product = json!({"id": text(), "name": text(), "category": text(), "image_url": text(), "version": count()});
    json!({
        "Sku": object(&["sku", "product", "price_minor", "available", "held", "sold"], sku),
        "Sale": object(&["sale", "state", "starts_at", "ends_at"], sale),
        "Sales": object(&["sales"], json!({"sales": list("Sale")})),
        "Product": object(&["id", "name"], product),
        "Products": object(&["products", "next"], json!({"products": list("Product"), "next": {"type": ["string", "null"]}})),
        "Live": object(&["at", "sales", "orders", "per_second", "totals", "gauges", "invariants"], json!({
            "at": time(), "sales": list("Sale"), "orders": {"type": "object"}, "per_second": {"type": "object"},
            "totals": {"type": "object"}, "gauges": {"type": "object"},
            "invariants": {"type": "array", "items": object(&["id", "state", "detail", "age_ms"], json!({
                "id": text(), "state": {"enum": ["green", "red", "not-checked"]}, "detail": text(), "age_ms": count(),
            }))},
        })),
    })
}

fn operating() -> Value {
    let article = json!({"sku": text(), "product": text(), "name": text(), "price_minor": count(), "currency": text(), "stock": count()});
    let creation = json!({
        "sale": {"type": "string", "pattern": "^[a-z0-9-]{1,32}$"}, "title": text(), "starts_at": time(), "ends_at": time(),
        "limit_per_user": {"type": "integer", "minimum": 1}, "hold_seconds": {"type": "integer", "minimum": 1},
        "shards": {"type": "integer", "minimum": 1, "maximum": SHARDS_MAX, "default": 1},
        "ack": {"enum": ["redis", "replica", "log"], "default": "log"}, "currency": text(),
        "skus": {"type": "array", "maxItems": SKUS_MAX, "items": {"$ref": "#/components/schemas/Article"}},
    });
    let shard = json!({
        "k": count(), "phase": {"enum": ["SEALED", "OPENING", "OPEN", "SEALING", "CLOSED"]}, "epoch": count(),
        "cursor": count(), "server": text(), "nonce": text(), "reason": {"type": ["string", "null"]},
    });
    json!({
        "Article": object(&["sku", "product", "name", "price_minor", "stock"], article),
        "NewSale": object(&["sale", "starts_at", "ends_at", "limit_per_user", "hold_seconds"], creation),
        "NewSkus": object(&["skus"], json!({"skus": list("Article")})),
        "Added": object(&["added"], json!({"added": count()})),
        "AdminSale": object(&["sale", "state", "shards", "skus"], json!({
            "sale": text(), "state": text(), "shards": list("Shard"), "skus": list("Sku"), "orders": {"type": "object"},
        })),
        "SaleState": {"$ref": "#/components/schemas/Sale"},
        "ToppedUp": object(&["sale", "sku", "quantity", "total", "done_at"], json!({
            "sale": text(), "sku": text(), "quantity": count(), "done_at": time(),
            "total": {"type": "integer", "minimum": 0, "description": "Units of the SKU in the sale right after it."},
        })),
        "TopUp": object(&["quantity"], json!({"quantity": {"type": "integer", "minimum": 1}})),
        "Import": {"type": "string", "description": "product,name,category,image_url,sku,sku_name,price_minor,currency,stock; or application/x-ndjson of the same names."},
        "Imported": object(&["rows", "skus_added", "products"], json!({"rows": count(), "skus_added": count(), "products": count()})),
        "Shard": object(&["k", "phase", "epoch", "cursor"], shard),
        "Ledger": object(&["sale", "skus", "shards"], json!({"sale": text(), "skus": {"type": "array"}, "shards": {"type": "array"}})),
        "AuditLine": object(&["row"], json!({"row": {"enum": [
            "meta", "sale", "sku", "shard", "stock", "order", "payment", "quota", "memory", "log", "delay",
        ]}})),
        "NewProduct": object(&["name"], json!({"name": text(), "category": text(), "image_url": text()})),
        "Refund": object(&["restock"], json!({"restock": {"type": "boolean"}})),
        "Extend": object(&["expires_at"], json!({"expires_at": time()})),
    })
}

fn plain() -> Value {
    let problem = json!({
        "type": text(), "title": text(), "status": count(), "detail": text(), "line": count(),
        "column": {"type": ["integer", "string"]}, "sku": text(), "from": text(), "to": text(),
    });
    json!({
        "Problem": object(&["type", "title", "status", "detail"], problem),
        "Ready": object(&["ready"], json!({"ready": {"type": "boolean"}, "shards_open": count()})),
        "Text": {"type": "string"},
    })
}
