//! What is in flight: the columns of the matrix of faults and stages, and what lines say of it.

use doorbuster_lua::script::ALL;

/// Longest text of one message in a line: a reader wants the beginning.
const TEXT_MAX: usize = 160;

/// A message in one line for people: a request as it is written, a command by its script's name.
pub fn describe(from: &str, to: &str, is_client: bool, bytes: &[u8]) -> String {
    let stage = stage_of(from, to, is_client, bytes);
    let server = if is_client { to } else { from };
    if server.starts_with("edge") {
        return printable(bytes);
    }
    if !server.starts_with("redis") {
        return stage.to_owned();
    }
    let text = printable(bytes);
    let script = ALL.iter().find(|script| text.contains(script.sha1.as_str()));
    match script {
        Some(script) => format!("{} ({stage})", script.name),
        None => format!("{stage}: {text}"),
    }
}

/// The beginning of a message, without what no line can show.
fn printable(bytes: &[u8]) -> String {
    let readable = |byte: &u8| if (0x20..0x7f).contains(byte) { *byte as char } else { ' ' };
    let text: String = bytes.iter().take(4 * TEXT_MAX).map(readable).collect();
    let mut text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    text.truncate(TEXT_MAX);
    text
}

/// What these bytes are about, between these two hosts.
pub fn stage_of(from: &str, to: &str, is_client: bool, bytes: &[u8]) -> &'static str {
    let (client, server) = if is_client { (from, to) } else { (to, from) };
    let role = |name: &str| name.rsplit_once('-').map_or(name, |(role, _)| role).to_owned();
    match (role(server).as_str(), is_client) {
        ("redis", true) => command(bytes, role(client).as_str()),
        ("redis", false) => reply(role(client).as_str()),
        ("database", true) => "a call of the database",
        ("database", false) => "committed, not told",
        ("broker", true) => "read, not published",
        ("broker", false) => "published, not acknowledged",
        ("provider", _) => "a call to the provider",
        (_, true) if client == "provider" => "a webhook",
        (_, true) => "a buyer's request",
        (_, false) => "an answer to a buyer",
    }
}

/// By who asks: each role's scripts are its own.
fn command(bytes: &[u8], role: &str) -> &'static str {
    let has = |word: &[u8]| bytes.windows(word.len()).any(|window| window == word);
    if has(b"HELLO") || has(b"CLIENT") {
        return "a greeting";
    }
    match role {
        "edge" if fills(bytes) => "loaded, not filled",
        "edge" if has(b"cache:") => "a read of the shared cache",
        "invalidator" if has(b"PUBLISH") => "a floor, not told",
        "invalidator" => "changed, no floor",
        "edge" => "a reservation",
        "forwarder" => "read, not acknowledged",
        "settler" => "decided, not given back",
        "reaper" => "due, not claimed",
        "keeper" => "a step of the ladder",
        _ => "a command",
    }
}

/// Whether it fills the shared cache: of what an edge asks about a product, only that is a script.
fn fills(bytes: &[u8]) -> bool {
    let has = |word: &[u8]| bytes.windows(word.len()).any(|window| window == word);
    has(b"cache:") && has(b"EVAL")
}

fn reply(role: &str) -> &'static str {
    match role {
        "edge" => "reserved, not told",
        "forwarder" => "entries on their way",
        "settler" => "given back, not told",
        "reaper" => "claimed, not told",
        "invalidator" => "a floor, not answered",
        _ => "an answer of a server",
    }
}
