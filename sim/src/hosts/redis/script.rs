//! The scripts: Lua 5.1 over the data set, with the server's own rules about what a script may see and say.
//!
//! A script that fails in the middle leaves what it has written: there is no rollback here, as there is none in the
//! real server.

mod bits;
mod call;
mod convert;
mod packing;
mod planted;
mod raise;
mod sandbox;

use std::collections::BTreeMap;

use mlua::{Function, Lua, LuaOptions, MultiValue, StdLib, Table, Value};
use sha1::{Digest, Sha1};

use super::Bytes;
use super::context::Context;
use super::reply::{Reply, texts};
use call::Running;
pub use planted::plant;

/// One interpreter and the scripts that it knows. A server has one; a restart begins with a fresh one.
#[derive(Debug)]
pub struct Scripts {
    lua: Lua,
    /// What scripts see through their environment; the keys and arguments of a call are put here.
    visible: Table,
    environment: Table,
    protected_call: Function,
    explain: Function,
    cache: BTreeMap<String, Function>,
}

impl Default for Scripts {
    fn default() -> Scripts {
        Scripts::new()
    }
}

impl Scripts {
    /// A fresh interpreter that knows no script.
    ///
    /// # Panics
    /// When the interpreter cannot be set up, which depends on nothing but this code.
    pub fn new() -> Scripts {
        // Panics of ours pass through the interpreter by themselves; its own protected call is the unchanged one, so
        // that the place of an error can be told in the server's way.
        let options = LuaOptions::new().catch_rust_panics(false);
        let lua =
            Lua::new_with(StdLib::TABLE | StdLib::STRING | StdLib::MATH, options).expect("the libraries are safe");
        let built = sandbox::build(&lua).expect("the sandbox is built of constants");
        Scripts {
            visible: built.visible,
            environment: built.environment,
            protected_call: built.protected_call,
            explain: built.explain,
            cache: BTreeMap::new(),
            lua,
        }
    }

    /// Keeps a script and gives its SHA-1 in hexadecimal digits.
    ///
    /// # Errors
    /// It is no Lua.
    pub fn load(&mut self, body: &[u8]) -> Result<String, Reply> {
        let sha = sha1_hex(body);
        if !self.cache.contains_key(&sha) {
            let runs = planted::planted(&sha).map_or(body, str::as_bytes);
            let chunk = self.lua.load(runs).set_name("@user_script").set_mode(mlua::chunk::ChunkMode::Text);
            let function = chunk.set_environment(self.environment.clone()).into_function();
            let function = function.map_err(|error| {
                let reason = match &error {
                    mlua::Error::SyntaxError { message, .. } => message.clone(),
                    other => other.to_string(),
                };
                Reply::error(format!("ERR Error compiling script (new function): {reason}"))
            })?;
            self.cache.insert(sha.clone(), function);
        }
        Ok(sha)
    }

    /// Whether a script of this SHA-1 is kept.
    pub fn knows(&self, sha: &[u8]) -> bool {
        self.function(sha).is_some()
    }

    /// Forgets every script.
    pub fn flush(&mut self) {
        self.cache.clear();
    }

    /// Runs a script that is kept.
    pub fn run(&mut self, context: &mut Context, sha: &[u8], keys: &[Bytes], arguments: &[Bytes]) -> Reply {
        let Some(function) = self.function(sha).cloned() else { return Reply::error(texts::NO_SCRIPT) };
        let sha = String::from_utf8_lossy(sha).to_ascii_lowercase();
        self.lua.set_app_data(Running::new(std::mem::take(context)));
        let outcome = self.run_protected(&function, keys, arguments);
        let running: Running = self.lua.remove_app_data().expect("only this function takes it out");
        *context = running.into_context();
        match outcome {
            Ok(value) => convert::to_reply(&value),
            Err(error) => raise::final_reply(&error, &sha),
        }
    }

    fn function(&self, sha: &[u8]) -> Option<&Function> {
        let sha = std::str::from_utf8(sha).ok()?;
        self.cache.get(sha).or_else(|| self.cache.get(&sha.to_ascii_lowercase()))
    }

    fn run_protected(&self, function: &Function, keys: &[Bytes], arguments: &[Bytes]) -> Result<Value, Value> {
        let machine = "the interpreter has memory for its arguments";
        self.visible.raw_set("KEYS", self.strings(keys)).expect(machine);
        self.visible.raw_set("ARGV", self.strings(arguments)).expect(machine);
        let called = self.protected_call.call::<MultiValue>((function.clone(), self.explain.clone()));
        let mut values = called.expect("a protected call does not fail").into_iter();
        let succeeded = matches!(values.next(), Some(Value::Boolean(true)));
        let value = values.next().unwrap_or(Value::Nil);
        if succeeded { Ok(value) } else { Err(value) }
    }

    fn strings(&self, words: &[Bytes]) -> Table {
        let machine = "the interpreter has memory for its arguments";
        let table = self.lua.create_table_with_capacity(words.len(), 0).expect(machine);
        for word in words {
            table.raw_push(self.lua.create_string(word).expect(machine)).expect(machine);
        }
        table
    }
}

/// The SHA-1 in hexadecimal digits, which is the name of a script.
pub fn sha1_hex(body: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha1::digest(body).iter().fold(String::with_capacity(40), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes every byte");
        text
    })
}
