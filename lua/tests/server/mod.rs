//! A real server of one test, on a socket in a directory of its own.
#![allow(dead_code, reason = "each test uses a part of it")]

use doorbuster_lua::call::Call;
use doorbuster_lua::dump::{Dump, RawDump};
use doorbuster_lua::identity::Identity;
use doorbuster_lua::keys::ShardKeys;
use doorbuster_lua::script::{ALL, Script};
use doorbuster_lua::value::{ReplyError, Value};
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

pub struct Server {
    child: Child,
    /// Kept open: the server goes on writing to it.
    _output: BufReader<ChildStdout>,
    _directory: tempfile::TempDir,
    connection: redis::Connection,
}

impl Server {
    /// `None`, and a line that says so, where no server is installed. `REDIS_BIN` names another one, such as Valkey's.
    pub fn start(test: &str) -> Option<Server> {
        let binary = std::env::var("REDIS_BIN").unwrap_or_else(|_| "redis-server".to_owned());
        let directory = tempfile::tempdir().expect("a directory");
        let socket = directory.path().join("socket");
        let spawned = Command::new(&binary)
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"])
            .arg(&socket)
            .arg("--dir")
            .arg(directory.path())
            .stdout(Stdio::piped())
            .spawn();
        let Ok(mut child) = spawned else {
            println!("{test}: skipped, there is no {binary}");
            return None;
        };
        let mut output = BufReader::new(child.stdout.take().expect("it was piped"));
        let mut line = String::new();
        while !line.contains("eady to accept connections") {
            line.clear();
            assert!(output.read_line(&mut line).expect("the server talks") > 0, "the server ended");
        }
        let client = redis::Client::open(format!("redis+unix://{}", socket.display())).expect("an address");
        let connection = client.get_connection().expect("the server listens");
        let mut server = Server { child, _output: output, _directory: directory, connection };
        ALL.into_iter().for_each(|script| server.install(script));
        Some(server)
    }

    fn install(&mut self, script: &Script) {
        let sha1 = self.ask(&["SCRIPT", "LOAD", script.source]);
        assert_eq!(sha1.text().expect(script.name), script.sha1.as_str(), "EVALSHA finds {}", script.name);
    }

    pub fn identity(&mut self) -> Identity {
        let info = self.ask(&["INFO", "everything"]);
        Identity::parse(info.text().expect("INFO is text")).expect("INFO names the server")
    }

    pub fn call(&mut self, call: &Call, keys: &ShardKeys) -> Value {
        let invocation = call.invocation(keys);
        self.run(invocation.script, &invocation.keys, &invocation.arguments)
    }

    pub fn run(&mut self, script: &Script, keys: &[String], arguments: &[Vec<u8>]) -> Value {
        let mut command = redis::cmd("EVALSHA");
        command.arg(script.sha1.as_str()).arg(keys.len()).arg(keys).arg(arguments);
        answer(command.query(&mut self.connection))
    }

    pub fn ask(&mut self, words: &[&str]) -> Value {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        answer(command.query(&mut self.connection))
    }

    pub fn ask_bytes(&mut self, words: &[Vec<u8>]) -> Value {
        let mut command = redis::Cmd::new();
        command.arg(words);
        answer(command.query(&mut self.connection))
    }

    pub fn dump(&mut self, keys: &ShardKeys) -> Result<Dump, ReplyError> {
        let raw = RawDump {
            memory: self.ask(&["HGETALL", &keys.memory]),
            users: self.ask(&["HGETALL", &keys.users]),
            log: self.ask(&["XRANGE", &keys.log, "-", "+"]),
            ready: self.ask(&["ZRANGE", &keys.ready, "0", "-1", "WITHSCORES"]),
            processing: self.ask(&["ZRANGE", &keys.processing, "0", "-1", "WITHSCORES"]),
            owner: self.ask(&["HGETALL", &keys.owner]),
        };
        Dump::decode(&raw)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it was killed");
    }
}

fn answer(result: redis::RedisResult<redis::Value>) -> Value {
    match result {
        Ok(value) => understood(value),
        Err(error) => {
            let code = error.code().unwrap_or_else(|| panic!("the connection broke: {error}"));
            Value::Error(format!("{code} {}", error.detail().unwrap_or_default()))
        }
    }
}

fn understood(value: redis::Value) -> Value {
    match value {
        redis::Value::Nil => Value::Nil,
        redis::Value::Int(number) => Value::Integer(number),
        redis::Value::BulkString(bytes) => Value::Bytes(bytes),
        redis::Value::SimpleString(text) => Value::Bytes(text.into_bytes()),
        redis::Value::Okay => Value::Bytes(b"OK".to_vec()),
        redis::Value::Array(values) => Value::Array(values.into_iter().map(understood).collect()),
        other => panic!("RESP2 has no {other:?}"),
    }
}
