use super::connection::{ConnectionId, Wanted};
use super::{Ran, RedisHost};
use crate::hosts::redis::Bytes;
use crate::hosts::redis::command::{
    self, ConnectionCommand, Run, integer, parse_group_read, perform_group_read, timeout_ms,
};
use crate::hosts::redis::facts::VERSION;
use crate::hosts::redis::reply::{Reply, texts};
use crate::hosts::redis::resp::Version;
use crate::hosts::redis::trouble::{self, Trouble};

/// What a client that listens may say beside its own commands, in the second version of the protocol.
const WHILE_LISTENING: &[&str] = &["PING", "SUBSCRIBE", "UNSUBSCRIBE"];

impl RedisHost {
    /// Goes on with what clients sent while they were blocked.
    pub(super) fn process_unblocked(&mut self) {
        while !self.unblocked.is_empty() {
            for id in std::mem::take(&mut self.unblocked) {
                self.process(id);
            }
        }
    }

    /// Performs what the client has sent, up to a command that blocks it.
    pub(super) fn process(&mut self, id: ConnectionId) {
        loop {
            let Some(connection) = self.connections.get_mut(&id) else { return };
            if connection.blocked.is_some() || connection.closing {
                return;
            }
            match connection.decoder.decode() {
                Ok(None) => return,
                Ok(Some(words)) => self.execute(id, &words),
                Err(error) => {
                    connection.send(&Reply::Error(error.text));
                    connection.closing = true;
                }
            }
        }
    }

