//! Shards as an operator sees them, and the end of an epoch by hand.

use crate::api::Shared;
use crate::board::Panorama;
use crate::extract::{Admin, Names};
use crate::problem::{Answer, Slug};
use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use doorbuster_core::database::command::{Command, Reply};
use doorbuster_core::database::rows::{SealReason, ShardRow};
use doorbuster_core::database::tables::Reads;
use doorbuster_core::ledger::epoch::{LadderCommand, LadderStep};
use doorbuster_runtime::ports::ledger::ServerView;
use http::StatusCode;
use serde_json::{Value, json};

/// The shards' places on the ladder.
pub fn phases(panorama: &Panorama) -> Vec<Value> {
    panorama.rows.shards.values().map(shard_json).collect()
}

/// 128 bits as text: JSON numbers end at 53.
fn shard_json(row: &ShardRow) -> Value {
    json!({
        "k": row.id.k,
        "phase": row.phase,
        "epoch": row.epoch,
        "cursor": row.cursor,
        "server": format!("{:032x}", row.server.0),
        "nonce": row.nonce.0.to_string(),
        "replay_from": row.replay_from,
        "reason": row.reason,
    })
}

fn memory_json(view: &ServerView) -> Value {
    json!({
        "server": format!("{:032x}", view.server.0),
        "meta": view.meta.map(|meta| json!({
            "epoch": meta.epoch,
            "nonce": meta.nonce.0.to_string(),
            "state": meta.state,
            "seq": meta.seq,
            "acked": meta.acked,
            "limit": meta.limit,
        })),
    })
}

/// `GET /admin/v1/sales/{sale}/ledger`
pub async fn ledger(State(api): State<Shared>, _: Admin, names: Names) -> Answer {
    let known = api.learn(names.sale()?).await?;
    let panorama = api.panorama(&known.row, known.skus()).await?;
    let shards: Vec<Value> = panorama.rows.shards.values().map(|row| side_by_side(&panorama, row)).collect();
    let skus: Vec<Value> =
        panorama.rows.skus.values().map(|row| json!({"sku": row.sku, "total": row.total, "pool": row.pool})).collect();
    Ok(Json(json!({"sale": known.row.id, "skus": skus, "shards": shards})).into_response())
}

fn side_by_side(panorama: &Panorama, row: &ShardRow) -> Value {
    let view = panorama.servers.get(&row.id.k);
    let stock: Vec<Value> = panorama
        .rows
        .skus
        .values()
        .map(|sku| {
            let stock = panorama.rows.stock.get(&(row.id, sku.sku)).copied().unwrap_or_default();
            let counter = view.and_then(|view| view.counters.iter().find(|(known, _)| *known == sku.sku));
            json!({"sku": sku.sku, "row": stock, "memory": counter.map(|(_, counter)| counter)})
        })
        .collect();
    let mut json = shard_json(row);
    json["memory"] = view.map_or(Value::Null, memory_json);
    json["stock"] = stock.into();
    json
}

/// `POST /admin/v1/sales/{sale}/shards/{shard}/seal`
pub async fn seal(State(api): State<Shared>, _: Admin, names: Names) -> Answer {
    let shard = names.shard()?;
    api.sale(shard.sale).await?;
    let rows = api.read(Reads { shards: [shard].into(), ..Reads::default() }).await?;
    let row = rows.shards.get(&shard).ok_or(Slug::UnknownShard)?;
    // An operator holds no lease: the condition on the rung is what makes the step safe.
    let step = LadderStep::BeginSealing(row.rung(), SealReason::Operator);
    match api.apply(Command::Ladder(LadderCommand { shard, owner: None, step })).await? {
        Reply::Shard(row) => Ok((StatusCode::ACCEPTED, Json(shard_json(&row))).into_response()),
        other => unreachable!("a step of the ladder answers with its row, not with {other:?}"),
    }
}
