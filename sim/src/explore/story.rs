//! A trace as people read it: numbered steps, and where they left the world.

use super::action::Action;
use super::engine::Found;
use super::model::Model;
use super::state::State;
use std::fmt::Write;

/// Tells how a rule fell.
pub fn tell(model: &Model, found: &Found) -> String {
    let mut text = format!("{}\n", found.violation);
    let Ok(mut state) = model.start() else { return text };
    let _ = writeln!(text, "   start    {}", summary(model, &state));
    let all = found.trace.iter().map(|action| ("", action)).chain(found.healing.iter().map(|action| ("heal ", action)));
    for (number, (kind, action)) in all.enumerate() {
        let _ = writeln!(text, "{:4} {kind}{}", number + 1, named(model, &state, *action));
        if kind == "heal " && number == found.trace.len() {
            state = super::quiet::Healing::new(model, &state).state;
        }
        let stepped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| model.step(&state, *action)));
        match stepped {
            Ok(Ok(next)) => state = next,
            Ok(Err(violation)) => {
                let _ = writeln!(text, "            {violation}");
                break;
            }
            Err(_) => {
                let _ = writeln!(text, "            an assertion failed");
                break;
            }
        }
        let _ = writeln!(text, "            {}", summary(model, &state));
    }
    text
}

fn named(model: &Model, state: &State, action: Action) -> String {
    match action {
        Action::Deliver { event, server } => {
            let event = state.down.get(event).map(|sent| format!("{:?}", sent.event));
            format!("Deliver {} to {}", event.unwrap_or_default(), letter(server))
        }
        Action::Click { wish, fence, server } => {
            let fence = state.fences.get(fence);
            let fence = fence.map_or(String::new(), |fence| format!("epoch {} nonce {}", fence.epoch.0, fence.nonce.0));
            format!("{} clicks on {} under {fence}", model.cast.clicks[wish].name, letter(server))
        }
        other => format!("{other:?}"),
    }
}

fn letter(server: usize) -> &'static str {
    if server == super::state::A { "A" } else { "B" }
}

/// The state in one line.
pub fn summary(model: &Model, state: &State) -> String {
    let row = state.row(model.cast.shard);
    let mut text = format!("row {:?} e{} c{} on {};", row.phase, row.epoch.0, row.cursor.0, row.server.0);
    for sku in &model.cast.skus {
        let stock = state.rows.stock.get(&(model.cast.shard, *sku)).copied().unwrap_or_default();
        let _ = write!(text, " {sku} {}/{}", stock.consumed, stock.granted);
    }
    for (place, server) in state.servers.iter().enumerate() {
        let Some(meta) = server.shard.meta() else { continue };
        let serves = if server.serves { "" } else { " copy" };
        let _ = write!(
            text,
            "; {}({}){serves} {:?} e{} s{}",
            letter(place),
            server.shard.server.0,
            meta.state,
            meta.epoch.0,
            meta.seq.0
        );
        for (_, counter) in server.shard.counters() {
            let _ = write!(text, " avail {} live {} of {}", counter.available, counter.live, counter.granted);
        }
    }
    let waiting = state.intents.len() - state.light.offset;
    let orders: Vec<String> = state
        .rows
        .orders
        .values()
        .filter_map(|order| {
            let click = model.cast.click_of(order.id.reservation)?;
            Some(format!("{} {}", click.name, order.status.name()))
        })
        .collect();
    let _ = write!(text, "; {waiting} up, {} down; {}", state.down.len(), orders.join(", "));
    text
}