    fn execute(&mut self, id: ConnectionId, words: &[Bytes]) {
        let reply = self.answer(id, words);
        let in_trouble = self.context.facts.trouble != Trouble::default();
        self.refused += u64::from(in_trouble && matches!(reply, Some(Reply::Error(_))));
        if let (Some(reply), Some(connection)) = (reply, self.connections.get_mut(&id)) {
            connection.send(&reply);
        }
        self.finish_command();
        let offset = self.context.facts.offset;
        // After a read too: what it has shown may be another connection's write, and a WAIT after it covers that.
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.written = offset;
        }
    }

    /// The answer, or nothing where it was sent already or comes later.
    fn answer(&mut self, id: ConnectionId, words: &[Bytes]) -> Option<Reply> {
        let specification = match command::specification(words) {
            Ok(specification) => specification,
            Err(name) => panic!("the simulated Redis knows no command {name}"),
        };
        if !specification.takes(words.len()) {
            return Some(specification.wrong_number());
        }
        if self.connections.get(&id)?.only_listens() {
            if !WHILE_LISTENING.contains(&specification.name) {
                let name = specification.name.to_ascii_lowercase();
                return Some(Reply::error(format!(
                    "ERR Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are \
                     allowed in this context"
                )));
            }
            if specification.name == "PING" {
                let message = words.get(1).cloned().unwrap_or_default();
                return Some(Reply::Array(vec![Reply::bulk("pong"), Reply::Bulk(message)]));
            }
        }
        if let Some(text) = trouble::refusal(&self.context.facts, specification) {
            return Some(Reply::error(text));
        }
        match specification.run {
            Run::Connection(command) => self.answer_connection(id, command, words),
            Run::Data(_) if specification.name == "XREADGROUP" => self.read_group(id, words),
            Run::Data(run) => Some(command::perform(&mut self.context, run, words)),
        }
    }

    fn read_group(&mut self, id: ConnectionId, words: &[Bytes]) -> Option<Reply> {
        let read = match parse_group_read(&self.context, words) {
            Ok(read) => read,
            Err(error) => return Some(error),
        };
        match (perform_group_read(&mut self.context, &read), read.block_ms) {
            (Ok(Some(reply)), _) | (Err(reply), _) => Some(reply),
            (Ok(None), None) => Some(Reply::NilArray),
            (Ok(None), Some(block_ms)) => {
                self.block(id, Wanted::Entries(read), block_ms);
                None
            }
        }
    }

    fn answer_connection(&mut self, id: ConnectionId, command: ConnectionCommand, words: &[Bytes]) -> Option<Reply> {
        match command {
            ConnectionCommand::Hello => Some(self.hello(id, words)),
            ConnectionCommand::SetName => Some(Reply::ok()),
            ConnectionCommand::Eval => Some(self.eval(words).unwrap_or_else(|error| error)),
            ConnectionCommand::EvalSha => Some(self.run_script(&words[1], words).unwrap_or_else(|error| error)),
            ConnectionCommand::ScriptLoad => Some(self.scripts.load(&words[2]).map_or_else(|error| error, Reply::bulk)),
            ConnectionCommand::ScriptExists => {
                let known = |sha: &Bytes| Reply::Integer(i64::from(self.scripts.knows(sha)));
                Some(Reply::Array(words[2..].iter().map(known).collect()))
            }
            ConnectionCommand::ScriptFlush => {
                self.scripts.flush();
                Some(Reply::ok())
            }
            ConnectionCommand::Subscribe => {
                self.subscribe(id, &words[1..]);
                None
            }
            ConnectionCommand::Unsubscribe => {
                self.unsubscribe(id, &words[1..]);
                None
            }
            ConnectionCommand::Wait => self.wait(id, words).unwrap_or_else(Some),
        }
    }

    fn hello(&mut self, id: ConnectionId, words: &[Bytes]) -> Reply {
        let version = match words.get(1).map(Vec::as_slice) {
            None => None,
            Some(b"2") => Some(Version::Two),
            Some(b"3") => Some(Version::Three),
            Some(other) => {
                return match integer(other) {
                    Ok(_) => Reply::error("NOPROTO unsupported protocol version"),
                    Err(_) => Reply::error("ERR Protocol version is not an integer or out of range"),
                };
            }
        };
        if let [_, _, option, rest @ ..] = words {
            let named = option.eq_ignore_ascii_case(b"SETNAME") && rest.len() == 1;
            assert!(named, "the simulated Redis knows no HELLO with {}", String::from_utf8_lossy(option));
        }
        let Some(connection) = self.connections.get_mut(&id) else { return Reply::Nil };
        connection.version = version.unwrap_or(connection.version);
        let protocol = if connection.version == Version::Three { 3 } else { 2 };
        let role = if self.context.facts.is_replica() { "replica" } else { "master" };
        let number = i64::try_from(id.0).expect("a count of connections fits in 63 bits");
        let field = |name: &str, value| (Reply::bulk(name), value);
        Reply::Map(vec![
            field("server", Reply::bulk("redis")),
            field("version", Reply::bulk(VERSION)),
            field("proto", Reply::Integer(protocol)),
            field("id", Reply::Integer(number)),
            field("mode", Reply::bulk("standalone")),
            field("role", Reply::bulk(role)),
            field("modules", Reply::Array(Vec::new())),
        ])
    }

    fn eval(&mut self, words: &[Bytes]) -> Result<Reply, Reply> {
        key_count(words)?;
        let sha = self.scripts.load(&words[1])?;
        self.run_script(sha.as_bytes(), words)
    }

    fn run_script(&mut self, sha: &[u8], words: &[Bytes]) -> Result<Reply, Reply> {
        let (keys, arguments) = words[3..].split_at(key_count(words)?);
        if !self.scripts.knows(sha) {
            return Err(Reply::error(texts::NO_SCRIPT));
        }
        if self.context.facts.is_stale() {
            return Err(Reply::error(texts::MASTER_DOWN));
        }
        let before = self.context.writes.len();
        let reply = self.scripts.run(&mut self.context, sha, keys, arguments);
        if let Some(ran) = &mut self.ran {
            let sha = String::from_utf8_lossy(sha).to_ascii_lowercase();
            let (keys, arguments) = (keys.to_vec(), arguments.to_vec());
            let writes = self.context.writes[before..].to_vec();
            ran.push(Ran { sha, keys, arguments, reply: reply.clone(), writes });
        }
        Ok(reply)
    }

    fn wait(&mut self, id: ConnectionId, words: &[Bytes]) -> Result<Option<Reply>, Reply> {
        let count = integer(&words[1])?;
        let wait_ms = timeout_ms(&words[2])?;
        if self.context.facts.is_replica() {
            return Err(Reply::error(
                "ERR WAIT cannot be used with replica instances. Please also note that since Redis 4.0 if a replica \
                 is configured to be writable (which is not the default) writes to replicas are just local and are \
                 not propagated.",
            ));
        }
        let count = usize::try_from(count).unwrap_or(0);
        let offset = self.connections.get(&id).map_or(0, |connection| connection.written);
        let reached = self.replicas_with(offset);
        if reached >= count {
            return Ok(Some(Reply::count(reached)));
        }
        self.block(id, Wanted::Replicas { count, offset }, wait_ms);
        Ok(None)
    }
}

/// How many of a script's words are keys.
fn key_count(words: &[Bytes]) -> Result<usize, Reply> {
    let count =
        usize::try_from(integer(&words[2])?).map_err(|_| Reply::error("ERR Number of keys can't be negative"))?;
    if count > words.len() - 3 {
        return Err(Reply::error("ERR Number of keys can't be greater than number of args"));
    }
    Ok(count)
}
