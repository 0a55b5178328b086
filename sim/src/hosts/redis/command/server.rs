use super::parse::is;
use crate::hosts::redis::Bytes;
use crate::hosts::redis::context::Context;
use crate::hosts::redis::facts::Role;
use crate::hosts::redis::reply::Reply;

/// PING [message]
pub fn ping(_: &mut Context, words: &[Bytes]) -> Result<Reply, Reply> {
    match words {
        [_] => Ok(Reply::Status("PONG".to_owned())),
        [_, message] => Ok(Reply::bulk(message.clone())),
        _ => Err(Reply::error("ERR wrong number of arguments for 'ping' command")),
    }
}

/// CLIENT SETINFO, which this version of the server does not have yet; clients send it and go on.
pub fn client_setinfo(_: &mut Context, words: &[Bytes]) -> Result<Reply, Reply> {
    let given = String::from_utf8_lossy(&words[1]);
    Err(Reply::error(format!("ERR unknown subcommand '{given}'. Try CLIENT HELP.")))
}

/// CONFIG GET maxmemory-policy
pub fn config_get(context: &mut Context, words: &[Bytes]) -> Result<Reply, Reply> {
    let mut found = Vec::new();
    for name in &words[2..] {
        if !is(name, "maxmemory-policy") {
            panic!("the simulated Redis knows no setting {}", String::from_utf8_lossy(name));
        }
        found.push((Reply::bulk("maxmemory-policy"), Reply::bulk(context.facts.maxmemory_policy)));
    }
    Ok(Reply::Map(found))
}

/// INFO [server | replication | everything], with nothing beside these two in everything
pub fn info(context: &mut Context, words: &[Bytes]) -> Result<Reply, Reply> {
    let facts = &context.facts;
    let both = || format!("{}\r\n{}", facts.server_text(), facts.replication_text());
    let text = match words {
        [_] => both(),
        [_, section] if is(section, "everything") => both(),
        [_, section] if is(section, "server") => facts.server_text(),
        [_, section] if is(section, "replication") => facts.replication_text(),
        _ => panic!("the simulated Redis knows no INFO {}", String::from_utf8_lossy(&words[1])),
    };
    Ok(Reply::Text(text))
}

/// ROLE
pub fn role(context: &mut Context, _: &[Bytes]) -> Result<Reply, Reply> {
    let facts = &context.facts;
    let offset = Reply::Integer(i64::try_from(facts.offset).expect("an offset fits in 63 bits"));
    let replica = |(name, offset): &(String, u64)| {
        let words = [name.clone(), "6379".to_owned(), offset.to_string()];
        Reply::Array(words.into_iter().map(Reply::bulk).collect())
    };
    Ok(Reply::Array(match &facts.role {
        Role::Primary => {
            vec![Reply::bulk("master"), offset, Reply::Array(facts.replicas.iter().map(replica).collect())]
        }
        Role::Replica { of, link_up } => {
            let state = Reply::bulk(if *link_up { "connected" } else { "connect" });
            let offset = if *link_up { offset } else { Reply::Integer(-1) };
            vec![Reply::bulk("slave"), Reply::bulk(of.clone()), Reply::Integer(6379), state, offset]
        }
    }))
}

/// TIME: seconds and microseconds.
pub fn time(context: &mut Context, _: &[Bytes]) -> Result<Reply, Reply> {
    let ms = context.wall().0;
    let words = [(ms / 1000).to_string(), (ms % 1000 * 1000).to_string()];
    Ok(Reply::Array(words.into_iter().map(Reply::bulk).collect()))
}

/// PUBLISH channel message; the answer counts this server's subscribers.
pub fn publish(context: &mut Context, words: &[Bytes]) -> Result<Reply, Reply> {
    let subscribers = context.subscribers.get(&words[1]).copied().unwrap_or(0);
    context.published.push((words[1].clone(), words[2].clone()));
    Ok(Reply::count(subscribers))
}
